"""The reader alone: contents that are read in one step, and all that only resembles them."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.frame_reader import HEAD_KEPT, FrameReader
from rpc.amqp.codec.frames import DELIVER
from rpc.amqp.content import size_of
from rpc.errors import FrameError
from tests.unit.amqp.peer import BODY, HEADER, HEARTBEAT, METHOD, content, delivery, frame, method, returned

MAX_PAYLOAD = 40

Event = tuple[int, int, bytes, bytes, bytes]


class Recorder:
    """A channel that notes its methods and contents: channel, method key, arguments, properties and body."""

    def __init__(self, number: int, events: list[Event]) -> None:
        self.number = number
        self.events = events

    def method_arrived(self, key: int, buffer: bytes, start: int, end: int) -> None:
        """Note a method."""
        self.events.append((self.number, key, buffer[start:end], b"", b""))

    def content_arrived(
        self, key: int, buffer: bytes, start: int, end: int, encoded_properties: bytes, body: bytes
    ) -> None:
        """Note a content."""
        self.events.append((self.number, key, buffer[start:end], encoded_properties, body))


def read(chunks: list[bytes]) -> tuple[list[Event], int | None, bytes, int]:
    """Let a reader of channels 0 to 2 read `chunks`; return events, the error's code, unread bytes and expected bytes.

    After an error, the last two do not matter.
    """
    events: list[Event] = []
    reader = FrameReader({number: Recorder(number, events) for number in (0, 1, 2)})
    reader.max_payload = MAX_PAYLOAD
    try:
        for chunk in chunks:
            reader.feed(chunk)
    except FrameError as error:
        return events, error.code, b"", 0
    return events, None, reader.waiting(), reader.expected


def octets(stream: bytes) -> list[bytes]:
    """`stream` in chunks of one byte."""
    return [stream[at : at + 1] for at in range(len(stream))]


def deliver(channel: int, body: bytes = b"") -> bytes:
    """A basic.deliver without its content; or with header and body, each a frame of its own."""
    begin = method(channel, "basic.deliver", "c", 1, False, "", "")
    return begin + b"".join(content(channel, body)) if body else begin


def header(channel: int, size: int, properties: bytes = b"\x00\x00", kind: int = HEADER) -> bytes:
    """A content header; or another frame with its payload."""
    return frame(kind, channel, struct.pack(">HHQ", 60, 0, size) + properties)


def body(channel: int, data: bytes) -> bytes:
    """A frame of a body."""
    return frame(BODY, channel, data)


def unended(whole: bytes) -> bytes:
    """A frame whose last octet is wrong."""
    return whole[:-1] + b"\xcd"


class WholeContentTests(SynchronousTestCase):
    """A whole content is read in one step; all else is read frame by frame."""

    def assert_read(self, stream: bytes, bodies: list[tuple[int, bytes]], code: int | None = None) -> None:
        """Check that `stream` gives these contents (channel and body), then the error; whole or byte by byte."""
        for chunks in ([stream], octets(stream)):
            events, error, _, _ = read(chunks)
            self.assertEqual(([(event[0], event[-1]) for event in events], error), (bodies, code), stream)

    def test_keeps_the_contents_of_two_channels_apart(self) -> None:
        """Contents of the same size on two channels, their frames in any order that AMQP allows, are not mixed up."""
        first, second = (2, b"two"), (1, b"one")
        begin = deliver(2) + header(2, 3)
        self.assert_read(begin + deliver(1) + header(1, 3) + body(2, b"two") + body(1, b"one"), [first, second])
        self.assert_read(begin + deliver(1) + header(1, 3) + body(1, b"one") + body(2, b"two"), [second, first])
        self.assert_read(begin + deliver(1, b"one") + body(2, b"two"), [second, first])
        self.assert_read(deliver(2) + deliver(1, b"one") + header(2, 3) + body(2, b"two"), [second, first])

    def test_refuses_another_frame_in_the_headers_place(self) -> None:
        """A frame of another type in the header's place, or on another channel: 505, and no content. A heartbeat on a
        channel is an error of its own (AMQP 0-9-1, section 4.2.7).
        """
        for kind, code in ((METHOD, 505), (BODY, 505), (HEARTBEAT[0], 501), (4, 501)):
            self.assert_read(deliver(1) + header(1, 3, kind=kind) + body(1, b"one"), [], code)
        self.assert_read(deliver(1) + header(2, 3) + body(1, b"one"), [], 505)

    def test_refuses_another_frame_in_the_bodys_place(self) -> None:
        """A frame of any other type there is an error."""
        self.assert_read(deliver(1) + header(1, 3) + frame(METHOD, 1, b"one"), [], 502)
        self.assert_read(deliver(1) + header(1, 4) + frame(METHOD, 1, b"more"), [], 505)
        self.assert_read(deliver(1) + header(1, 3) + frame(HEADER, 1, b"one"), [], 505)
        self.assert_read(deliver(1) + header(1, 3) + frame(HEARTBEAT[0], 1, b"one"), [], 501)
        self.assert_read(deliver(1) + header(1, 3) + HEARTBEAT + body(1, b"one"), [(1, b"one")])

    def test_needs_every_end_octet(self) -> None:
        """Each of the three frames must have its end octet."""
        frames = [deliver(1), header(1, 3), body(1, b"one")]
        for place in range(3):
            stream = b"".join(unended(each) if at == place else each for at, each in enumerate(frames))
            self.assert_read(stream, [], 501)

    def test_takes_header_and_body_of_the_largest_size(self) -> None:
        """Header and body may be as large as was agreed, and no larger."""
        room = MAX_PAYLOAD - 12
        self.assert_read(deliver(1) + header(1, 3, bytes(room)) + body(1, b"one"), [(1, b"one")])
        self.assert_read(deliver(1) + header(1, 3, bytes(room + 1)) + body(1, b"one"), [], 501)
        self.assert_read(deliver(1, bytes(MAX_PAYLOAD)), [(1, bytes(MAX_PAYLOAD))])
        self.assert_read(deliver(1, bytes(MAX_PAYLOAD + 1)), [], 501)
        self.assert_read(deliver(1) + header(1, 3, b"\x00") + body(1, b"one"), [], 502)

    def test_goes_by_the_size_in_the_header(self) -> None:
        """A shorter body is incomplete, a longer one is refused, also when an end octet is in its place."""
        self.assert_read(deliver(1, b"one")[:-1], [])
        self.assert_read(deliver(1) + header(1, 7) + body(1, b"one") + body(1, b"more"), [(1, b"onemore")])
        self.assert_read(deliver(1) + header(1, 3) + body(1, b"one\xce"), [], 501)

    def test_takes_a_content_without_a_body(self) -> None:
        """A content of no size is whole with its header, so a body behind it belongs to nothing."""
        self.assert_read(deliver(1) + header(1, 0), [(1, b"")])
        self.assert_read(deliver(1) + header(1, 0) + body(1, b""), [(1, b"")], 505)

    def test_refuses_a_frame_by_its_head(self) -> None:
        """A frame whose head is wrong is refused without waiting for its payload."""
        for head in (struct.pack(">BHI", BODY, 1, MAX_PAYLOAD + 1), struct.pack(">BHI", 4, 1, 0)):
            self.assert_read(head, [], 501)
            self.assert_read(head[:-1], [])

    def test_counts_the_bytes_still_to_come(self) -> None:
        """They are those of bodies that have begun: without its header a body has none."""
        for stream, expected in (
            (deliver(1) + deliver(2), 0),
            (deliver(1) + header(1, 90) + deliver(2), 90),
            (deliver(1) + header(1, 90) + body(1, bytes(40)), 50),
            (deliver(1, b"x"), 0),
        ):
            for chunks in ([stream], octets(stream)):
                self.assertEqual(read(chunks)[3], expected)


class BoundsTests(SynchronousTestCase):
    """The reader's memory, and the channels it asks."""

    def setUp(self) -> None:
        self.events: list[Event] = []
        self.large: list[tuple[int, int]] = []
        self.channels: dict[int, Any] = {number: Recorder(number, self.events) for number in (0, 1, 2)}
        self.reader = FrameReader(self.channels, too_large=lambda channel, size: self.large.append((channel, size)))
        self.reader.max_payload = MAX_PAYLOAD
        self.reader.max_content = 10

    def bodies(self) -> list[bytes]:
        """The bodies that have arrived since the last call."""
        arrived = [event[-1] for event in self.events]
        self.events.clear()
        return arrived

    def test_drops_a_body_over_the_bound(self) -> None:
        """It is read to its end, told once and not kept; the next one is taken."""
        pieces = [deliver(1), header(1, 11), body(1, b"123456"), body(1, b"78901"), deliver(1, b"next")]
        for chunks in ([b"".join(pieces)], pieces, octets(b"".join(pieces))):
            for chunk in chunks:
                self.reader.feed(chunk)
            self.assertEqual((self.large, self.bodies()), ([(1, 11)], [b"next"]))
            self.assertEqual((self.reader.held, self.reader.waiting()), (0, b""))
            self.large.clear()

    def test_hands_on_the_beginning_of_a_body_over_the_bound(self) -> None:
        """Without a function for such bodies: the receiver answers its sender. The rest is not held."""
        reader = FrameReader(self.channels)
        reader.max_payload, reader.max_content = 2 * HEAD_KEPT, 100
        size = HEAD_KEPT + 3 * 2 * HEAD_KEPT
        reader.feed(deliver(1) + header(1, size) + body(1, b"a" * (HEAD_KEPT + 1)))
        held = reader.held
        reader.feed(body(1, b"b" * (2 * HEAD_KEPT)) + body(1, b"c" * (2 * HEAD_KEPT)))
        self.assertEqual((reader.held, self.bodies()), (held, []))
        reader.feed(body(1, b"d" * (2 * HEAD_KEPT - 1)) + deliver(1, b"next"))
        cut, following = self.bodies()
        self.assertEqual((cut, size_of(cut), reader.held), (b"a" * HEAD_KEPT, size, 0))
        self.assertEqual((following, size_of(following)), (b"next", 4))

    def test_takes_a_body_at_the_bound(self) -> None:
        """A body of exactly that size is taken, whole or in parts."""
        for stream in (deliver(1, bytes(10)), deliver(1) + header(1, 10) + body(1, bytes(4)) + body(1, bytes(6))):
            self.reader.feed(stream)
        self.assertEqual((self.bodies(), self.large), ([bytes(10)] * 2, []))

    def test_holds_no_body_over_the_bound(self) -> None:
        """Of such a content only arguments and properties are held, until its end."""
        self.reader.feed(deliver(1) + header(1, 2**40))
        held = self.reader.held
        for _ in range(50):
            self.reader.feed(body(1, bytes(MAX_PAYLOAD)))
        self.assertEqual((self.reader.held, self.reader.expected), (held, 2**40 - 50 * MAX_PAYLOAD))

    def test_counts_the_bytes_it_holds(self) -> None:
        """Arguments, properties and partial bodies of all channels count, until a content is complete."""
        arguments = len(deliver(1)) - 12  # the frame, and the class and method ids
        sent = (
            (deliver(1), arguments),
            (header(1, 5, b"\x80\x00\x01a"), arguments + 4),
            (body(1, b"123"), arguments + 7),
            (deliver(2), 2 * arguments + 7),
            (HEARTBEAT, 2 * arguments + 7),
            (body(1, b"45"), arguments),
            (header(2, 0), 0),
        )
        for frame_sent, held in sent:
            self.reader.feed(frame_sent)
            self.assertEqual(self.reader.held, held)

    def test_forgets_a_channel(self) -> None:
        """An ended channel has no content; the others keep theirs, and its number can be used anew."""
        self.reader.feed(deliver(1) + header(1, 5) + body(1, b"123") + deliver(2) + header(2, 3))
        self.reader.forget(1)
        self.reader.forget(1)
        self.reader.feed(deliver(1, b"new") + body(2, b"two"))
        self.assertEqual((self.bodies(), self.reader.held), ([b"new", b"two"], 0))
        self.reader.feed(deliver(1) + header(1, 5))
        self.reader.forget(1)
        self.assertEqual(self.assertRaises(FrameError, self.reader.feed, body(1, b"12345")).code, 505)

    def test_clears_everything_partial(self) -> None:
        """All that has come in part is gone."""
        self.reader.feed(deliver(1) + header(1, 5) + body(1, b"123")[:-1])
        self.reader.clear()
        self.assertEqual((self.reader.held, self.reader.expected, self.reader.waiting()), (0, 0, b""))
        self.reader.feed(deliver(1, b"new"))
        self.assertEqual(self.bodies(), [b"new"])

    def test_asks_for_the_receiver_of_an_unknown_channel(self) -> None:
        """The named receiver takes the channel's frames; without one the reading ends (504)."""
        self.assertEqual(self.assertRaises(FrameError, self.reader.feed, method(7, "tx.select")).code, 504)
        asked: list[int] = []

        def unknown(number: int) -> Recorder:
            asked.append(number)
            return Recorder(-number, self.events)

        reader = FrameReader(self.channels, unknown)
        for stream in (method(7, "tx.select"), deliver(8, b"x"), deliver(1, b"y")):
            reader.feed(stream)
        self.assertEqual([(event[0], event[-1]) for event in self.events], [(-7, b""), (-8, b"x"), (1, b"y")])
        self.assertEqual({*asked}, {7, 8})

    def test_hands_frames_to_a_channel_opened_in_the_same_bytes(self) -> None:
        """A channel that a method opens gets the frames behind it."""

        def unknown(number: int) -> Recorder:
            self.channels[number] = Recorder(number, self.events)
            return Recorder(0, self.events)

        reader = FrameReader(self.channels, unknown)
        reader.feed(method(7, "channel.open", "") + deliver(7, b"x"))
        self.assertEqual([(event[0], event[-1]) for event in self.events], [(0, b""), (7, b"x")])

    def test_stops_when_it_is_told(self) -> None:
        """A stopped reader hands on nothing more of the bytes at hand."""
        stop = self.channels[2] = Recorder(2, self.events)
        stop.method_arrived = lambda *_: setattr(self.reader, "stopped", True)  # type: ignore[method-assign]
        self.reader.feed(deliver(1, b"before") + method(2, "tx.select") + deliver(1, b"after"))
        self.assertEqual(self.bodies(), [b"before"])


bodies = st.binary(max_size=60)
pieces = st.one_of(
    st.builds(delivery, st.integers(1, 2), st.just("c"), st.just(1), bodies, largest=st.just(20)),
    st.builds(returned, st.integers(1, 2), bodies, largest=st.just(MAX_PAYLOAD)),
    st.builds(method, st.integers(1, 2), st.just("basic.ack"), st.integers(0, 9), st.booleans()),
    st.builds(deliver, st.integers(1, 2), bodies),
    st.builds(deliver, st.integers(1, 2)),
    st.builds(header, st.integers(0, 3), st.integers(0, 4), kind=st.sampled_from([METHOD, HEADER, BODY, 8, 9])),
    st.builds(body, st.integers(0, 3), st.binary(max_size=4)),
    st.just(HEARTBEAT),
    st.binary(max_size=8),
)
changes = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=2)


class AnyStreamTests(SynchronousTestCase):
    """The same bytes are the same messages, or the same error, in any pieces."""

    @settings(max_examples=500)
    @given(st.lists(pieces, max_size=6).map(b"".join), changes, st.integers(0, 20))
    def test_reads_the_same_in_any_pieces(self, stream: bytes, changed: list[tuple[int, int]], cut: int) -> None:
        """Frames right and wrong, with bytes changed and the last ones missing."""
        octets_of_it = bytearray(stream)
        for place, byte in changed:
            if place < len(stream):
                octets_of_it[place] = byte
        stream = bytes(octets_of_it[: max(0, len(stream) - cut)])
        self.assertEqual(read([stream]), read(octets(stream)))

    @settings(max_examples=100)
    @given(st.lists(st.tuples(bodies, bodies), min_size=1, max_size=3), st.data())
    def test_keeps_two_channels_in_order(self, sent: list[tuple[bytes, bytes]], data: Any) -> None:
        """The frames of two channels, between each other in any way: each channel gets its own, in its order."""
        queues = [
            [one for each in sent for one in (deliver(number), *content(number, each[number - 1], largest=MAX_PAYLOAD))]
            for number in (1, 2)
        ]
        stream = b""
        while any(queues):
            queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
            stream += queue.pop(0)
        for chunks in ([stream], octets(stream)):
            events, error, kept, _ = read(chunks)
            self.assertEqual((error, kept, {key for _, key, *_ in events}), (None, b"", {DELIVER}))
            for number in (1, 2):
                arrived = [event[-1] for event in events if event[0] == number]
                self.assertEqual(arrived, [each[number - 1] for each in sent])
