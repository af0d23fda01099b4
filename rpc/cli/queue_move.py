"""Moves messages from one queue to another. Each is acked when the broker has confirmed its copy.

However it ends, each message is in one of the queues. Those whose ack was pending may be in both.

Messages are held on one connection and published on another. During an alarm RabbitMQ reads nothing from a connection
that publishes (its page "Memory and Disk Alarms"), and so no acks either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from rpc import log
from rpc.amqp.acks import AckCollector
from rpc.amqp.channel import Channel
from rpc.amqp.confirmed import ConfirmedPublisher, NotPublished, NotPublishedCause
from rpc.amqp.content import Delivery
from rpc.cli.copies import CopyOf, publish_copy
from rpc.errors import AMQPError

IN_FLIGHT: Final = 64
"""Messages that are delivered and not yet acked: so many at most are in both queues after a kill."""

POLL_SECONDS: Final = 0.05
"""Between two looks at the queue."""

RETRY_SECONDS: Final = 0.2
"""Pause before a message that the queue rejected is published again."""


class MoveFailed(AMQPError):
    """The move cannot go on. What was not moved is still in the first queue."""


class OthersConsume(MoveFailed):
    """Another program consumes from the queue."""


class Move:
    """A move that is in progress.

    :ivar moved: how many messages were moved.
    """

    def __init__(
        self,
        clock: Any,
        channel: Channel,
        publishing: Channel,
        queues: tuple[str, str],
        copy_of: CopyOf,
        own: str | None,
        patience: float,
        on_moved: Callable[[int], None],
    ) -> None:
        """
        :param channel: to consume on; used by nothing else.
        :param publishing: a channel in confirm mode, on another connection.
        :param queues: from which queue, and to which.
        :param own: see :func:`~rpc.cli.copies.own_user`.
        :param patience: seconds without a confirm after which the move fails.
        :param on_moved: called with 1 for each message that was moved.
        """
        self._clock = clock
        self._channel = channel
        self._publishing = publishing
        self._source, self._target = queues
        self._copy_of = copy_of
        self._own = own
        self._patience = patience
        self._on_moved = on_moved
        self._acks = AckCollector(channel)
        self._publisher = ConfirmedPublisher(publishing)
        self._in_flight = 0
        self._retries: dict[Delivery, IDelayedCall] = {}
        self._taken_at = clock.seconds()  # a message was confirmed, or there was none
        self._failure: Exception | None = None
        self._ending = False
        self.moved = 0
        channel.on_closed = self._fail
        publishing.on_closed = self._publishing_lost

    async def start(self) -> None:
        """Begin.

        :raises AMQPError: the channel was lost, or there is no such queue.
        """
        await self._channel.basic_qos(prefetch_count=IN_FLIGHT)
        await self._channel.consume(self._source, self._take, self._gone)

    async def until(self, enough: int) -> None:
        """Return when `enough` messages were moved, or the queue is empty.

        :raises MoveFailed: see :meth:`until_empty`.
        """
        while self.moved < enough and (await self._look() or self._in_flight):
            await deferLater(self._clock, POLL_SECONDS)

    async def until_empty(self, quiet: float) -> None:
        """Return when the queue has been empty, and no message has come, for `quiet` seconds.

        :raises OthersConsume: another program consumes from the queue.
        :raises MoveFailed: the other queue took no message for the time of `patience`, or is gone.
        :raises AMQPError: a channel was lost.
        """
        since, moved = self._clock.seconds(), self.moved
        while True:
            ready, now = await self._look(), self._clock.seconds()
            if ready or self._in_flight or self.moved != moved:
                since, moved = now, self.moved
            elif now - since >= quiet:
                return
            await deferLater(self._clock, POLL_SECONDS)

    def expect_end(self) -> None:
        """The queue is about to be deleted, and that is no failure."""
        self._ending = True

    async def until_settled(self) -> None:
        """Return when the broker has confirmed all copies that are in flight.

        :raises MoveFailed: see :meth:`until_empty`.
        """
        while self._in_flight:
            self._check()
            await deferLater(self._clock, POLL_SECONDS)

    async def stop(self) -> None:
        """Close the channel: messages that were not moved return to their places. Never fails."""
        retries, self._retries = self._retries, {}
        for retry in retries.values():
            retry.cancel()
        self._acks.flush()
        await self._channel.close()

    # -- one message

    def _take(self, delivery: Delivery) -> None:
        if not self._in_flight:
            self._taken_at = self._clock.seconds()
        self._in_flight += 1
        self._publish(delivery)

    def _publish(self, delivery: Delivery) -> None:
        self._retries.pop(delivery, None)
        if self._failure is not None:
            return
        try:
            published = publish_copy(self._publisher, self._target, delivery, self._copy_of, self._own)
        except AMQPError as error:
            self._fail(error)
        else:
            published.addCallbacks(self._confirmed, self._rejected, (delivery,), errbackArgs=(delivery,))
            published.addErrback(lambda failure: log.err(failure, "while moving a message"))

    def _confirmed(self, _: object, delivery: Delivery) -> None:
        self._acks.ack(delivery.delivery_tag)
        self._in_flight -= 1
        self.moved += 1
        self._taken_at = self._clock.seconds()
        self._on_moved(1)

    def _rejected(self, failure: Failure, delivery: Delivery) -> None:
        error = failure.value
        if isinstance(error, NotPublished) and error.cause is NotPublishedCause.NACKED:
            self._retries[delivery] = self._clock.callLater(RETRY_SECONDS, self._publish, delivery)
        elif isinstance(error, NotPublished) and error.cause is NotPublishedCause.RETURNED:
            self._fail(MoveFailed(f"there is no queue {self._target} any more"))
        else:
            self._fail(error)

    # -- the end

    async def _look(self) -> int:
        """Return the number of ready messages."""
        self._check()
        declared = await self._channel.queue_declare(queue=self._source, passive=True)
        if declared.consumer_count > 1:
            raise OthersConsume(f"another program consumes from {self._source}: stop it first")
        ready: int = declared.message_count
        return ready

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._in_flight and self._clock.seconds() - self._taken_at >= self._patience:
            raise MoveFailed(
                f"the queue {self._target} has taken no message for {self._patience:g} s. Is it full? "
                "Then start workers, or give it a larger limit"
            )

    def _fail(self, reason: BaseException | None) -> None:
        if self._failure is None:
            self._failure = reason if isinstance(reason, Exception) else AMQPError(str(reason))

    def _publishing_lost(self, reason: Exception) -> None:
        self._fail(reason)
        self._publisher.lost(reason)

    def _gone(self) -> None:
        if not self._ending:
            self._fail(MoveFailed(f"the queue {self._source} was deleted, or its node is gone"))
