"""Reads a service's dead letters: all that are ready, in their order, unacked until the channel closes.

AMQP 0-9-1 cannot browse a queue. So as many letters as the broker counts are consumed, and only those to be removed are
acked. When the channel closes, RabbitMQ requeues the others at their old positions (its page "Consumer Acknowledgements
and Publisher Confirms"). The consumer is exclusive (``basic.consume``, section 1.8.3.3 of the AMQP reference): a second
one would see a queue that looks empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as Quiet

from rpc.amqp.channel import Channel
from rpc.amqp.content import Delivery
from rpc.errors import AMQPError, ChannelClosed, CodecError
from rpc.headers import DEAD_REASON
from rpc.messages import Properties

QUIET_SECONDS: Final = 0.5
"""After so long without a letter, the broker is asked for its count again: letters may have expired since the first."""

LOOKS: Final = 40
"""So many counts without a letter between them; then reading fails: the broker counts letters and delivers none."""

NOT_FOUND: Final = 404


@attrs.frozen
class Letter:
    """One dead letter.

    :ivar number: its position in the queue when it was read; 1 is the oldest.
    :ivar method: ``<service>.<method>``, the property ``type`` as the sender wrote it.
    :ivar size: bytes of its body.
    :ivar reason: the reason of its rejection; ``None`` when the letter has none.
    :ivar content: properties and body; ``None`` unless the caller of :meth:`DeadLetters.read` asked to keep them.
    """

    number: int
    delivery_tag: int
    method: str | None
    size: int
    message_id: str | None
    reason: str | None
    content: Delivery | None

    @classmethod
    def of(cls, number: int, delivery: Delivery) -> Letter:
        """Read the fields of a letter. Malformed properties become its reason."""
        properties, reason = Properties(), None
        try:
            properties = delivery.properties
            reason = _text((properties.headers or {}).get(DEAD_REASON))
        except CodecError as error:
            reason = f"malformed properties: {error}"
        size = len(delivery.body)
        return cls(number, delivery.delivery_tag, properties.type, size, properties.message_id, reason, delivery)

    def without_content(self) -> Letter:
        """Return the letter without its properties and body."""
        return attrs.evolve(self, content=None)


def _text(header: Any) -> str | None:
    """Return a header as text: its sender may have used any type."""
    return header if header is None or isinstance(header, str) else repr(header)


class DeadLetters:
    """The letters of one queue, on a channel of their own."""

    def __init__(self, reactor: Any, channel: Channel, queue: str) -> None:
        self._reactor = reactor
        self._channel = channel
        self._queue = queue
        self._kept: Callable[[Letter], bool]
        self._expected = 0
        self._letters: list[Letter] = []
        self._complete: Deferred[None] | None = None

    async def read(self, kept: Callable[[Letter], bool]) -> list[Letter]:
        """Return all letters that are in the queue now, oldest first. To be called once.

        :param kept: returns whether to keep a letter's content.
        :raises click.ClickException: there is no such queue, or another program consumes from it.
        :raises AMQPError: the broker refused the request, stopped delivering, or closed the connection.
        """
        declared = await self._look()
        if declared.consumer_count:
            raise click.ClickException(
                f"{self._queue} is being read by another program, perhaps another thrift-rpc dead that waits for an "
                "answer: try again when it has ended"
            )
        if declared.message_count:
            self._expected = declared.message_count
            self._kept = kept
            await self._channel.basic_qos(prefetch_count=0)  # a broker may have another default
            await self._channel.consume(self._queue, self._take, self._gone, exclusive=True)
            await self._all_taken()
        return self._letters

    def remove(self, letter: Letter) -> None:
        """Ack a letter: it leaves the queue, unless the channel is lost before the broker reads the ack."""
        self._channel.ack(letter.delivery_tag)

    async def removed(self) -> None:
        """Return when the broker has read all acks.

        :raises AMQPError: the channel was lost; some letters may not have been removed.
        """
        await self._look()

    def on_lost(self, lost: Callable[[Exception], None]) -> None:
        """Call `lost` with the reason when the channel closes, and the broker requeues the letters."""
        self._channel.on_closed = lost

    async def _look(self) -> Any:
        try:
            return await self._channel.queue_declare(queue=self._queue, passive=True)
        except ChannelClosed as error:
            if error.code != NOT_FOUND:
                raise
            raise click.ClickException(
                f"there is no queue {self._queue} in this virtual host: no worker has served the service here. Give "
                "the service's name, such as Calculator, and see --queue and --broker"
            ) from error

    def _take(self, delivery: Delivery) -> None:
        if len(self._letters) == self._expected:
            return  # it arrived after the count
        letter = Letter.of(len(self._letters) + 1, delivery)
        self._letters.append(letter if self._kept(letter) else letter.without_content())
        if len(self._letters) == self._expected and self._complete is not None:
            self._complete.callback(None)

    def _gone(self) -> None:
        self._channel.abandon(AMQPError(f"the queue {self._queue} was deleted, or its node is gone"))

    async def _all_taken(self) -> None:
        """Wait for as many letters as were counted, or until the broker has no more.

        A count may overtake letters that were in transit when it was asked for, but not those of the count before it.
        So two counts of 0 in a row are needed.
        """
        answers: list[int] = []
        while len(self._letters) < self._expected:
            taken = len(self._letters)
            await self._complete_or_quiet()
            if taken == len(self._letters):
                answers.append((await self._look()).message_count)
            if taken < len(self._letters):
                answers.clear()
            if answers[-2:] == [0, 0]:
                return
            if len(answers) == LOOKS:
                raise AMQPError(f"the broker sends no more of {self._queue}, but counts {answers[-1]} letters")

    async def _complete_or_quiet(self) -> None:
        self._complete = Deferred()
        self._complete.addTimeout(QUIET_SECONDS, self._reactor)
        self._complete.addErrback(lambda failure: failure.trap(Quiet))
        try:
            await self._complete
        finally:
            self._complete = None
