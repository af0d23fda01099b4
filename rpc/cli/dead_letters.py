"""Reads a service's dead letters: all that are ready, in their order, unacked until the channel closes.

AMQP 0-9-1 cannot browse a queue. So as many letters as the broker counts are consumed, and only those to be removed are
acked. At the end the others are put back at their old positions: with ``basic.nack`` if the command ends in good order;
otherwise the broker requeues them when the channel closes (RabbitMQ documentation, "Consumer Acknowledgements and
Publisher Confirms").

The letters come in rounds, each with a consumer and a prefetch of its own. A round is as large as memory allows, in the
broker and here. A quorum queue needs rounds for another reason: it gives 2,000 messages to a consumer without a
prefetch, and no more until one is acked (RabbitMQ documentation, "Quorum Queues").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as Quiet
from twisted.internet.task import deferLater

from rpc.amqp.acks import AckCollector
from rpc.amqp.channel import Channel
from rpc.amqp.content import Delivery
from rpc.errors import AMQPError, ChannelClosed, CodecError
from rpc.headers import DEAD_REASON
from rpc.messages import Properties
from rpc.worker.begins import nears_broker_limit

GROWTH: Final = 4
"""Letters of the first round, and how many times as large as the last round the next one may be."""

LARGEST_ROUND: Final = 8192

ROUND_BYTES: Final = 64 * 1024 * 1024
"""Bytes of a round whose letters are as large as the largest so far."""

QUIET_SECONDS: Final = 0.5
"""After so long without a letter, the broker is asked for its count again: letters may have expired since the first."""

LOOKS: Final = 40
"""So many counts without a letter between them; then reading fails: the broker counts letters and delivers none."""

POLL_SECONDS: Final = 0.02
"""Between two looks at a queue whose consumers end."""

NOT_FOUND: Final = 404


@attrs.frozen
class Letter:
    """One dead letter.

    :ivar number: its position in the queue when it was read; 1 is the oldest.
    :ivar method: ``<service>.<method>``, the property ``type`` as the sender wrote it.
    :ivar size: bytes of its body.
    :ivar reason: the reason of its rejection; ``None`` when the letter has none.
    :ivar renewable: whether the broker may soon drop it, because it has delivered it often.
    :ivar content: properties and body; ``None`` after :meth:`without_content`.
    """

    number: int
    delivery_tag: int
    method: str | None
    size: int
    message_id: str | None
    reason: str | None
    renewable: bool
    content: Delivery | None

    @classmethod
    def of(cls, number: int, delivery: Delivery) -> Letter:
        """Read the fields of a letter. Malformed properties become its reason."""
        properties, reason, renewable = Properties(), None, False
        try:
            properties = delivery.properties
            headers = properties.headers or {}
            reason, renewable = _text(headers.get(DEAD_REASON)), nears_broker_limit(headers)
        except CodecError as error:
            reason = f"malformed properties: {error}"
        size = len(delivery.body)
        tag, method, message_id = delivery.delivery_tag, properties.type, properties.message_id
        return cls(number, tag, method, size, message_id, reason, renewable, delivery)

    def without_content(self) -> Letter:
        """Return the letter without its properties and body."""
        return attrs.evolve(self, content=None)


def _text(header: Any) -> str | None:
    """Return a header as text: its sender may have used any type."""
    return header if header is None or isinstance(header, str) else repr(header)


class DeadLetters:
    """The letters of one queue, on a channel of their own.

    :ivar count: how many letters the queue had at the first look; ``None`` before.
    :ivar read: how many letters :meth:`next_round` has returned.
    :ivar renewable: whether the broker may soon drop a letter that was read (``dead_renewal.py``).
    """

    def __init__(self, reactor: Any, channel: Channel, queue: str) -> None:
        self._reactor = reactor
        self._channel = channel
        self._queue = queue
        self._acks = AckCollector(channel)
        self._consumers: list[str] = []
        self._round: list[Letter] = []
        self._round_size = 1
        self._largest = 1
        self._tags: list[range] = []  # the delivery tags of each round
        self._removed: set[int] = set()
        self.renewable = False
        self._awaited: Deferred[None] | None = None
        self._taken = 0  # letters of the rounds that are complete
        self.count: int | None = None
        self.read = 0

    @property
    def unread(self) -> int:
        """How many letters are left to read."""
        return 0 if self.count is None else self.count - self.read

    async def look(self) -> int:
        """Return how many letters the queue has.

        :raises click.ClickException: there is no such queue, or another program consumes from it.
        :raises AMQPError: the channel was lost.
        """
        declared = await self._declared()
        if declared.consumer_count > len(self._consumers):
            raise click.ClickException(
                f"{self._queue} is being read by another program, perhaps another thrift-rpc dead that waits for an "
                "answer: try again when it has ended"
            )
        count: int = declared.message_count
        if self.count is None:
            self.count = count
        return count

    async def next_round(self) -> list[Letter]:
        """Return the next letters, oldest first; none when all are read that were in the queue at the first look.

        :raises click.ClickException: as :meth:`look`.
        :raises AMQPError: the broker refused the request, stopped delivering, or closed the connection.
        """
        if self.count is None:
            await self.look()
        assert self.count is not None
        if self._taken >= self.count:
            return []
        if not self._consumers:
            await self._begin_round()
            await self.look()  # a program that began at the same time has a consumer by now
        letters = await self._all_taken()
        self._taken += len(letters)
        if letters:
            self._tags.append(range(letters[0].delivery_tag, letters[-1].delivery_tag + 1))
        if len(letters) < self._round_size:  # the others have expired
            self.count = self._taken
        if self._taken < self.count:
            await self._begin_round()  # before the last consumer ends: a queue without one would look free
        self.read = self._taken
        return letters

    async def _begin_round(self) -> None:
        most = max(1, min(self._round_size * GROWTH, LARGEST_ROUND, ROUND_BYTES // self._largest))
        assert self.count is not None
        self._round_size = min(most, self.count - self._taken)
        self._round = []
        await self._consume(self._round_size, self._take)

    async def _consume(self, prefetch: int, take: Callable[[Delivery], None]) -> None:
        """Begin a consumer, and end the one before. Its letters stay unacked (AMQP 0-9-1, basic.cancel)."""
        await self._channel.basic_qos(prefetch_count=prefetch)
        self._consumers.append(await self._channel.consume(self._queue, take, self._gone))
        if len(self._consumers) > 1:
            await self._channel.cancel_consumer(self._consumers.pop(0))

    def _take(self, delivery: Delivery) -> None:
        if len(self._round) == self._round_size:
            return  # it arrived after the count
        letter = Letter.of(self._taken + len(self._round) + 1, delivery)
        self._largest = max(self._largest, letter.size)
        self._round.append(letter)
        self.renewable = self.renewable or letter.renewable
        if len(self._round) == self._round_size and self._awaited is not None:
            self._awaited.callback(None)

    async def _all_taken(self) -> list[Letter]:
        """Wait for the letters of the round, or until the broker has no more.

        A count may overtake letters that were in transit when it was asked for, but not those of the count before it.
        So two counts of 0 in a row are needed.
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
                break
            if len(answers) == LOOKS:
                raise AMQPError(f"the broker sends no more of {self._queue}, but counts {answers[-1]} letters")
        return self._round

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
            self._acks.ack(letter.delivery_tag)
            self._removed.add(letter.delivery_tag)

    async def removed(self) -> None:
        """Return when the queue has taken all acks.

        An ack has no answer, and the answer to a declaration does not come from a quorum queue. ``basic.consume-ok``
        does, after the commands before it. A channel holds back acks while a quorum queue has not applied 32 commands
        (``quorum_commands_soft_limit``), and sends them when it has. So the second of two answers comes after them.

        :raises AMQPError: the channel was lost; some letters may not have been removed.
        """
        self._acks.flush()
        for _ in range(2):
            await self._consume(1, _ignore)

    async def put_back(self) -> None:
        """Requeue what was not removed, round by round: a quorum queue does not keep the order of several consumers.

        :return: when the queue counts no consumer. It counts ended ones that have unacked letters, and another command
            would be refused.
        :raises AMQPError: the channel was lost, and the broker has requeued the letters.
        """
        if not self._consumers:
            return
        while self._consumers:
            await self._channel.cancel_consumer(self._consumers.pop())
        self._acks.flush()
        for tags in self._tags:
            last = next((tag for tag in reversed(tags) if tag not in self._removed), None)
            if last is not None:  # RabbitMQ closes the channel for a nack of no letter (406)
                await self._channel.basic_nack(delivery_tag=last, multiple=True, requeue=True)
        self._tags.clear()
        while (await self._declared()).consumer_count:
            # A letter may arrive after its consumer has ended. Tag 0 is all that is unacked (AMQP 0-9-1, basic.nack).
            await self._channel.basic_nack(delivery_tag=0, multiple=True, requeue=True)
            await deferLater(self._reactor, POLL_SECONDS, lambda: None)

    def on_lost(self, lost: Callable[[Exception], None]) -> None:
        """Call `lost` with the reason when the channel closes, and the broker requeues the letters."""
        self._channel.on_closed = lost

    async def _declared(self) -> Any:
        try:
            return await self._channel.queue_declare(queue=self._queue, passive=True)
        except ChannelClosed as error:
            if error.code != NOT_FOUND:
                raise
            raise click.ClickException(
                f"there is no queue {self._queue} in this virtual host: no worker has served the service here. Give "
                "the service's name, such as Calculator, and see --queue and --broker"
            ) from error

    def _gone(self) -> None:
        self._channel.abandon(AMQPError(f"the queue {self._queue} was deleted, or its node is gone"))


def _ignore(_: Delivery) -> None:
    """The letter arrived after the count. It is put back with the others, or when the channel closes."""
