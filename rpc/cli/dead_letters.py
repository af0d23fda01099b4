"""Reads the dead letters of one queue: all that are in it, in order, without acking them.

AMQP 0-9-1 cannot browse a queue. So as many letters as the broker counts are consumed, and only those to be removed are
acked. The end of the channel requeues the others at their old positions (RabbitMQ documentation, "Consumer
Acknowledgements and Publisher Confirms").

The letters come in rounds, each with a consumer of its own. A round is as large as memory allows, in the broker and
here. A quorum queue needs rounds for another reason: it gives 2,000 messages to a consumer without a prefetch, and no
more until one is acked (RabbitMQ documentation, "Quorum Queues"). At the end of a channel it requeues the letters by
consumer, up to 32 of them in the order of their tags. So the tags ascend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as Quiet
from twisted.internet.task import deferLater

from rpc.amqp.acks import AckCollector
from rpc.amqp.channel import Channel
from rpc.amqp.content import Delivery
from rpc.cli.service_queues import no_such_queue
from rpc.envelope import codec_for
from rpc.errors import AMQPError, CodecError, DeclarationRefused, MalformedMessage, UnknownProtocol
from rpc.headers import DEAD_REASON, DEAD_SHA256, DEAD_SIZE, whole
from rpc.messages import Properties
from rpc.topology import DeadLetterKind
from rpc.worker.begins import nears_broker_limit

GROWTH: Final = 4
"""Letters of the first round. Each later round has at most this many times as many as the one before."""

LARGEST_ROUND: Final = 8192
"""Letters of a round, at most."""

ROUND_BYTES: Final = 64 * 1024 * 1024
"""Bytes of a round, at most, if no letter is larger than the largest so far."""

QUIET_SECONDS: Final = 0.5
"""After so long without a letter, the broker is asked for its count again: letters may have expired since the first."""

LOOKS: Final = 40
"""After this many counts without a new letter, reading fails: the broker counts letters and delivers none."""

POLL_SECONDS: Final = 0.02
"""Between two looks at a queue that takes letters back."""

UNCHANGED_SECONDS: Final = 5.0
"""After so long without a change, the queue takes no more letters back."""

LONGEST_NAME: Final = 100
"""Characters of a method's name that are kept."""


@attrs.frozen
class Letter:
    """One dead letter.

    :ivar number: its position among the letters of all kinds when it was read. Those of a kind follow each other; the
        first is the oldest.
    :ivar kind: that of its queue. Older workers put letters of all kinds into the queue of the unfinished ones.
    :ivar method: ``<service>.<method>``, the property ``type`` as the sender wrote it. A sender that wrote none may
        have sent a Thrift message, whose method it is then.
    :ivar size: bytes of its body.
    :ivar original_size: bytes of the request's body, of which the letter has only the head; ``None``: it has all.
    :ivar sha256: the SHA-256 of that body, in hexadecimal digits.
    :ivar reason: the reason of its rejection; ``None`` when the letter has none.
    :ivar renewable: whether the broker may soon drop it, because it has delivered it often.
    :ivar content: properties and body; ``None`` after :meth:`without_content`.
    """

    number: int
    kind: DeadLetterKind
    delivery_tag: int
    method: str | None
    size: int
    original_size: int | None
    sha256: str | None
    message_id: str | None
    reason: str | None
    renewable: bool
    content: Delivery | None

    @classmethod
    def of(cls, number: int, kind: DeadLetterKind, delivery: Delivery) -> Letter:
        """Read the fields of a letter. Malformed properties become its reason."""
        properties, malformed = Properties(), None
        headers: Mapping[str, Any] = {}
        try:
            properties = delivery.properties
            headers = properties.headers or {}
        except CodecError as error:
            malformed = f"malformed properties: {error}"
        return cls(
            number,
            kind,
            delivery.delivery_tag,
            properties.type or _method_in(properties.content_type, delivery.body),
            len(delivery.body),
            whole(headers.get(DEAD_SIZE)),
            _text(headers.get(DEAD_SHA256)),
            properties.message_id,
            malformed or _text(headers.get(DEAD_REASON)),
            nears_broker_limit(headers),
            delivery,
        )

    def without_content(self) -> Letter:
        """Return the letter without its properties and body."""
        return attrs.evolve(self, content=None)


def _method_in(content_type: str | None, body: bytes) -> str | None:
    """Return the name in a Thrift message, up to :data:`LONGEST_NAME`; ``None`` when the body is none."""
    try:
        return codec_for(content_type, body).read_header(body)[0][:LONGEST_NAME]
    except (UnknownProtocol, MalformedMessage):
        return None


def _text(header: Any) -> str | None:
    """Return a header as text: its sender may have used any type."""
    return header if header is None or isinstance(header, str) else repr(header)


class DeadLetters:
    """The letters of one queue, on a channel of their own. To have them alone, take the lock first
    (:func:`~rpc.cli.service_queues.lock_dead_letters`).

    :ivar count: how many letters are to be read: those that the queue had at the first look.
    :ivar read: how many letters :meth:`next_round` has returned.
    :ivar renewable: whether the broker may soon drop a letter that was read (``dead_renewal.py``).
    """

    def __init__(
        self,
        reactor: Any,
        channel: Channel,
        queue: str,
        kind: DeadLetterKind = DeadLetterKind.UNFINISHED,
        before: int = 0,
    ) -> None:
        """:param before: how many letters precede those of this queue."""
        self._reactor = reactor
        self._channel = channel
        self._queue = queue
        self._kind = kind
        self._before = before
        self._acks = AckCollector(channel)
        self._round: list[Letter] = []
        self._round_size = 1
        self._largest = 1
        self._consumers = 0
        self._held = 0  # delivered and not removed
        self._removed = False
        self.renewable = False
        self._awaited: Deferred[None] | None = None
        self.count = 0
        self.read = 0

    @property
    def unread(self) -> int:
        """How many letters are left to read."""
        return self.count - self.read

    async def look(self) -> int:
        """Count the letters. To be called once, before :meth:`next_round`.

        :return: how many there are.
        :raises click.ClickException: there is no such queue, or another program consumes from it.
        :raises AMQPError: the channel was lost.
        """
        try:
            declared = await self._declared()
        except DeclarationRefused as error:
            raise no_such_queue(self._queue) from error
        if declared.consumer_count:
            raise click.ClickException(f"{self._queue} is being read by another program: try again when it has ended")
        self.count = declared.message_count
        return self.count

    async def next_round(self) -> list[Letter]:
        """Return the next letters, oldest first; none when all are read that were in the queue at the first look.

        :raises AMQPError: the broker refused the request, stopped delivering, or closed the connection.
        """
        if not self.unread:
            return []
        most = max(1, min(self._round_size * GROWTH, LARGEST_ROUND, ROUND_BYTES // self._largest))
        self._round_size = min(most, self.unread)
        self._round = []
        tag = await self._consume(self._round_size, self._take)
        await self._all_taken()
        await self._channel.cancel_consumer(tag)  # otherwise an ack would bring further letters
        letters, self._round = self._round, []
        self.read += len(letters)
        if len(letters) < self._round_size:  # the others have expired
            self.count = self.read
        return letters

    async def _consume(self, prefetch: int, take: Callable[[Delivery], None]) -> str:
        await self._channel.basic_qos(prefetch_count=prefetch)
        self._consumers += 1
        return await self._channel.consume(self._queue, take, self._gone, tag=f"round-{self._consumers:09}")

    def _take(self, delivery: Delivery) -> None:
        self._held += 1
        letter = Letter.of(self._before + self.read + len(self._round) + 1, self._kind, delivery)
        self._largest = max(self._largest, letter.size)
        self._round.append(letter)
        self.renewable = self.renewable or letter.renewable
        if len(self._round) == self._round_size and self._awaited is not None:
            self._awaited.callback(None)

    def _take_newcomer(self, _: Delivery) -> None:
        """Hold a letter that has arrived after the first look. It is requeued with the others."""
        self._held += 1

    async def _all_taken(self) -> None:
        """Wait for the letters of the round, or until the broker has no more.

        The answer to a count may arrive before letters that the broker has sent earlier, but not before those that it
        sent before the previous count. So reading ends after two counts of 0 in a row.
        """
        answers: list[int] = []
        while len(self._round) < self._round_size:
            taken = len(self._round)
            await self._complete_or_quiet()
            if taken == len(self._round):
                answers.append((await self._declared()).message_count)
            if taken < len(self._round):
                answers.clear()
            if answers[-2:] == [0, 0]:
                return
            if len(answers) == LOOKS:
                raise AMQPError(f"the broker sends no more of {self._queue}, but counts {answers[-1]} letters")

    async def _complete_or_quiet(self) -> None:
        self._awaited = Deferred()
        self._awaited.addTimeout(QUIET_SECONDS, self._reactor)
        self._awaited.addErrback(lambda failure: failure.trap(Quiet))
        try:
            await self._awaited
        finally:
            self._awaited = None

    # -- removing letters, and putting the others back

    def remove(self, letters: Iterable[Letter]) -> None:
        """Ack letters: they leave the queue, unless the channel is lost before :meth:`removed` has fired."""
        for letter in letters:
            self._removed = True
            self._held -= 1
            self._acks.ack(letter.delivery_tag)

    async def removed(self) -> None:
        """Return when the queue has applied all acks.

        An ack has no answer. A quorum queue answers ``basic.consume`` after it has applied the commands before it. But
        RabbitMQ's channel keeps acks back while 32 commands are not applied (``quorum_commands_soft_limit``). It sends
        them before it takes a further method, so the second answer comes after all acks.

        :raises AMQPError: the channel was lost; some letters may not have been removed.
        """
        if not self._removed:
            return
        self._acks.flush()
        for _ in range(2):
            tag = await self._consume(1, self._take_newcomer)
            await self._channel.cancel_consumer(tag)

    async def put_back(self) -> None:
        """Close the channel, and wait until the queue has the letters again that were not removed.

        A quorum queue takes them back some time later. Without the wait, the next command would find an empty queue.

        :raises AMQPError: the connection was lost. The broker has requeued the letters, or does so soon.
        """
        self._acks.flush()
        await self._channel.close()
        if self._held:
            self._channel = await self._channel.client.open_channel()
            await self._are_back()

    async def _are_back(self) -> None:
        """Wait until the queue counts the letters, and no consumer.

        It may count fewer: a queue drops letters that are over its limit, and expired ones. Then the wait ends when the
        count stays as it is.
        """
        last, changed = -1, self._reactor.seconds()
        while True:
            declared = await self._declared()
            now = self._reactor.seconds()
            if declared.message_count != last:
                last, changed = declared.message_count, now
            if (last >= self._held and not declared.consumer_count) or now - changed >= UNCHANGED_SECONDS:
                return
            await deferLater(self._reactor, POLL_SECONDS, lambda: None)

    def on_lost(self, lost: Callable[[Exception], None]) -> None:
        """Call `lost` with the reason when the channel closes, and the broker requeues the letters."""
        self._channel.on_closed = lost

    async def _declared(self) -> Any:
        return await self._channel.queue_declare(queue=self._queue, passive=True)

    def _gone(self) -> None:
        self._channel.abandon(AMQPError(f"the queue {self._queue} was deleted, or its node is gone"))
