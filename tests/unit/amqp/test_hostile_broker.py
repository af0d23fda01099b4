"""The client against a hostile broker: a session of the embedded broker, changed in every way.

After any bytes, the connection goes on or ends with an ``AMQPError``, and then nothing is pending.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rpc.errors import AMQPError
from tests.unit.amqp.peer import OPEN_OK, START, Peer, content, delivery, frame, method, read_frames, returned, tune
from tests.unit.broker.peer import Client, new_broker

CONSUMER = "c1"
"""The tag that the client gives its first consumer."""


def recorded_session() -> list[bytes]:
    """Return the frames that the embedded broker writes on channel 1 of a client that declares, consumes, publishes and
    is cancelled.
    """
    client = Client(new_broker()).login(frame_max=4096)
    client.feed(method(1, "channel.open", ""))
    client.send(1, "confirm.select", False)
    client.send(1, "queue.declare", 0, "q", False, False, False, False, False, {})
    client.consume(1, "q", CONSUMER)
    for size in (0, 5, 10_000):
        client.publish(1, "", "q", b"x" * size, largest=4088)
    client.publish(1, "", "nowhere", b"back", mandatory=True)
    client.send(1, "queue.delete", 0, "q", False, False, False)
    stream = client.raw()
    frames = []
    while stream:
        size = int.from_bytes(stream[3:7], "big") + 8
        frames.append(stream[:size])
        stream = stream[size:]
    return frames


SESSION = recorded_session()

STRANGE = [
    *SESSION,
    method(0, "connection.blocked", "why"),
    method(0, "connection.unblocked"),
    method(0, "connection.close", 320, "CONNECTION_FORCED", 0, 0),
    method(0, "connection.close-ok"),
    method(1, "channel.close", 404, "NOT_FOUND", 60, 40),
    method(1, "channel.close-ok"),
    method(1, "channel.flow", False),
    method(1, "basic.cancel", CONSUMER, False),
    method(1, "basic.nack", 1, True, False),
    method(1, "basic.ack", 2**63, True),
    method(7, "channel.open-ok", b""),
    method(0, "queue.declare-ok", "q", 0, 0),
    method(1, "queue.declare", 0, "q", False, False, False, False, False, {}),
    START,
    tune(),
    OPEN_OK,
    delivery(1, "unknown", 1, b"body"),
    returned(1, b"body"),
    *content(1, b"alone"),
    frame(8, 0, b""),
    frame(8, 1, b""),
    frame(4, 0, b"unknown"),
    frame(1, 1, b""),
    frame(1, 1, b"\x00\x3c\x00\x3c\xff"),
    frame(2, 1, b"\x00\x3c\x00\x00" + b"\xff" * 8 + b"\xff\xfe"),
    b"AMQP\x00\x00\x09\x01",
    b"\x00",
]

changes = some.one_of(
    some.tuples(some.just("cut"), some.integers(0, 400), some.integers(1, 9)),
    some.tuples(some.just("put"), some.integers(0, 400), some.binary(min_size=1, max_size=9)),
    some.tuples(some.just("over"), some.integers(0, 400), some.binary(min_size=1, max_size=9)),
)
sizes = some.lists(some.integers(1, 5000), min_size=1, max_size=5)


def changed(stream: bytes, change: tuple[str, int, int | bytes]) -> bytes:
    """Return `stream` with bytes that are cut, inserted, or overwritten."""
    how, place, what = change
    if isinstance(what, int):
        return stream[:place] + stream[place + what :]
    return stream[:place] + what + stream[place + (len(what) if how == "over" else 0) :]


class HostileBrokerTests(SynchronousTestCase):
    """A client that is open, with a channel, a consumer and pending methods."""

    def play(self, stream: bytes, chunk_sizes: list[int]) -> list[Any]:
        """Let the client receive `stream`, then lose the connection, and check that nothing is left.

        :return: the results of the pending methods.
        """
        peer = Peer(frame_max=4096, heartbeat=9).open(frame_max=4096)
        waiting: list[Deferred[Any]] = []
        told: list[Any] = []
        opening = peer.connection.open_channel()
        waiting.append(opening)
        channel: Any = peer.connection.channels[1]
        channel.on_return = channel.on_confirm = lambda *_: None
        channel.on_closed = told.append
        waiting.append(channel.confirm_select())
        waiting.append(channel.queue_declare(queue="q"))
        waiting.append(channel.consume("q", lambda each: each.properties, lambda: told.append("cancelled")))
        waiting.append(channel.queue_delete(queue="q"))
        ends: list[Any] = []
        for deferred in waiting:
            deferred.addBoth(ends.append)
        at, turn = 0, 0
        while at < len(stream) and not peer.aborted:
            size = chunk_sizes[turn % len(chunk_sizes)]
            peer.feed(stream[at : at + size])
            at, turn = at + size, turn + 1
        read_frames(peer.transport.value())  # raises for bytes that are no frames
        if peer.reason is not None:
            self.assertIsInstance(peer.reason, AMQPError)
        peer.lose()
        self.flush_complaints()
        self.assertEqual(len(ends), len(waiting))
        for end in ends:
            self.assertIsInstance(getattr(end, "value", AMQPError()), AMQPError, end)
        self.assertEqual((peer.connection.channels, peer.clock.getDelayedCalls()), ({}, []))
        return ends

    def flush_complaints(self) -> None:
        """Check that all logged errors are those of a consumer that reads malformed properties."""
        for failure in self.flushLoggedErrors():
            self.assertIsInstance(failure.value, AMQPError, failure.getTraceback())

    def test_accepts_the_session_itself(self) -> None:
        """The session, whole and byte by byte, ends without an error."""
        stream = b"".join(SESSION)
        for chunk_sizes in ([len(stream)], [1]):
            ends = self.play(stream, chunk_sizes)
            self.assertEqual([end for end in ends if isinstance(end, Failure)], [])

    @settings(max_examples=150)
    @given(some.lists(changes, min_size=1, max_size=4), some.integers(0, 12_000), sizes)
    def test_survives_a_changed_session(
        self, made: list[tuple[str, int, int | bytes]], end: int, chunk_sizes: list[int]
    ) -> None:
        """Bytes are lost, added or overwritten, and the session ends anywhere."""
        stream = b"".join(SESSION)
        for change in made:
            stream = changed(stream, change)
        self.play(stream[: end or None], chunk_sizes)

    @settings(max_examples=150)
    @given(some.lists(some.sampled_from(STRANGE), max_size=20), sizes)
    def test_survives_frames_in_any_order(self, frames: list[bytes], chunk_sizes: list[int]) -> None:
        """Frames that belong to a session and frames that do not."""
        self.play(b"".join(frames), chunk_sizes)

    @settings(max_examples=100)
    @given(some.integers(0, len(SESSION)), some.integers(0, 255), some.integers(0, 3), some.binary(max_size=60), sizes)
    def test_survives_any_frame_at_any_point(
        self, at: int, kind: int, channel: int, payload: bytes, chunk_sizes: list[int]
    ) -> None:
        """A frame with any payload, at any point."""
        self.play(b"".join([*SESSION[:at], frame(kind, channel, payload), *SESSION[at:]]), chunk_sizes)

    @settings(max_examples=60)
    @given(some.binary(max_size=200), sizes, some.booleans())
    def test_survives_any_bytes_before_it_is_open(self, garbage: bytes, chunk_sizes: list[int], started: bool) -> None:
        """``ready`` fails, when the connection is lost at the latest."""
        peer = Peer().connect()
        stream = (START if started else b"") + garbage
        at, turn = 0, 0
        while at < len(stream):
            size = chunk_sizes[turn % len(chunk_sizes)]
            peer.feed(stream[at : at + size])
            at, turn = at + size, turn + 1
        peer.lose()
        self.flush_complaints()
        self.assertIsInstance(peer.outcome.value, AMQPError)
        self.assertEqual(peer.clock.getDelayedCalls(), [])
