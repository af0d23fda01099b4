"""A reactor in memory on which a test plays every broker that is connected to."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.unit.amqp.peer import OPEN_OK, START, Written, method, read_frames, tune

ADDRESS = IPv4Address("TCP", "192.0.2.1", 5672)


class Socket:
    """One TCP connection that the client asked for."""

    def __init__(self, reactor: MemoryReactorClock, host: str, port: int, factory: Any) -> None:
        self.where = (host, port)
        self._reactor = reactor
        self.transport = StringTransport(peerAddress=ADDRESS)
        self._factory = factory
        self._protocol: Any = None

    def refuse(self) -> None:
        """Refuse the connection."""
        self._factory.clientConnectionFailed(None, Failure(ConnectError(111, "Connection refused")))
        self._reactor.advance(0.5)  # the endpoint looks for another address

    def accept(self) -> Socket:
        """Accept the connection."""
        self._protocol = self._factory.buildProtocol(ADDRESS)
        self._protocol.makeConnection(self.transport)
        return self

    def log_in(self) -> Socket:
        """Accept, and play the broker's part of the handshake."""
        self.accept().feed(START, tune(), OPEN_OK)
        return self

    def feed(self, *chunks: bytes) -> None:
        """Let the client receive each chunk."""
        for chunk in chunks:
            self._protocol.dataReceived(chunk)

    def written(self) -> list[Written]:
        """Return the frames written since the last call, without the protocol header."""
        data = self.transport.value()
        self.transport.clear()
        return read_frames(data.removeprefix(b"AMQP\x00\x00\x09\x01"))

    def serve(self, refused: bytes = b"") -> list[str]:
        """Answer the client's methods since the last call, until no more come; return the methods' names.

        :param refused: a method with which to answer the first queue.declare instead.
        """
        names = []
        while asked := self.written():
            for frame in asked:
                names.append(frame.name)
                if frame.name == "channel.open":
                    self.feed(method(frame.channel, "channel.open-ok", b""))
                elif frame.name == "channel.close":
                    self.feed(method(frame.channel, "channel.close-ok"))
                elif frame.name == "connection.close":
                    self.feed(method(0, "connection.close-ok"))
                elif frame.name in ("confirm.select", "exchange.declare"):
                    self.feed(method(frame.channel, f"{frame.name}-ok"))
                elif frame.name == "basic.consume":
                    self.feed(method(frame.channel, "basic.consume-ok", frame.args[2]))
                elif frame.name == "queue.declare":
                    self.feed(refused or method(frame.channel, "queue.declare-ok", "q", 0, 0))
                    refused = b""
        return names

    def lose(self) -> None:
        """Lose the connection."""
        self._protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def leaving(self) -> bool:
        """Whether the client asked for the socket to be closed."""
        return bool(self.transport.disconnecting)


@implementer(IHostnameResolver)
class Addresses:
    """Resolves addresses to themselves."""

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        resolutionReceiver.resolutionBegan(None)
        resolutionReceiver.addressResolved(
            (IPv6Address if ":" in hostName else IPv4Address)("TCP", hostName, portNumber)
        )
        resolutionReceiver.resolutionComplete()
        return resolutionReceiver


@implementer(IReactorPluggableNameResolver)  # Twisted 24.11's reactor in memory is not
class BrokerReactor(MemoryReactorClock):
    """Collects the connections asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = Addresses()

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        before, self.nameResolver = self.nameResolver, resolver
        return before

    def socket(self) -> Socket:
        """Return the connection that is asked for now, which must be one."""
        self.advance(0)
        (asked,) = self.tcpClients
        self.tcpClients.clear()
        return Socket(self, asked[0], asked[1], asked[2])

    def timers(self) -> list[Any]:
        """Return the delayed calls."""
        return list(self.getDelayedCalls())
