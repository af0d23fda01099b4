"""The proxy injects the faults that it names."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tools.faults.proxy import FROM_BROKER, TO_BROKER, Cut, Proxy
from tools.faults.waiting import clock, until


class Peer(Protocol):
    """Remembers the bytes that came, and the reason of the end."""

    transport: Any

    def __init__(self, came: DeferredQueue[Peer] | None = None) -> None:
        self._came = came
        self.received = b""
        self.ended: Deferred[str] = Deferred()

    def connectionMade(self) -> None:
        if self._came is not None:
            self._came.put(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(type(reason.value).__name__)


class Server(Factory):
    """Hands out the connections that came."""

    def __init__(self) -> None:
        self.came: DeferredQueue[Peer] = DeferredQueue()

    def buildProtocol(self, addr: object) -> Peer:
        return Peer(self.came)


class ProxyTests(TestCase):
    """Two ends, and the proxy between them."""

    timeout = 60.0

    def setUp(self) -> None:
        self.server = Server()
        listening = clock.listenTCP(0, self.server, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.proxy = Proxy(clock, listening.getHost().port)
        self.addCleanup(self.proxy.close)

    async def client(self) -> Peer:
        """The client's end alone."""
        client: Any = await TCP4ClientEndpoint(clock, "127.0.0.1", self.proxy.port).connect(Factory.forProtocol(Peer))
        assert isinstance(client, Peer)
        return client

    async def ends(self) -> tuple[Peer, Peer]:
        """A client and the server's end of its connection."""
        client = await self.client()
        return client, await self.server.came.get()

    async def arrives(self, peer: Peer, data: bytes) -> None:
        """Wait until `peer` has received exactly `data`."""
        await until("it arrives", lambda: len(peer.received) >= len(data), 30)
        self.assertEqual(peer.received, data)

    async def test_forwards_bytes_in_both_directions(self) -> None:
        """Without faults, bytes go both ways, and an end is passed on."""
        client, server = await self.ends()
        client.transport.write(b"question")
        await self.arrives(server, b"question")
        server.transport.write(b"answer")
        await self.arrives(client, b"answer")
        server.transport.loseConnection()
        self.assertEqual(await client.ended, "ConnectionDone")
        await until("the proxy forgets it", lambda: not self.proxy.connections, 30)

    async def test_cuts_a_connection_with_a_reset(self) -> None:
        """Exactly so many bytes arrive, and then both ends see a reset."""
        self.proxy.cuts.append(Cut(TO_BROKER, 5, reset=True))
        client, server = await self.ends()
        client.transport.write(b"abc")
        await self.arrives(server, b"abc")
        client.transport.write(b"defgh")
        self.assertEqual(await server.ended, "ConnectionLost")
        self.assertEqual(await client.ended, "ConnectionLost")
        self.assertEqual(server.received, b"abcde")

    async def test_cuts_a_connection_with_fin(self) -> None:
        """With FIN, the bytes before the cut arrive and the connection ends cleanly; the next one is not cut."""
        self.proxy.cuts.append(Cut(FROM_BROKER, 3, reset=False))
        client, server = await self.ends()
        server.transport.write(b"abcdef")
        self.assertEqual(await client.ended, "ConnectionDone")
        self.assertEqual(client.received, b"abc")
        client, server = await self.ends()
        server.transport.write(b"abcdef")
        await self.arrives(client, b"abcdef")

    async def test_holds_one_direction_and_releases_it(self) -> None:
        """One direction is silent, the other goes on; held bytes arrive in order."""
        client, server = await self.ends()
        self.proxy.hold(FROM_BROKER)
        server.transport.write(b"first ")
        client.transport.write(b"question")
        await self.arrives(server, b"question")
        self.assertEqual(client.received, b"")
        self.proxy.release()
        server.transport.write(b"second")
        await self.arrives(client, b"first second")

    async def test_delays_all_bytes_in_order(self) -> None:
        """Bytes take as long as they are told to, and stay in order."""
        self.proxy.delay = 0.2
        client, server = await self.ends()
        began = clock.seconds()
        for number in range(10):
            client.transport.write(b"%d" % number)
        await self.arrives(server, b"0123456789")
        self.assertGreaterEqual(clock.seconds() - began, 0.2)

    async def test_rejects_the_next_connections(self) -> None:
        """So many connections are reset at once, and the next is taken."""
        self.proxy.refusals = 1
        client = await self.client()
        self.assertEqual(await client.ended, "ConnectionLost")
        client, server = await self.ends()
        client.transport.write(b"question")
        await self.arrives(server, b"question")
        self.assertEqual(len(self.proxy.attempts), 2)
