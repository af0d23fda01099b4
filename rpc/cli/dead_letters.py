"""Reading a service's dead letters: all that wait, in their order, held by this process until its channel closes.

AMQP has no look at a queue that leaves it alone. So the letters are consumed, as many as the broker says there are, and
nothing is acked but what is to go; when the channel closes, the broker puts the rest back where it was. As long as one
process holds them no other can: it would see a queue that looks empty.
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
"""Without a letter for so long, the broker is asked whether there are more: some may have gone since it counted."""

LOOKS: Final = 40
"""So many times in a row; then a broker that says yes and sends none is given up."""

NOT_FOUND: Final = 404


@attrs.frozen
class Letter:
    """One dead letter.

    :ivar number: its place in this look at the queue, from 1, the oldest.
    :ivar method: ``<service>.<method>`` (property ``type``), as its sender has it.
    :ivar size: bytes of its body.
    :ivar reason: why it is dead; ``None`` when nobody said.
    :ivar content: properties and body, when they were to be kept.
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
        """Read what a list shows of a letter, whatever is wrong with its properties."""
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
    """A header is what its sender pleases."""
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
        """Take all letters there are just now, oldest first. To be called once.

        :param kept: says of a letter whether its content is wanted.
        :raises click.ClickException: there is no such queue, or another program reads it.
        :raises AMQPError: the broker refuses it otherwise, or is lost.
        """
        declared = await self._look()
        if declared.consumer_count:
            raise click.ClickException(
                f"{self._queue} is being read by another program, which may be another thrift-rpc dead that waits for "
                "an answer: try again when it has ended"
            )
        if declared.message_count:
            self._expected = declared.message_count
            self._kept = kept
            await self._channel.basic_qos(prefetch_count=0)  # a broker may have another default
            await self._channel.consume(self._queue, self._take, self._gone, exclusive=True)
            await self._all_taken()
        return self._letters

    def remove(self, letter: Letter) -> None:
        """Ack a letter: it leaves the queue, unless the channel is lost."""
        self._channel.ack(letter.delivery_tag)

    async def removed(self) -> None:
        """Fires when all that were to be removed have left the queue; fails when the channel is lost."""
        await self._look()

    def on_lost(self, lost: Callable[[Exception], None]) -> None:
        """Have `lost` called with the reason when the letters are no longer held."""
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
            return  # it came later than the look
        letter = Letter.of(len(self._letters) + 1, delivery)
        self._letters.append(letter if self._kept(letter) else letter.without_content())
        if len(self._letters) == self._expected and self._complete is not None:
            self._complete.callback(None)

    def _gone(self) -> None:
        self._channel.abandon(AMQPError(f"the queue {self._queue} was deleted, or its node is gone"))

    async def _all_taken(self) -> None:
        """Wait for as many letters as were counted, or until the broker has no more.

        Its answer may overtake letters that were on their way when it was asked, but not those of an earlier question.
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
                raise AMQPError(f"the broker sends no more of {self._queue}, though {answers[-1]} letters wait there")

    async def _complete_or_quiet(self) -> None:
        self._complete = Deferred()
        self._complete.addTimeout(QUIET_SECONDS, self._reactor)
        self._complete.addErrback(lambda failure: failure.trap(Quiet))
        try:
            await self._complete
        finally:
            self._complete = None
