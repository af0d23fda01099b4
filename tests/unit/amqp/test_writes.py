"""The sizes of reads and writes: on real sockets, with a reactor that does nothing by itself."""

from __future__ import annotations

import socket

from twisted.internet.tcp import Connection as Transport
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.content import Delivery
from tests.unit.amqp.peer import HEARTBEAT, OPEN_OK, START, Peer, delivery, method, read_frames, tune


class Pair(Transport):
    """One end of a pair of sockets, which are connected, and have no TCP_NODELAY."""

    connected = True
    no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Note it."""
        self.no_delay = enabled


class WriteTests(SynchronousTestCase):
    """A connection whose transport is a socket."""

    def setUp(self) -> None:
        self.peer = Peer()
        ours, self.theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.theirs.close)
        self.theirs.setblocking(False)
        self.reactor = MemoryReactorClock()
        self.socket = Pair(ours, self.peer.connection, self.reactor)
        self.peer.connection.makeConnection(self.socket)
        self.peer.feed(START, tune(), OPEN_OK)
        opening = self.peer.connection.open_channel()
        self.peer.feed(method(1, "channel.open-ok", b""))
        self.channel = self.successResultOf(opening)
        self.replies = 1
        self.large: bytes | None = None
        self.acks = False
        self.channel.consume("q", self.reply, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"))
        self.turn()
        self.assertTrue(self.arrived().startswith(b"AMQP"))

    def reply(self, delivery: Delivery) -> None:
        """Answer a delivery as the test has set it: with messages, a large one, and an ack."""
        for _ in range(self.replies):
            self.channel.publish("", "replies", b"\x00\x00", delivery.body)
        if self.large is not None:
            self.channel.publish("", "replies", b"\x00\x00", self.large)
        if self.acks:
            self.channel.ack(delivery.delivery_tag)

    def arrived(self) -> bytes:
        """Return the bytes that have arrived at the other end."""
        try:
            return self.theirs.recv(1_000_000)
        except BlockingIOError:
            return b""

    def turn(self) -> None:
        """Let the reactor write once."""
        for writer in list(self.reactor.getWriters()):
            self.assertIsNone(writer.doWrite())

    def empty(self) -> bytes:
        """Let the reactor write until all is written; return the bytes that have arrived at the other end."""
        received = bytearray()
        while self.reactor.getWriters():
            received += self.arrived()
            self.turn()
        return bytes(received + self.arrived())

    def test_asks_for_no_delay(self) -> None:
        """The system is asked to send each write at once (TCP_NODELAY)."""
        self.assertTrue(self.socket.no_delay)

    def test_sends_small_output_at_once(self) -> None:
        """One reply, and its ack, do not wait for the reactor's next turn, and leave nothing for it to do."""
        for self.acks in (False, True):
            self.peer.feed(delivery(1, "c1", 1, b"x"))
            self.assertEqual([frame.kind for frame in read_frames(self.arrived())], [1, 2, 3] + [1] * self.acks)
            self.assertEqual(self.reactor.getWriters(), [])

    def test_sends_much_output_in_the_next_turn(self) -> None:
        """Many replies are one write of the reactor, behind earlier output."""
        self.replies = 3
        self.peer.feed(delivery(1, "c1", 1, b"x"), delivery(1, "c1", 2, b"y"))
        self.assertEqual(self.arrived(), b"")
        self.replies = 1
        self.peer.feed(delivery(1, "c1", 3, b"z"))
        arrived = self.arrived()
        self.assertEqual(arrived.count(b"replies"), 7)
        self.assertTrue(arrived.endswith(b"z\xce"))
        self.assertEqual(self.reactor.getWriters(), [])

    def test_leaves_a_large_message_to_the_reactor(self) -> None:
        """Small output of the same pass goes with it; the next pass begins anew."""
        self.acks = True
        self.large = bytes(200_000)
        for self.replies in (50, 0):
            self.peer.feed(delivery(1, "c1", 1, b"x"))
            self.assertEqual(self.arrived(), b"")
            self.empty()
        self.acks = False
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        self.empty()
        self.large, self.replies = None, 1
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        self.assertEqual(self.arrived().count(b"replies"), 1)

    def test_large_message_between_passes_changes_nothing(self) -> None:
        """A large message outside of a pass does not delay the output of the next pass."""
        self.channel.publish("", "elsewhere", b"\x00\x00", bytes(200_000))
        self.empty()
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        self.assertEqual(self.arrived().count(b"replies"), 1)

    def test_writes_as_much_as_the_socket_takes(self) -> None:
        """Twisted alone would stop at 128 KiB."""
        self.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        self.channel.publish("", "replies", b"\x00\x00", bytes(1_000_000))
        self.turn()
        self.assertGreater(len(self.arrived()), 150_000)

    def test_leaves_a_full_socket_to_the_reactor(self) -> None:
        """Bytes that a full socket did not take are not offered again before it is writable."""
        self.peer.feed(delivery(1, "c1", 1, bytes(1_000_000), largest=4088))
        self.turn()
        waiting = len(self.socket.dataBuffer) - self.socket.offset
        self.assertGreater(waiting, 0)
        self.peer.feed(delivery(1, "c1", 2, b"x"))
        self.assertEqual(len(self.socket.dataBuffer) - self.socket.offset, waiting)
        self.assertEqual(self.reactor.getWriters(), [self.socket])

    def test_sends_the_rest_when_the_socket_is_writable(self) -> None:
        """A message larger than the socket's buffer arrives whole and in order."""
        self.peer.feed(*(delivery(1, "c1", tag, b"%d" % tag * 1_000_000, largest=131064) for tag in (1, 2)))
        self.assertEqual(self.reactor.getWriters(), [self.socket])
        received = self.empty()
        self.assertEqual((received.count(b"1"), received.count(b"2")), (1_000_000, 1_000_000))
        self.assertLess(received.rindex(b"1"), received.index(b"2"))

    def test_leaves_a_write_error_to_the_reactor(self) -> None:
        """A lost peer does not disturb the pass of reading: the reactor finds the error."""
        self.theirs.close()
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        self.assertEqual(self.reactor.getWriters(), [self.socket])
        self.assertIsNotNone(self.socket.doWrite())

    def test_adapts_reads_to_large_messages(self) -> None:
        """Within a large message reads are made larger, to a bound, and smaller again when there is little to read."""
        stream = delivery(1, "c1", 1, bytes(4_000_000), largest=4088)
        sizes = []
        for read in (65536, 65536, 131072, 262144, 524288, 1048576, len(stream)):
            chunk, stream = stream[:read], stream[read:]
            self.peer.feed(chunk)
            sizes.append(self.socket.bufferSize // 1024)
        for _ in range(5):
            self.peer.feed(HEARTBEAT)
            sizes.append(self.socket.bufferSize // 1024)
        self.assertEqual(sizes, [64, 128, 256, 512, 1024, 1024, 1024, 512, 256, 128, 64, 64])

    def test_keeps_the_size_for_messages_of_about_one_read(self) -> None:
        """The rest of such a message fits into the next read."""
        stream = delivery(1, "c1", 1, bytes(70_000), largest=4088) * 4
        for start in range(0, len(stream), 65536):
            self.peer.feed(stream[start : start + 65536])
            self.assertEqual(self.socket.bufferSize, 65536)

    def test_keeps_the_size_for_many_small_messages(self) -> None:
        """Full reads alone change nothing: thousands of messages in one pass would keep timers from running."""
        for _ in range(3):
            self.peer.feed(HEARTBEAT * 8192)
        self.assertEqual(self.socket.bufferSize, 65536)

    def test_leaves_the_last_output_to_the_reactor(self) -> None:
        """Output of a closing connection is sent by the reactor, which closes the socket afterwards."""
        self.socket.loseConnection()
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        self.assertEqual(self.arrived(), b"")
        self.assertEqual(self.reactor.getWriters(), [self.socket])
