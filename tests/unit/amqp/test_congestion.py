"""A broker that does not read: unsent bytes are counted, and their bound is told. On real sockets."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.channel import Channel
from rpc.errors import AMQPError
from tests.unit.amqp.peer import OPEN_OK, START, Peer, delivery, method, tune
from tests.unit.amqp.test_tls import TLSTestCase
from tests.unit.amqp.test_writes import Pair

LIMIT = 1_000_000
BODY = b"x" * 50_000


class CongestionTests(SynchronousTestCase):
    """A connection on a socket whose other end reads when the test says so."""

    def setUp(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.theirs.close)
        self.theirs.setblocking(False)
        self.reactor = MemoryReactorClock()
        self.peer = Peer(send_buffer_max=LIMIT)
        self.connection = self.peer.connection
        self.told: list[str | None] = []
        self.connection.on_blocked = self.told.append
        self.socket = Pair(ours, self.connection, self.reactor)
        self.connection.makeConnection(self.socket)
        self.peer.feed(START, tune(), OPEN_OK)
        opening = self.connection.open_channel()
        self.peer.feed(method(1, "channel.open-ok", b""))
        self.channel: Channel = self.successResultOf(opening)
        self.read()

    def publish(self, count: int) -> None:
        """Publish so many messages, with a turn of the reactor after each."""
        for _ in range(count):
            self.channel.publish("", "q", b"\x00\x00", BODY)
            self.turn()

    def turn(self) -> Any:
        """Let the reactor write once; return why the socket is to be closed, if it is."""
        return next((writer.doWrite() for writer in list(self.reactor.getWriters())), None)

    def read(self) -> int:
        """Read all that comes, and return its size."""
        size = 0
        while True:
            self.turn()
            try:
                size += len(self.theirs.recv(1_000_000))
            except BlockingIOError:
                if not self.reactor.getWriters():
                    return size

    def test_tells_that_the_broker_does_not_read(self) -> None:
        """Above the bound the connection is blocked; it is again open when all is sent."""
        sent = 0
        while not self.told:
            self.publish(1)
            sent += 1
            self.assertLess(sent * len(BODY), 5 * LIMIT)
        self.assertEqual(self.told, [self.connection.blocked])
        self.assertRegex(str(self.told[0]), r"^it does not read, and 10[0-9]{5} bytes are unsent$")
        self.publish(10)
        self.assertEqual(len(self.told), 1)
        self.assertGreater(self.read(), sent * len(BODY))
        self.assertEqual((self.told[1:], self.connection.blocked), ([None], None))

    def test_counts_within_a_pass(self) -> None:
        """Messages that are published while bytes are read count as well, large and small ones."""

        def answer(_: object) -> None:
            for body in (BODY, b"x" * 200_000):
                self.channel.publish("", "q", b"\x00\x00", body)

        self.channel.consume("q", answer, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"))
        for tag in range(1, 20):
            self.peer.feed(delivery(1, "c1", tag, b""))
            self.turn()
        self.assertEqual(len(self.told), 1)
        self.read()
        self.assertEqual(self.told[1:], [None])

    def test_knows_a_broker_that_reads(self) -> None:
        """Any number of bytes may pass a buffer that is never empty, when the broker takes them."""
        self.publish(10)
        for _ in range(100):
            self.publish(1)
            self.turn()
            try:
                self.theirs.recv(len(BODY) + 1000)
            except BlockingIOError:
                self.fail("nothing was sent")
        self.assertEqual(self.told, [])
        self.read()

    def test_alarm_and_congestion_are_one_state(self) -> None:
        """The broker's own alarm is told first; the connection is open again when both are over."""
        self.publish(50)
        congested = self.told[0]
        self.peer.feed(method(0, "connection.blocked", "low on memory"))
        self.peer.feed(method(0, "connection.unblocked"))
        self.assertEqual(self.told[1:], ["low on memory", congested])
        self.peer.feed(method(0, "connection.blocked", "low on memory"))
        self.read()
        self.assertEqual(self.connection.blocked, "low on memory")
        self.peer.feed(method(0, "connection.unblocked"))
        self.assertIsNone(self.connection.blocked)

    def test_closes_when_all_is_sent(self) -> None:
        """A congested connection that is ended still sends its output, and then closes."""
        self.publish(50)
        self.connection.hang_up(AMQPError("enough"))
        self.assertIsNone(self.socket.producer)
        reasons = []
        while self.reactor.getWriters():
            reasons.append(self.turn())
            with contextlib.suppress(BlockingIOError):
                self.theirs.recv(1_000_000)
            if reasons[-1] is not None:
                self.reactor.removeWriter(self.socket)
        self.assertIsNotNone(reasons[-1])

    def test_counts_nothing_without_a_limit(self) -> None:
        """With 0 no producer is registered."""
        peer = Peer(send_buffer_max=0)
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        pair = Pair(ours, peer.connection, self.reactor)
        peer.connection.makeConnection(pair)
        self.assertIsNone(pair.producer)


class CongestionWithTLSTests(TLSTestCase):
    """The same with TLS: the bytes that the broker does not read are in the socket's buffer, below it."""

    def setUp(self) -> None:
        super().setUp()
        ours, self.theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.theirs.close)
        self.theirs.setblocking(False)
        self.reactor = MemoryReactorClock()
        self.broker = self.server("broker.invalid")
        self.peer = Peer(send_buffer_max=LIMIT)
        self.told: list[str | None] = []
        self.peer.connection.on_blocked = self.told.append
        creator = self.tls("verify=verify_none").handshake_with("broker.invalid")
        factory: Any = TLSMemoryBIOFactory(creator, True, Factory.forProtocol(lambda: self.peer.connection))
        self.below = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5671))
        self.below.makeConnection(Pair(ours, self.below, self.reactor))
        self.read()
        for frames in (START, tune(), OPEN_OK):
            self.feed(frames)
        opening = self.peer.connection.open_channel()
        self.feed(method(1, "channel.open-ok", b""))
        self.channel: Channel = self.successResultOf(opening)
        self.flushWarnings()

    def feed(self, frames: bytes) -> None:
        """Feed the connection with frames of the broker."""
        self.broker.sendall(frames)
        self.read()

    def read(self) -> None:
        """Let the reactor write, and the broker read and answer, until nothing is left."""
        while True:
            for writer in list(self.reactor.getWriters()):
                writer.doWrite()
            with contextlib.suppress(BlockingIOError):
                self.broker.bio_write(self.theirs.recv(1_000_000))
            with contextlib.suppress(SSL.WantReadError):
                self.broker.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                while True:
                    self.broker.recv(1_000_000)
            try:
                self.below.dataReceived(self.broker.bio_read(1_000_000))
            except SSL.WantReadError:
                if not self.reactor.getWriters():
                    return

    def test_tells_that_the_broker_does_not_read(self) -> None:
        """Above the bound the connection is blocked; it is open again when all is sent."""
        for _ in range(5 * LIMIT // len(BODY)):
            self.channel.publish("", "q", b"\x00\x00", BODY)
            for writer in list(self.reactor.getWriters()):
                writer.doWrite()
        self.assertEqual(len(self.told), 1)
        self.assertRegex(str(self.told[0]), r"^it does not read, and 10[0-9]{5} bytes are unsent$")
        self.read()
        self.assertEqual(self.told[1:], [None])
