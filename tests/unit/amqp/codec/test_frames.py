"""Incoming frames: in any pieces, in any order, and of any bytes."""

from __future__ import annotations

import struct
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.spec import load_spec
from rpc.amqp.content import Delivery
from rpc.errors import (
    AMQPError,
    CodecError,
    FrameError,
)
from tests.unit.amqp.peer import (
    HEARTBEAT,
    Peer,
    content,
    delivery,
    frame,
    method,
    outcome_of,
    read_frames,
)


class FrameTests(SynchronousTestCase):
    """Incoming bytes, in any pieces."""

    def setUp(self) -> None:
        self.peer = Peer().open()
        self.channel = self.peer.channel()
        self.deliveries: list[Delivery] = []
        consuming = self.channel.consume("q", self.deliveries.append, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"))
        self.assertEqual(self.successResultOf(consuming), "c1")
        self.peer.transport.clear()

    def refused(self, code: int, *chunks: bytes) -> None:
        """The connection is closed with `code`, which the broker is told."""
        self.peer.feed(*chunks)
        error = self.peer.connection.reason
        self.assertIsInstance(error, AMQPError)
        (close,) = self.peer.written()
        self.assertEqual((close.channel, close.name, close.args[0]), (0, "connection.close", code), error)
        self.assertTrue(self.peer.leaving)
        self.peer.feed(HEARTBEAT, *chunks)  # later bytes are not read
        self.assertEqual(self.peer.written(), [])

    def test_reads_deliveries_in_any_pieces(self) -> None:
        """Whole, byte by byte, split at every offset, and with trailing bytes, the same deliveries arrive in order."""
        bodies = [b"", b"1", "zwölf".encode(), bytes(range(256))]
        stream = b"".join(delivery(1, "c1", tag, body, largest=100) for tag, body in enumerate(bodies, 1))
        ways = [[stream], [stream[at : at + 1] for at in range(len(stream))]]
        ways += [[stream[:at], stream[at:]] for at in range(1, len(stream))]
        for chunks in ways:
            self.deliveries.clear()
            self.peer.feed(*chunks)
            self.assertEqual([delivery.body for delivery in self.deliveries], bodies)
        self.deliveries.clear()
        self.peer.feed(stream + HEARTBEAT[:5], HEARTBEAT[5:] + stream)
        self.assertEqual([delivery.delivery_tag for delivery in self.deliveries], [1, 2, 3, 4] * 2)

    def test_keeps_every_byte_of_a_body(self) -> None:
        """A body of several frames keeps every byte, text first or binary first (txAMQP loses or mixes chunks)."""
        for body in (b"text" * 3000 + b"\xff" * 9000, b"\xff" * 9000 + b"text" * 3000, "é".encode() * 9000):
            self.deliveries.clear()
            self.peer.feed(delivery(1, "c1", 1, body, largest=4089))
            self.assertEqual([type(body), body], [type(self.deliveries[0].body), self.deliveries[0].body])

    @settings(max_examples=50)
    @given(st.binary(max_size=3000), st.integers(1, 400), st.lists(st.integers(0, 4000), max_size=6))
    def test_reads_any_body_in_any_frames_and_chunks(self, body: bytes, largest: int, cuts: list[int]) -> None:
        """However a body is framed and however the stream is cut, it arrives as it was sent."""
        self.deliveries.clear()
        stream = delivery(1, "c1", 1, body, largest=largest)
        edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
        self.peer.feed(*(stream[a:b] for a, b in pairwise(edges)))
        self.assertEqual([delivery.body for delivery in self.deliveries], [body])

    def test_reads_other_channels_within_a_body(self) -> None:
        """Methods and contents of other channels may come between a body's frames (txAMQP makes them wait)."""
        other = self.peer.channel()
        others: list[bytes] = []
        other.consume("q", lambda delivery: others.append(delivery.body), lambda: None)
        declared = outcome_of(other.queue_declare(queue="other"))
        begin = method(1, "basic.deliver", "c1", 1, False, "", "")
        header, *pieces = content(1, b"abcdef", largest=3)
        self.peer.feed(begin, method(2, "basic.consume-ok", "c1"), header, delivery(2, "c1", 1, b"others"))
        self.peer.feed(pieces[0], method(2, "queue.declare-ok", "other", 3, 0), HEARTBEAT, pieces[1])
        self.assertEqual(others, [b"others"])
        self.assertEqual(declared[0].message_count, 3)
        self.assertEqual(self.deliveries[0].body, b"abcdef")

    def test_reads_many_frames_without_recursing(self) -> None:
        """Ten thousand deliveries in one chunk are handled in a loop (txAMQP recurses from 200 on)."""
        self.peer.feed(delivery(1, "c1", 1, b"x") * 10_000)
        self.assertEqual(len(self.deliveries), 10_000)

    def test_refuses_a_method_within_a_content(self) -> None:
        """A method on the same channel before its content is complete: 505."""
        begin = method(1, "basic.deliver", "c1", 1, False, "", "")
        header, piece, _ = content(1, b"abcdef", largest=3)
        intruders = [begin, method(1, "basic.ack", 1, False), method(1, "queue.declare-ok", "q", 0, 0)]
        for before in ([begin], [begin, header], [begin, header, piece]):
            for intruder in intruders:
                self.setUp()
                self.refused(505, *before, intruder)
                self.assertEqual(self.deliveries, [])

    def test_refuses_a_content_out_of_order(self) -> None:
        """A header or body that nothing announced: 505; a body longer than its header said: 501."""
        begin = method(1, "basic.deliver", "c1", 1, False, "", "")
        header, piece = content(1, b"abc")
        for code, chunks in (
            (505, [header]),
            (505, [piece]),
            (505, [begin, piece]),
            (505, [begin, header, header]),
            (505, [begin, header, piece, piece]),
            (501, [begin, header, frame(3, 1, b"abcd")]),
        ):
            self.setUp()
            self.refused(code, *chunks)

    def test_refuses_a_channel_that_is_not_open(self) -> None:
        """A frame on a channel that was not opened: 504."""
        for kind in (1, 2, 3, 8):
            self.setUp()
            self.refused(504, frame(kind, 9, b"\x00\x14\x00\x0a"))

    def test_refuses_a_frame_without_its_end(self) -> None:
        """A frame that does not end in 0xCE: 501."""
        self.refused(501, HEARTBEAT[:-1] + b"\xcd")

    def test_refuses_a_frame_of_unknown_type(self) -> None:
        """A frame of a type that AMQP does not have: 501. This far, the peer is known to be a broker."""
        for stranger in (frame(4, 0, b""), b"HTTP/1.1 400 Bad Request", b"AMQP\x00\x00\x09\x01"):
            self.setUp()
            self.refused(501, stranger)
            self.assertIn("a frame of type", str(self.peer.reason))

    def test_refuses_a_frame_over_frame_max(self) -> None:
        """A larger frame is a 501, without waiting for its bytes; one of exactly that size is read."""
        self.peer = Peer(frame_max=4096).open()
        self.channel = self.peer.channel()
        self.channel.consume("q", self.deliveries.append, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"))
        self.peer.transport.clear()
        self.peer.feed(delivery(1, "c1", 1, b"x" * 4088, largest=4088))
        self.assertEqual(len(self.deliveries), 1)
        self.refused(501, struct.pack(">BHI", 3, 1, 4089))

    def test_refuses_unknown_methods(self) -> None:
        """A class or method that AMQP does not have, or that only a broker is asked: 540."""
        for payload in (b"\x00\x63\x00\x01", b"\x00\x3c\x00\x63"):
            self.setUp()
            self.refused(540, frame(1, 1, payload))
        for name, args in (("queue.purge", (0, "q", False)), ("channel.open", (b"",))):
            self.setUp()
            self.refused(540, method(1, name, *args))

    def test_refuses_truncated_arguments(self) -> None:
        """Arguments that end too early: 502, and the next frame's bytes are not read for them."""
        whole = [
            method(1, "basic.deliver", "c1", 1, False, "exchange", "key"),
            method(1, "basic.return", 312, "NO_ROUTE", "exchange", "key"),
            method(1, "basic.ack", 1, False),
            method(1, "channel.close", 404, "NOT_FOUND", 0, 0),
            method(1, "basic.cancel", "c1", True),
        ]
        fixed = {"deliver": 4 + 3 + 9, "return": 4 + 2 + 9}  # the rest is decoded when it is read
        for complete, name in zip(whole, ("deliver", "return", "ack", "close", "cancel"), strict=True):
            payload = complete[7:-1]
            for size in range(fixed.get(name, len(payload))):
                cut = frame(1, 1, payload[:size])
                for chunks in ([cut + b"".join(content(1, b"x"))], [cut, *content(1, b"x")]):
                    self.setUp()
                    self.refused(502, *chunks)
                    self.assertIsInstance(self.peer.reason, FrameError)

    def test_refuses_a_truncated_content_header(self) -> None:
        """A content header cut anywhere before its flags end: 502."""
        begin = method(1, "basic.deliver", "c1", 1, False, "", "")
        payload = struct.pack(">HHQ", 60, 0, 3) + b"\x00\x00"
        for size in range(len(payload)):
            self.setUp()
            self.refused(502, begin + frame(2, 1, payload[:size]) + frame(3, 1, b"abc"))

    def test_leaves_malformed_properties_to_the_consumer(self) -> None:
        """The connection goes on."""
        self.peer.feed(delivery(1, "c1", 1, b"x", properties=b"\xff\xff"), delivery(1, "c1", 2, b"y"))
        self.assertRaises(CodecError, lambda: self.deliveries[0].properties)
        self.assertEqual(self.deliveries[1].body, b"y")

    def test_refuses_methods_on_the_wrong_channel(self) -> None:
        """Class connection belongs on channel 0, and nothing else does: 503."""
        self.refused(503, method(1, "connection.close", 200, "", 0, 0))
        self.setUp()
        self.refused(503, method(0, "channel.close", 200, "", 0, 0))

    def test_refuses_an_answer_without_its_method(self) -> None:
        """An answer without its method, or to another method: 503."""
        self.refused(503, method(1, "queue.bind-ok"))
        self.setUp()
        waiting = outcome_of(self.channel.queue_declare(queue="q"))
        self.peer.transport.clear()
        self.refused(503, method(1, "queue.bind-ok"))
        self.assertIsInstance(waiting[0], FrameError)

    @settings(max_examples=300)
    @given(st.lists(st.binary(max_size=60), max_size=4))
    def test_survives_any_bytes(self, chunks: list[bytes]) -> None:
        """Any bytes after the handshake are read or close the connection. Nothing raises, and nothing stays pending."""
        self.setUp()
        self._survives(chunks)

    @settings(max_examples=300)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([1, 2, 3, 8]),
                st.sampled_from([0, 1, 2]),
                st.tuples(
                    st.sampled_from([(m.klass.id, m.id) for c in load_spec().classes for m in c.methods]),
                    st.binary(max_size=40),
                ),
            ),
            max_size=6,
        )
    )
    def test_survives_any_frames(self, frames: list[tuple[int, int, tuple[tuple[int, int], bytes]]]) -> None:
        """The same for well-formed frames of any methods with any arguments."""
        self.setUp()
        self._survives([frame(kind, channel, struct.pack(">HH", *key) + rest) for kind, channel, (key, rest) in frames])

    def _survives(self, chunks: list[bytes]) -> None:
        waiting = outcome_of(self.channel.queue_declare(queue="q"))
        self.peer.feed(*chunks)
        read_frames(self.peer.transport.value())
        self.assertEqual(self.peer.leaving, self.peer.connection.closed)
        self.peer.lose()
        self.assertEqual(len(waiting), 1)
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])
        self.flushLoggedErrors()
