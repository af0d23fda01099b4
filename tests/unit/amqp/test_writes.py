"""Reading and writing by the right measure: on real sockets, with a reactor that does nothing by itself."""

from __future__ import annotations

import socket

from twisted.internet.tcp import Connection as Transport
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.content import Delivery
from tests.unit.amqp.peer import HEARTBEAT, Peer, delivery, method


class WriteTests(SynchronousTestCase):
    """A connection whose transport is a socket."""

    def setUp(self) -> None:
        self.peer = Peer()
        ours, self.theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.theirs.close)
        self.theirs.setblocking(False)
        self.reactor = MemoryReactorClock()
        self.socket = Transport(ours, self.peer.connection, self.reactor)
        self.socket.connected = True
        self.peer.open()
        self.channel = self.peer.channel()
        self.replies = 1
        self.channel.consume("q", self.reply, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"))
        self.peer.connection.transport = self.socket
        self.peer.connection._socket = self.socket

    def reply(self, delivery: Delivery) -> None:
        """Answer a delivery with so many messages."""
        for _ in range(self.replies):
            self.channel.publish("", "replies", b"\x00\x00", delivery.body)

    def arrived(self) -> bytes:
        """What has come out at the other end."""
        try:
            return self.theirs.recv(1_000_000)
        except BlockingIOError:
            return b""

    def turn(self) -> None:
        """One turn of the reactor, as far as writing goes."""
        for writer in list(self.reactor.getWriters()):
            self.assertIsNone(writer.doWrite())

    def test_a_little_goes_at_once(self) -> None:
        """One reply does not wait for the reactor's next turn, and leaves nothing for it to do."""
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        self.assertEqual(self.arrived().count(b"replies"), 1)
        self.assertEqual(self.reactor.getWriters(), [])

    def test_much_goes_in_the_next_turn(self) -> None:
        """Many replies are one write of the reactor's, and come behind what was written before."""
        self.replies = 3
        self.peer.feed(delivery(1, "c1", 1, b"x"), delivery(1, "c1", 2, b"y"))
        self.assertEqual(self.arrived(), b"")
        self.replies = 1
        self.peer.feed(delivery(1, "c1", 3, b"z"))
        arrived = self.arrived()
        self.assertEqual(arrived.count(b"replies"), 7)
        self.assertTrue(arrived.endswith(b"z\xce"))
        self.assertEqual(self.reactor.getWriters(), [])

    def test_full_socket_is_left_alone(self) -> None:
        """What the socket would not take is not offered again before it has room."""
        self.peer.feed(delivery(1, "c1", 1, bytes(4_000_000), largest=4088))
        self.turn()
        waiting = len(self.socket.dataBuffer) - self.socket.offset
        self.assertGreater(waiting, 0)
        self.peer.feed(delivery(1, "c1", 2, b"x"))
        self.assertEqual(len(self.socket.dataBuffer) - self.socket.offset, waiting)
        self.assertEqual(self.reactor.getWriters(), [self.socket])

    def test_what_does_not_fit_follows(self) -> None:
        """A message over what the socket takes goes on when there is room, whole and in order."""
        self.peer.feed(*(delivery(1, "c1", tag, b"%d" % tag * 1_000_000, largest=131064) for tag in (1, 2)))
        self.assertEqual(self.reactor.getWriters(), [self.socket])
        received = bytearray()
        while self.reactor.getWriters():
            received += self.arrived()
            self.turn()
        received += self.arrived()
        self.assertEqual((received.count(b"1"), received.count(b"2")), (1_000_000, 1_000_000))
        self.assertLess(received.rindex(b"1"), received.index(b"2"))

    def test_error_is_left_to_the_reactor(self) -> None:
        """A peer that is gone does not disturb who is reading: the reactor finds out."""
        self.theirs.close()
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        self.assertEqual(self.reactor.getWriters(), [self.socket])
        self.assertIsNotNone(self.socket.doWrite())

    def test_reads_adapt(self) -> None:
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

    def test_many_small_messages_are_read_as_before(self) -> None:
        """Full reads alone are no reason: thousands of messages in one pass would keep timers from running."""
        for _ in range(3):
            self.peer.feed(HEARTBEAT * 8192)
        self.assertEqual(self.socket.bufferSize, 65536)

    def test_leaving(self) -> None:
        """What is written while the connection is being closed is left to the reactor, which closes it afterwards."""
        self.socket.loseConnection()
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        self.assertEqual(self.arrived(), b"")
        self.assertEqual(self.reactor.getWriters(), [self.socket])
