"""Bytes that are no session, or nearly one: the broker closes that connection at most. Other clients notice nothing."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rpc.amqp.codec.frames import PROTOCOL_HEADER
from rpc.messages import Properties
from tests.unit.amqp.peer import HEARTBEAT, frame, method, read_frames
from tests.unit.broker.hostile_case import REPLY_TO, SERVICE, HostileCase
from tests.unit.broker.peer import Client, publish, start_ok

HANDSHAKE = (
    PROTOCOL_HEADER,
    start_ok(),
    method(0, "connection.tune-ok", 2047, 131072, 0),
    method(0, "connection.open", "/", "", False),
)
WORK = (
    method(1, "channel.open", ""),
    method(1, "confirm.select", False),
    method(1, "exchange.declare", 0, "e", "topic", False, False, True, False, False, {"alternate-exchange": "f"}),
    method(
        1,
        "queue.declare",
        0,
        "q",
        False,
        True,
        False,
        True,
        False,
        {
            "x-message-ttl": 1000,
            "x-expires": 9000,
            "x-max-length": 3,
            "x-dead-letter-exchange": "",
            "x-max-priority": 2,
        },
    ),
    method(1, "queue.bind", 0, "", "e", "#.a", False, {}),
    method(1, "basic.qos", 0, 2, False),
    method(1, "basic.consume", 0, "q", "t", False, False, False, False, {"x-priority": 3}),
    publish(
        1, "e", "b.a", b"one", properties=Properties(headers={"n": [1, {"b": True}]}, expiration="7"), mandatory=True
    ),
    publish(1, "e", "none", b"two" * 2000, mandatory=True, largest=4088),
    publish(1, "", SERVICE, b"three"),
    HEARTBEAT,
    method(1, "basic.ack", 1, False),
    method(2, "channel.open", ""),
    method(2, "basic.get", 0, "q", False),
    method(2, "basic.consume", 0, REPLY_TO, "r", False, True, False, False, {}),
    publish(2, "", "q", b"four", properties=Properties(reply_to=REPLY_TO)),
    publish(1, "", "q"),
    method(1, "basic.nack", 0, True, True),
    method(2, "channel.close", 200, "", 0, 0),
    method(0, "connection.close", 200, "", 0, 0),
)
SESSION = (*HANDSHAKE, *WORK)

states = st.integers(0, len(HANDSHAKE))
sizes = st.lists(st.integers(1, 300), min_size=1, max_size=5)
places, octets = st.integers(0, 2**16), st.binary(min_size=1, max_size=12)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("put"), places, octets),
        st.tuples(st.just("insert"), places, octets),
        st.tuples(st.just("cut"), places, st.integers(1, 400)),
        st.tuples(st.just("repeat"), places, st.integers(1, 400)),
    ),
    max_size=4,
)


def changed(stream: bytes, change: tuple[str, int, bytes | int]) -> bytes:
    """`stream` with some bytes replaced, inserted, removed or repeated."""
    how, place, what = change
    place %= len(stream) + 1
    if isinstance(what, bytes):
        return stream[:place] + what + stream[place + (len(what) if how == "put" else 0) :]
    return stream[:place] + stream[place + what if how == "cut" else max(0, place - what) :]


def in_chunks(stream: bytes, sizes: list[int]) -> list[bytes]:
    """`stream` in chunks of these sizes, again and again."""
    chunks: list[bytes] = []
    at = 0
    while at < len(stream):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(stream[at : at + size])
        at += size
    return chunks


class HostileBytesTests(HostileCase):
    """Any bytes, in chunks of any size."""

    def assert_survived(self, *streams: list[bytes]) -> None:
        """Each stream of chunks, on a connection of its own, harms no other client and leaves nothing behind."""
        self.restart_broker()
        for chunks in streams:
            hostile = Client(self.broker)
            hostile.feed(*chunks)
            answer = hostile.raw()
            if answer != PROTOCOL_HEADER:  # the answer to another protocol
                read_frames(answer)
            self.assert_unharmed()
            self.clock.advance(0.5)
            self.assert_nothing_left(hostile)

    def test_the_unchanged_session_is_valid(self) -> None:
        """The broker answers its close. The other tests change this session."""
        for sizes in ([1], [7, 300], [100_000]):
            hostile = Client(self.broker)
            hostile.feed(*in_chunks(b"".join(SESSION), sizes))
            self.assertTrue(hostile.gone)
            names = hostile.names()
            self.assertNotIn("channel.close", names)
            self.assertEqual(names[-1], "connection.close-ok")
            self.assert_nothing_left(hostile)

    @settings(max_examples=100)
    @given(states, st.binary(max_size=200), sizes)
    @example(0, b"GET / HTTP/1.1\r\n\r\n", [1])
    @example(0, b"AMQP\x00\x01\x00\x00", [1])
    @example(0, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [100])
    @example(1, b"\x01\x00\x00\xff\xff\xff\xff", [1])
    def test_survives_random_bytes(self, state: int, garbage: bytes, sizes: list[int]) -> None:
        """In every state of the handshake."""
        stream = b"".join(HANDSHAKE[:state]) + garbage
        self.assert_survived([stream], in_chunks(stream, sizes))

    @settings(max_examples=100)
    @given(states, st.integers(0, 4), st.integers(0, 3), st.binary(max_size=60), sizes)
    def test_survives_random_payloads_in_valid_frames(
        self, state: int, kind: int, channel: int, garbage: bytes, sizes: list[int]
    ) -> None:
        """In every state of the handshake."""
        stream = b"".join((*HANDSHAKE[:state], WORK[0] if state == 4 else b"", frame(kind, channel, garbage)))
        self.assert_survived([stream], in_chunks(stream, sizes))

    @settings(max_examples=250)
    @given(changes, st.integers(0, 400), sizes)
    def test_survives_a_changed_session(
        self, changes: list[tuple[str, int, bytes | int]], end: int, sizes: list[int]
    ) -> None:
        """Bytes are changed, missing, new or repeated, and the end is cut off."""
        stream = b"".join(SESSION)
        for change in changes:
            stream = changed(stream, change)
        stream = stream[: len(stream) - end]
        self.assert_survived([stream], in_chunks(stream, sizes))

    @settings(max_examples=100)
    @given(st.lists(st.sampled_from(SESSION), max_size=30), states, sizes)
    def test_survives_a_session_in_disorder(self, frames: list[bytes], state: int, sizes: list[int]) -> None:
        """The same frames in any order, each any number of times."""
        stream = b"".join((*HANDSHAKE[:state], *frames))
        self.assert_survived([stream], in_chunks(stream, sizes))

    def test_survives_a_session_that_ends_anywhere(self) -> None:
        """Within any of its bytes."""
        self.restart_broker()
        stream = b"".join(SESSION)
        body = stream.index(b"two" * 100)
        for end in [*range(body), *range(body + 6000, len(stream))][::7]:
            hostile = Client(self.broker)
            hostile.feed(stream[:end])
            hostile.written()
            self.assert_nothing_left(hostile)
