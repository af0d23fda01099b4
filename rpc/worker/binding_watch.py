"""Notices that exchanges or their bindings were deleted at the broker, which sends no notice of it.

The worker's own queue is bound to each exchange once more, by the queue's name: the sentinel. Every two seconds a
message with this routing key goes to each exchange. When it comes back, the exchange has lost its bindings, even if
a peer has declared it again since. The cost does not depend on the number of services: one message to each exchange.

A single binding that an operator deletes is not noticed, unless it is the sentinel. A deleted queue is noticed in
another way: the broker cancels its consumer.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall

from rpc import log
from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.protocol import AMQPConnection
from rpc.errors import AMQPError, ChannelClosed
from rpc.interfaces import IClock
from rpc.link import Link
from rpc.messages import Properties
from rpc.reply_codes import ACCESS_REFUSED, NOT_FOUND
from rpc.topology import existing_exchange

PERIOD = 2.0
"""Seconds between two checks. Bindings are to be restored within five."""

PROBE = encode_properties(Properties(expiration="1000"))
"""A message that does not stay in the queue of a worker that hangs."""


class WatchState(enum.Enum):
    """The state of the watch."""

    STOPPED = "nothing: the worker has no channel, or is stopping"
    PAUSING = "waits for the next check"
    CHECKING = "waits for the broker's answers"
    RESTORING = "waits until the exchanges and sentinels are declared again"


class BindingWatch:
    """The watch of one worker. It has a channel of its own: a check of a missing exchange closes it.

    :ivar state: see :class:`WatchState`.
    """

    def __init__(
        self,
        link: Link,
        clock: IClock,
        exchanges: Callable[[], Iterable[str]],
        may_publish: Callable[[], bool],
        restore: Callable[[], Deferred[None]],
    ) -> None:
        """
        :param exchanges: returns the exchanges to which the worker has bound its queues.
        :param may_publish: returns whether a probe may be published now. Otherwise only the exchanges are looked up.
        :param restore: declares and binds everything again; fires when the sentinels of the shared exchanges are
            bound. It is called in each period until a check finds all.
        """
        self._link = link
        self._clock = clock
        self._exchanges = exchanges
        self._may_publish = may_publish
        self._restore = restore
        self._queue = ""
        self._channel: Channel | None = None
        self._check: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._returned: set[str] = set()
        self._forbidden: set[str] = set()
        self._deleted: str | None = None  # the exchange that was missed first, until a check finds all
        self._problem = ""
        self.state = WatchState.STOPPED

    @property
    def is_open(self) -> bool:
        """Whether the watch has a channel: from its first check on."""
        return self._channel is not None

    def start(self, queue: str) -> None:
        """Begin to check.

        :param queue: the worker's own queue; its sentinels are bound.
        """
        self.stop()
        self._queue = queue
        self._forbidden.clear()
        self._pause()

    def stop(self) -> None:
        """Check nothing any more."""
        self.state = WatchState.STOPPED
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        check, self._check = self._check, None
        if check is not None:
            check.cancel()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _pause(self) -> None:
        self.state = WatchState.PAUSING
        self._timer = self._clock.callLater(PERIOD, self._begin)

    def _begin(self) -> None:
        """Check, unless the broker reads nothing: it would answer when its alarm is over."""
        connection = self._link.connection
        if connection is None or connection.closed or connection.blocked is not None:
            self._pause()
            return
        self.state = WatchState.CHECKING
        self._check = Deferred.fromCoroutine(self._check_and_restore(connection))
        self._check.addErrback(lambda failure: failure.trap(CancelledError))  # by stop()
        self._check.addErrback(lambda failure: log.err(failure, "while checking the bindings of a worker"))
        self._check.addCallback(self._done)

    def _done(self, _: object) -> None:
        if self.state in (WatchState.CHECKING, WatchState.RESTORING):
            self._pause()

    async def _check_and_restore(self, connection: AMQPConnection) -> None:
        try:
            gone = await self._gone(connection)
            if gone is None:
                self._found_all()
            else:
                self._deleted = self._deleted or gone
                self.state = WatchState.RESTORING
                await self._restore()
        except AMQPError as error:
            if not connection.closed:
                self._tell_once(str(error))

    def _found_all(self) -> None:
        """Log a restoration when a check has found its result. Services declare their own exchanges by themselves."""
        deleted, self._deleted, self._problem = self._deleted, None, ""
        if deleted is not None:
            log.warn(f"the exchange {deleted} or its bindings were deleted, and are restored")

    def _tell_once(self, problem: str) -> None:
        """Log a new problem. An exchange can be missing for hours, until an operator declares it."""
        if problem != self._problem:
            self._problem = problem
            log.warn(f"exchanges and bindings are not restored; an attempt follows every {PERIOD:g} s: {problem}")

    async def _gone(self, connection: AMQPConnection) -> str | None:
        """Return an exchange that is missing, or has lost its sentinel; ``None``: all is well, or cannot be known."""
        publishes = self._may_publish()
        self._returned.clear()
        for exchange in self._exchanges():
            channel = self._channel
            if channel is None or channel.closed:
                channel = self._channel = await connection.open_channel()
                channel.on_return = lambda returned: self._returned.add(returned.exchange)
            try:
                if publishes and exchange not in self._forbidden:
                    channel.publish(exchange, self._queue, PROBE, b"", True)
                # The broker takes the methods of a channel in order, so a return comes before this answer.
                await channel.declare(existing_exchange(exchange))
            except ChannelClosed as error:
                if error.code == NOT_FOUND:
                    return exchange
                if error.code != ACCESS_REFUSED:
                    raise
                self._forbidden.add(exchange)
                log.warn(
                    f"the worker may not publish to the exchange {exchange}, so it notices deleted bindings only while "
                    f"the exchange is missing: grant the permission to write: {error}"
                )
            if exchange in self._returned:
                return exchange
        return None
