"""Growth that a hostile peer can cause: each thing has a limit in size or in time."""

from __future__ import annotations

import struct
from typing import Any

from rpc.amqp.codec.frames import PROTOCOL_HEADER
from rpc.amqp.output import SECONDS_TO_CLOSE
from rpc.broker.limits import MAX_UNREAD, Limits
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.publishing import MAX_ROUTES
from rpc.reply_codes import CONNECTION_FORCED
from tests.unit.amqp.peer import BODY, HEADER, HEARTBEAT, frame, method
from tests.unit.broker.hostile_case import REPLY_TO, SERVICE, HostileCase, contents
from tests.unit.broker.peer import BUFFER, Client, publish, start_ok

CHUNK = 65536
"""Bytes of one read from a socket."""


def begun(channel: int, size: int, *pieces: bytes) -> bytes:
    """The beginning of a content: its size, and some pieces."""
    header = frame(HEADER, channel, struct.pack(">HHQ", 60, 0, size) + b"\x00\x00")
    begin = method(channel, "basic.publish", 0, "", SERVICE, False, False)
    return b"".join((begin, header, *(frame(BODY, channel, piece) for piece in pieces)))


class GrowthCase(HostileCase):
    """Clients with a channel."""

    def new_client(self, *, reads: bool = True, channels: int = 1, **limits: Any) -> Client:
        """A client with channels from 1 on. It reads nothing more when `reads` is False."""
        client = Client(self.broker).login(**limits)
        for number in range(channels):
            client.channel(number + 1)
        client.wire.reads = reads
        return client

    def times_heard(self, client: Client, chunk: bytes, most: int) -> int:
        """Send the chunk again and again, until the broker reads no more; return how often it did."""
        for count in range(most):
            if client.wire.producerState != "producing":
                return count
            client.feed(chunk)
        raise AssertionError("the broker goes on reading")


class UnfinishedContentTests(GrowthCase):
    """Messages that are not complete."""

    def test_limits_unfinished_contents_of_a_connection(self) -> None:
        """506 above the limit, over all its channels."""
        self.restart_broker(limits=Limits(contents=100_000))
        hostile = self.new_client(channels=200)
        for number in range(1, 200):
            hostile.feed(begun(number, 2000, bytes(1000)))
            self.assertLess(self.broker.memory.held, 102_000)
            if hostile.names() == ["connection.close"]:
                break
        self.assertGreater(number, 90)
        self.assert_nothing_left(hostile)

    def test_keeps_nothing_of_a_body_that_is_too_large(self) -> None:
        """However much of it is sent."""
        self.restart_broker(limits=Limits(message=10_000))
        hostile = self.new_client()
        hostile.feed(begun(1, 2**64 - 1))
        for _ in range(100):
            hostile.feed(frame(BODY, 1, bytes(10_000)))
            self.assertLess(self.broker.memory.held, 100)
        self.assert_nothing_left(hostile)

    def test_limits_unfinished_contents_of_all_connections(self) -> None:
        """To twice the limit of memory."""
        self.restart_broker(limits=Limits(memory=1_000_000))
        hostile = [self.new_client() for _ in range(30)]
        for _ in range(3):
            for client in hostile:
                client.feed(
                    begun(1, 200_000) if not client.protocol.input.unfinished else b"", frame(BODY, 1, bytes(60_000))
                )
                self.assertLess(self.broker.memory.held, 2_061_000)
        closed = [client for client in hostile if "connection.close" in client.names()]
        self.assertGreater(len(closed), 10)
        self.assert_nothing_left(*hostile)


class SlowReaderTests(GrowthCase):
    """A client that does not read."""

    def test_limits_deliveries_to_a_slow_reader(self) -> None:
        """To the buffer of its transport, and one message."""
        hostile = self.new_client(reads=False)
        queue = self.honest.client.declare(2, "many")
        hostile.consume(1, queue, no_ack=True)
        other = self.new_client()
        for _ in range(100):
            other.publish(1, "", queue, bytes(10_000))
        self.assertLess(len(hostile.wire.waiting), BUFFER + 11_000)
        hostile.wire.reads = True
        self.assertEqual(len(contents(hostile.written())), 100)
        self.assert_nothing_left(hostile, other)

    def asks_for_large_messages(self, then: bytes = b"") -> Client:
        """A client that gets the same large message 30 times, and does not read."""
        hostile = self.new_client()
        hostile.declare(1, "large", exclusive=True)
        hostile.publish(1, "", "large", bytes(200_000))
        hostile.wire.reads = False
        asked = (method(1, "basic.get", 0, "", False) + method(1, "basic.reject", tag, True) for tag in range(1, 31))
        hostile.feed(b"".join(asked) + then)
        return hostile

    def test_postpones_gets_of_a_slow_reader(self) -> None:
        """Few bytes can request many large messages. They are answered in order, as the client reads."""
        hostile = self.asks_for_large_messages(method(1, "queue.purge", 0, "", False))
        self.assertLess(len(hostile.wire.waiting), BUFFER + 201_000)
        self.assertEqual(hostile.wire.producerState, "paused")
        self.assert_unharmed()
        hostile.wire.reads = True
        answers = hostile.written()
        self.assertEqual([each.args[0] for each, _, _ in contents(answers)], [*range(1, 31)])
        self.assertEqual(answers[-1].name, "queue.purge-ok")
        self.assertEqual(hostile.wire.producerState, "producing")
        self.assert_nothing_left(hostile)

    def test_drops_postponed_input_with_its_connection(self) -> None:
        """Nothing of it is left."""
        self.assert_nothing_left(self.asks_for_large_messages())

    def test_closes_a_connection_with_postponed_input(self) -> None:
        """When the client has read everything, or after SECONDS_TO_CLOSE."""
        for reads in (True, False):
            hostile = self.asks_for_large_messages()
            hostile.protocol.close_with_error(ProtocolError(CONNECTION_FORCED, "enough"))
            self.broker.end_pass()
            hostile.wire.reads = reads
            if reads:
                self.assertEqual(hostile.names()[-1], "connection.close")
                hostile.send(0, "connection.close-ok")
            self.clock.advance(0 if reads else SECONDS_TO_CLOSE)
            self.assertTrue(hostile.gone)
            self.assert_nothing_left(hostile)

    def test_keeps_no_input_of_a_connection_that_is_being_closed(self) -> None:
        """It is discarded, up to the close-ok, although the client has not read the close."""
        hostile = self.asks_for_large_messages()
        hostile.protocol.close_with_error(ProtocolError(CONNECTION_FORCED, "enough"))
        self.broker.end_pass()
        for _ in range(10):
            hostile.feed(publish(1, "", "large", bytes(10_000)))
        self.assertFalse(hostile.protocol.back_pressure.has_postponed)
        hostile.send(0, "connection.close-ok")
        hostile.wire.reads = True
        self.assertTrue(hostile.gone)
        self.assert_nothing_left(hostile)

    def test_pauses_input_while_too_many_answers_are_unread(self) -> None:
        """It is read again when they are read."""
        for asked in (
            method(1, "basic.get", 0, "empty", False),
            publish(1, "", "nowhere", bytes(20), mandatory=True),
            method(1, "basic.cancel", "x" * 255, False),
        ):
            hostile = self.new_client()
            hostile.declare(1, "empty", exclusive=True)
            hostile.wire.reads = False
            heard = self.times_heard(hostile, asked * (CHUNK // len(asked)), 1000)
            self.assertGreater(heard, 0)
            self.assertLess(len(hostile.wire.waiting), MAX_UNREAD + 2 * CHUNK)
            self.assert_unharmed()
            hostile.wire.reads = True
            self.assertFalse(hostile.gone)
            self.assertEqual(hostile.wire.producerState, "producing")
            self.assert_nothing_left(hostile)

    def test_drops_direct_replies_to_a_slow_reader(self) -> None:
        """When too many bytes are unread."""
        hostile = self.new_client()
        hostile.consume(1, REPLY_TO, no_ack=True)
        hostile.wire.reads = False
        (address,) = {*self.broker.vhosts["/"].reply_consumers} - {self.honest.address}
        other = self.new_client()
        for _ in range(300):
            other.publish(1, "", address, bytes(100_000))
            self.assertLess(len(hostile.wire.waiting), MAX_UNREAD + 101_000)
        self.assert_nothing_left(hostile, other)

    def test_sends_no_heartbeats_to_a_slow_reader(self) -> None:
        """It has unread bytes, which show that the broker lives."""
        hostile = self.new_client(heartbeat=10)
        hostile.declare(1, "q", exclusive=True)
        hostile.publish(1, "", "q", bytes(CHUNK))
        hostile.wire.reads = False
        hostile.send(1, "basic.get", 0, "q", True)
        waiting = len(hostile.wire.waiting)
        for _ in range(1000):
            self.clock.advance(5)
            hostile.feed(HEARTBEAT)
        self.assertFalse(hostile.gone)
        self.assertEqual(len(hostile.wire.waiting), waiting)
        self.assert_nothing_left(hostile)

    def test_closes_the_socket_of_a_client_that_does_not_read(self) -> None:
        """After SECONDS_TO_CLOSE."""
        for closing in (method(0, "connection.close", 200, "", 0, 0), b"no frame"):
            hostile = self.new_client(reads=False)
            hostile.feed(closing)
            self.assertFalse(hostile.gone)
            self.clock.advance(SECONDS_TO_CLOSE)
            self.assertTrue(hostile.gone)
            self.assert_nothing_left(hostile)


class SilenceTests(GrowthCase):
    """A client that does not go on."""

    def test_limits_the_time_of_a_handshake(self) -> None:
        """In each of its states. Heartbeats do not extend it."""
        steps = [PROTOCOL_HEADER, start_ok(), method(0, "connection.tune-ok", 2047, 131072, 1), b"\x08"]
        for count in range(5):
            hostile = Client(self.broker)
            hostile.feed(*steps[:count])
            self.clock.pump([1] * 3)
            hostile.feed(HEARTBEAT if 0 < count < 4 else b"")
            self.clock.pump([self.broker.limits.handshake - 3.5, 1])
            self.assertTrue(hostile.gone, count)
            self.assert_nothing_left(hostile)

    def test_closes_a_connection_after_two_silent_heartbeats(self) -> None:
        """Its unacked messages are delivered to another client."""
        hostile = self.new_client(heartbeat=10)
        self.honest.client.declare(2, "shared")
        hostile.consume(1, "shared")
        self.honest.client.publish(2, "", "shared", b"work")
        self.assertEqual(hostile.names()[:2], ["basic.consume-ok", "basic.deliver"])
        self.clock.pump([5] * 5)
        self.assertTrue(hostile.gone)
        other = self.new_client()
        other.consume(1, "shared")
        self.assertEqual([body for _, _, body in contents(other.written())], [b"work"])
        self.assert_nothing_left(hostile, other)

    def test_closes_a_connection_without_close_ok(self) -> None:
        """After SECONDS_TO_CLOSE; its input is discarded."""
        hostile = self.new_client()
        hostile.send(1, "tx.select")
        self.assertEqual(hostile.names(), ["connection.close"])
        hostile.feed(method(5, "channel.open", ""), publish(1, "", SERVICE), begun(1, 1000, b"x"), begun(5, 0))
        self.assertEqual(hostile.names(), [])
        self.clock.advance(SECONDS_TO_CLOSE)
        self.assertTrue(hostile.gone)
        self.assert_nothing_left(hostile)

    def test_keeps_the_number_of_a_channel_without_close_ok(self) -> None:
        """Its input is discarded. channel_max limits such channels."""
        hostile = self.new_client(channel_max=10, channels=10)
        for number in range(1, 11):
            hostile.send(number, "basic.get", 0, "none", False)
            hostile.feed(publish(number, "", SERVICE), method(number, "channel.open", ""))
        self.assertEqual(hostile.names(), ["channel.close"] * 10)
        self.assertEqual(hostile.call(11, "channel.open", "").args[0], 530)
        self.assert_nothing_left(hostile)


class CountTests(GrowthCase):
    """Things of which there may be many."""

    def test_limits_the_number_of_connections(self) -> None:
        """Further ones are closed at once."""
        self.restart_broker(limits=Limits(connections=5))
        hostile = [Client(self.broker) for _ in range(100)]
        self.assertEqual([each.gone for each in hostile], [False] * 4 + [True] * 96)
        self.assert_nothing_left(*hostile)

    def test_limits_the_number_of_channels(self) -> None:
        """By the lower number of both peers."""
        hostile = self.new_client(channels=2047)
        self.assertEqual(hostile.call(65535, "channel.open", "").args[0], 530)
        self.assert_nothing_left(hostile)

    def test_limits_cached_routes(self) -> None:
        """Routing keys may be used once and never again."""
        hostile = self.new_client()
        for number in range(MAX_ROUTES + 10):
            hostile.publish(1, "", f"key {number}")
            self.assertLessEqual(len(self.broker.vhosts["/"].routes), MAX_ROUTES)
        self.assert_nothing_left(hostile)

    def test_pauses_publishers_while_memory_is_short(self) -> None:
        """Until memory is free again."""
        self.restart_broker(limits=Limits(memory=1_000_000))
        hostile = self.new_client(capabilities={})
        hostile.declare(1, "q", exclusive=True)
        message = publish(1, "", "q", bytes(10_000))
        self.times_heard(hostile, message * 6, 100)
        self.assertLess(self.broker.memory.held, 1_000_000 + CHUNK)
        self.assertEqual(self.honest.client.call(2, "basic.qos", 0, 0, False).name, "basic.qos-ok")
        self.assert_nothing_left(hostile)

    def test_drops_dead_letters_when_memory_is_exhausted(self) -> None:
        """Above twice the limit."""
        self.restart_broker(limits=Limits(memory=20_000))
        hostile = self.new_client()
        for number in range(10):
            hostile.declare(
                1, f"q{number}", {"x-max-length": 0, "x-dead-letter-exchange": "amq.fanout"}, exclusive=True
            )
            hostile.call(1, "queue.bind", 0, f"q{number}", "amq.fanout", "", False, {})
        hostile.publish(1, "", "q0")
        passes = 0
        while self.broker.memory.held:
            self.assertLess(self.broker.memory.held, 42_000)
            self.honest.client.call(2, "basic.qos", 0, 0, False)
            passes += 1
        self.assertGreater(passes, 1)
        self.clock.advance(0)
        self.assert_nothing_left(hostile)
