"""The connections of a gateway's clients: how many there are, how long they wait, how much they keep in memory."""

from __future__ import annotations

import enum
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from rpc.gateway.options import GatewayOptions
from rpc.interfaces import IClock
from rpc.log_limit import LogLimit

SWEEP: Final = 1.0
"""Seconds between two looks at the waits of all connections. A timer for each would cost more than a call's framing."""


class Wait(enum.Enum):
    """The reason why a connection waits."""

    REQUEST = "sent no request"
    """Its client may send one, for ``idle_timeout``."""

    PEER = "did not send the rest of its request, or did not read its answers"
    """Its client is in the middle of something, for ``transfer_timeout``."""

    SERVICE = "waits for a service"
    """Its calls are in progress. They have deadlines."""


class IClientConnection(Protocol):
    """A connection of a client.

    :ivar wait: the reason why it waits.
    :ivar since: when that began, in seconds of the clock.
    :ivar peer: the client's address.
    """

    wait: Wait
    since: float
    peer: str

    def drain(self) -> None:
        """Take no more requests. Close when all calls have been answered."""

    def abort(self) -> None:
        """Close now."""


class Connections:
    """All open connections of a gateway.

    :ivar open: the connections.
    :ivar buffered: bytes of requests and answers in memory.
    """

    def __init__(self, options: GatewayOptions, clock: IClock) -> None:
        self.open: set[IClientConnection] = set()
        self.buffered = 0
        self._options = options
        self._clock = clock
        self._sweep: IDelayedCall | None = None
        self._waiting_for_end: list[Deferred[None]] = []
        self._noted = LogLimit(clock, 10)

    def has_slot(self, peer: str) -> bool:
        """Return whether there may be another connection. If not, it is logged."""
        most = self._options.max_connections
        if len(self.open) < most:
            return True
        self.note(f"a connection from {peer} is closed: max_connections={most}")
        return False

    def add(self, connection: IClientConnection) -> None:
        """Note a connection that has begun."""
        self.open.add(connection)
        if self._sweep is None:
            self._sweep = self._clock.callLater(SWEEP, self._look)

    def remove(self, connection: IClientConnection) -> None:
        """Note that a connection has ended."""
        self.open.discard(connection)
        if not self.open:
            self._stop_sweep()
            waiting, self._waiting_for_end = self._waiting_for_end, []
            for deferred in waiting:
                deferred.callback(None)

    def buffer(self, connection: IClientConnection, size: int) -> bool:
        """Note that a connection keeps `size` more bytes; less, when `size` is negative.

        :return: whether they are within ``max_buffered``. If not, the connection must be aborted.
        """
        self.buffered += size
        if size <= 0 or self.buffered <= self._options.max_buffered:
            return True
        self.note(f"the connection from {connection.peer} is aborted: max_buffered={self._options.max_buffered}")
        return False

    def note(self, text: str) -> None:
        """Write a line about a client to the log. Their number is limited."""
        self._noted.note(lambda: text)

    def _look(self) -> None:
        """Abort the connections that have waited too long."""
        self._sweep = self._clock.callLater(SWEEP, self._look)
        now = self._clock.seconds()
        limits = {Wait.REQUEST: self._options.idle_timeout, Wait.PEER: self._options.transfer_timeout}
        for connection in list(self.open):
            limit = limits.get(connection.wait)
            if limit is not None and now - connection.since >= limit:
                self.note(
                    f"the connection from {connection.peer} is aborted: it {connection.wait.value} for {limit:g} s"
                )
                connection.abort()

    def drain(self) -> Deferred[None]:
        """Have all connections end when their calls have been answered. Fires when the last one has ended."""
        if not self.open:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._waiting_for_end.append(ended)
        for connection in list(self.open):
            connection.drain()
        return ended

    def abort(self) -> None:
        """Abort all connections."""
        for connection in list(self.open):
            connection.abort()

    def stop(self) -> None:
        """Leave no timer."""
        self._stop_sweep()
        self._noted.stop()

    def resume(self) -> None:
        """Limit the lines of the log again, after :meth:`stop`."""
        self._noted.resume()

    def _stop_sweep(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
