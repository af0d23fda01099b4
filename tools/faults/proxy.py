"""A TCP proxy that injects the faults of networks: cuts, silence, delays, stalls, refusals.

It knows nothing of AMQP. Twisted's own proxy carries the bytes; this code decides when they are held or dropped.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

TO_BROKER, FROM_BROKER = "to the broker", "from the broker"
DIRECTIONS = (TO_BROKER, FROM_BROKER)

LAST_BYTES = 0.02
"""Seconds between the last byte let through and the cut, so that it arrives: a reset overtakes buffered bytes."""


@attrs.frozen
class Cut:
    """End a connection, both ways, when so many bytes have gone in one direction.

    :ivar reset: with RST, as a crash does; otherwise with FIN.
    """

    direction: str
    offset: int
    reset: bool = True


class Proxy:
    """Listens on a free port of the loopback interface, and connects each client with `port`.

    :ivar port: where it listens.
    :ivar delay: seconds that bytes spend on the way, in either direction, in order.
    :ivar cuts: for the next connections, one each, in the order in which they come.
    :ivar refusals: how many of the next connections are reset at once.
    :ivar attempts: when connections came, by the reactor's clock.
    """

    def __init__(self, reactor: Any, port: int) -> None:
        self._reactor = reactor
        self._target = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        self._connections: list[Connection] = []
        self._listening = reactor.listenTCP(0, _Incoming(self), interface="127.0.0.1")
        self.port: int = self._listening.getHost().port
        self.delay = 0.0
        self.cuts: deque[Cut] = deque()
        self.refusals = 0
        self.attempts: list[float] = []

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def hold(self, *directions: str) -> None:
        """Let no more bytes through on the connections there are: silence, or a stall when :meth:`release` follows."""
        for connection in self._connections:
            connection.hold(*directions)

    def release(self) -> None:
        """Let the bytes through that were held, and those that follow."""
        for connection in self._connections:
            connection.release()

    def stop_reading(self) -> None:
        """Stop reading from the connected clients, as a broker under load does. Still forward what the broker sends."""
        for connection in self._connections:
            connection.stop_reading()

    def read_again(self) -> None:
        """Read from the connected clients again."""
        for connection in self._connections:
            connection.read_again()

    def drop(self, reset: bool = True) -> None:
        """End the connections there are."""
        for connection in list(self._connections):
            connection.end(reset)

    def close(self) -> Deferred[Any]:
        """Listen no more, and end all connections. Fires when the port is free."""
        waiting = [connection.gone for connection in self._connections]
        self.drop()
        return DeferredList([self._listening.stopListening(), *waiting])

    def _came(self, near: Side) -> None:
        self.attempts.append(self._reactor.seconds())
        if self.refusals:
            self.refusals -= 1
            near.transport.abortConnection()
            return
        connection = Connection(self._reactor, near, self.delay, self.cuts.popleft() if self.cuts else None)
        self._connections.append(connection)
        connection.gone.addCallback(lambda _: self._connections.remove(connection))
        far = self._target.connect(Factory.forProtocol(lambda: Side(FROM_BROKER)))
        far.addCallbacks(connection.connected, lambda _: connection.end(reset=True))


class Connection:
    """Two sides, and the bytes between them.

    :ivar gone: fires when both sides are closed.
    """

    def __init__(self, reactor: Any, near: Side, delay: float, cut: Cut | None) -> None:
        self._reactor = reactor
        self._near = near
        self._far: Side | None = None
        self._delay = delay
        self._cut = cut
        self._carried = dict.fromkeys(DIRECTIONS, 0)
        self._held: set[str] = set()
        self._waiting: dict[str, deque[bytes]] = {direction: deque() for direction in DIRECTIONS}
        self._timers: set[IDelayedCall] = set()
        self._ending = False
        self.gone: Deferred[None] = Deferred()
        near.connection = self
        near.transport.pauseProducing()  # until the other connection is open

    def connected(self, far: Side) -> None:
        """The other side is there."""
        if self._ending:
            far.transport.abortConnection()
            return
        self._far = far
        far.connection = self
        if self._near.open:
            self._near.transport.resumeProducing()

    def hold(self, *directions: str) -> None:
        """See :meth:`Proxy.hold`."""
        self._held |= set(directions)

    def release(self) -> None:
        """See :meth:`Proxy.release`."""
        self._held.clear()
        for direction in DIRECTIONS:
            while self._waiting[direction]:
                self._carry(direction, self._waiting[direction].popleft())

    def stop_reading(self) -> None:
        """See :meth:`Proxy.stop_reading`."""
        self._near.transport.pauseProducing()

    def read_again(self) -> None:
        """See :meth:`Proxy.read_again`."""
        self._near.transport.resumeProducing()

    def received(self, direction: str, data: bytes) -> None:
        """Carry `data` on, when it is time."""
        if self._delay:
            self._waiting[direction].append(data)
            self._later(self._delay, self._delayed, direction)
        elif direction in self._held:
            self._waiting[direction].append(data)
        else:
            self._carry(direction, data)

    def end(self, reset: bool) -> None:
        """Close both sides."""
        self._ending = True
        for side in (self._near, self._far):
            if side is not None and side.open:
                side.close(reset)
        self._look()

    def lost(self, side: Side, reset: bool) -> None:
        """One side is closed: so is the other, after the bytes on their way to it."""
        if not self._ending and self._delay:
            self._later(self._delay, self.end, reset)
        else:
            self.end(reset)

    def _delayed(self, direction: str) -> None:
        if self._waiting[direction] and direction not in self._held:
            self._carry(direction, self._waiting[direction].popleft())

    def _carry(self, direction: str, data: bytes) -> None:
        target = self._far if direction == TO_BROKER else self._near
        if self._ending or target is None or not target.open:
            return
        cut, before = self._cut, self._carried[direction]
        self._carried[direction] = before + len(data)
        if cut is not None and cut.direction == direction and self._carried[direction] >= cut.offset:
            target.transport.write(data[: cut.offset - before])
            self._ending = True
            self._later(LAST_BYTES, self.end, cut.reset)
        else:
            target.transport.write(data)

    def _later(self, delay: float, what: Any, *arguments: Any) -> None:
        def now() -> None:
            self._timers.discard(timer)
            what(*arguments)

        timer: IDelayedCall = self._reactor.callLater(delay, now)
        self._timers.add(timer)

    def _look(self) -> None:
        if self._near.open or (self._far is not None and self._far.open):
            return
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        gone, self.gone = self.gone, Deferred()
        gone.callback(None)


class Side(Protocol):
    """One end's socket."""

    transport: Any

    def __init__(self, direction: str) -> None:
        self.direction = direction
        self.open = False
        self.connection: Connection | None = None

    def connectionMade(self) -> None:
        self.open = True

    def dataReceived(self, data: bytes) -> None:
        if self.connection is not None:
            self.connection.received(self.direction, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.open = False
        if self.connection is not None:
            self.connection.lost(self, not reason.check(type(connectionDone.value)))

    def close(self, reset: bool) -> None:
        """Close the socket."""
        if reset:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()


class _Incoming(Factory):
    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def buildProtocol(self, addr: object) -> Side:
        return _Near(self._proxy)


class _Near(Side):
    def __init__(self, proxy: Proxy) -> None:
        super().__init__(TO_BROKER)
        self._proxy = proxy

    def connectionMade(self) -> None:
        super().connectionMade()
        self._proxy._came(self)
