"""A replay with the broker's part played by the test: what is deleted, what stays, and what is said of it."""

from __future__ import annotations

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import decode_properties, encode_properties
from rpc.cli.dead_letters import DeadLetters
from rpc.cli.dead_replay import BYTES_IN_FLIGHT, DRAIN_SECONDS, IN_FLIGHT, Replay, revived
from rpc.errors import AMQPError, ConnectionClosed
from rpc.messages import Properties
from tests.unit.amqp.peer import HEADER, Peer, method, returned
from tests.unit.cli.dead_support import letter

QUEUE = "rpc.Calculator"


class RevivedTests(SynchronousTestCase):
    """The properties of a letter that is replayed."""

    def test_what_goes_and_what_stays(self) -> None:
        """Nobody waits any more, and it has not been delivered yet; all else is as it was."""
        alive = Properties(
            content_type="application/vnd.apache.thrift.compact",
            headers={"user": "Ada", "traceparent": "00-1"},
            delivery_mode=2,
            priority=3,
            correlation_id="c",
            message_id="m",
            timestamp=1,
            type="Calculator.add",
            app_id="a",
        )
        headers = {
            **(alive.headers or {}),
            "rpc-dead-reason": "x",
            "rpc-deliveries": 6,
            "x-delivery-count": 6,
            "CC": ["elsewhere"],
        }
        dead = attrs.evolve(alive, headers=headers, reply_to="q", expiration="1", user_id="eve", delivery_mode=1)
        self.assertEqual(revived(dead), alive)
        self.assertEqual(revived(Properties(headers={"rpc-dead-reason": "x"})), Properties(delivery_mode=2))


class ReplayTests(SynchronousTestCase):
    """Letters held on one connection, published on another."""

    def setUp(self) -> None:
        self.holding = Peer().open()
        self.publishing = Peer().open()
        self.held = self.holding.channel()
        self.replay = Replay(QUEUE)
        self.running: Deferred[None]

    def start(self, count: int, size: int = 1) -> None:
        """Replay so many letters."""
        letters = [letter(number, Properties(message_id=str(number)), b"x" * size) for number in range(1, count + 1)]
        clock = self.holding.clock
        dead = DeadLetters(clock, self.held, f"{QUEUE}.dead")
        self.running = Deferred.fromCoroutine(self.replay.run(clock, dead, self.publishing.channel(), letters))

    def published(self) -> list[str | None]:
        """The message ids of what was published since the last look."""
        frames = self.publishing.written()
        for frame in frames:
            if frame.name == "basic.publish":
                self.assertEqual(frame.args[1:4], ("", QUEUE, True))
        return [decode_properties(frame.payload[12:]).message_id for frame in frames if frame.kind == HEADER]

    def confirm(self, tag: int, multiple: bool = False) -> None:
        """The broker has a letter in the queue."""
        self.publishing.feed(method(1, "basic.ack", tag, multiple))

    def acked(self) -> list[int]:
        """The tags of the dead letters that were acked since the last look."""
        return [frame.args[0] for frame in self.holding.written() if frame.name == "basic.ack"]

    def succeed(self) -> None:
        """The broker says that the acks have been dealt with, and the replay ends."""
        self.assertNoResult(self.running)
        self.holding.feed(method(1, "queue.declare-ok", f"{QUEUE}.dead", 0, 1))
        self.successResultOf(self.running)

    def test_in_turn(self) -> None:
        """The first goes alone, then many at once; each is acked when it is confirmed, and not before."""
        self.start(IN_FLIGHT + 3)
        self.assertEqual(self.published(), ["1"])
        self.assertEqual(self.acked(), [])
        self.confirm(1)
        self.assertEqual(self.acked(), [1])
        self.assertEqual(self.published(), [str(number) for number in range(2, IN_FLIGHT + 2)])
        self.confirm(3)
        self.assertEqual(self.acked(), [3])
        self.assertEqual(len(self.published()), 1)
        self.confirm(IN_FLIGHT + 2, multiple=True)
        self.assertEqual(self.acked(), [2, *range(4, IN_FLIGHT + 3)])
        self.confirm(IN_FLIGHT + 3)
        self.succeed()
        self.assertEqual(len(self.replay.replayed), IN_FLIGHT + 3)
        self.assertEqual((self.replay.staying, self.replay.unanswered, self.replay.removed), ([], [], True))

    def test_large_letters(self) -> None:
        """So many bytes are in flight, and no more."""
        self.start(4, BYTES_IN_FLIGHT // 2)
        self.confirm(1)
        self.assertEqual(self.published(), ["1", "2", "3"])
        self.confirm(2)
        self.assertEqual(self.published(), ["4"])

    def test_refused(self) -> None:
        """A letter that the queue refuses stays; the others do not wait for it."""
        self.start(3)
        self.confirm(1)
        self.publishing.feed(method(1, "basic.nack", 2, False, False))
        self.confirm(3)
        self.succeed()
        self.assertEqual([each.number for each in self.replay.replayed], [1, 3])
        ((stays, reason),) = self.replay.staying
        self.assertEqual((stays.number, reason), (2, f"the queue {QUEUE} refuses it (is it full?)"))

    def test_returned(self) -> None:
        """A queue that vanishes midway: what is not confirmed stays, and no more is sent."""
        self.start(IN_FLIGHT + 9)
        self.confirm(1)
        self.published()
        self.publishing.feed(returned(1, b"x"))
        self.confirm(IN_FLIGHT + 1, multiple=True)
        self.assertEqual((self.published(), self.acked()), ([], [1]))
        self.succeed()
        self.assertEqual(len(self.replay.replayed), 1)
        self.assertEqual(len(self.replay.staying), IN_FLIGHT + 8)
        self.assertIn("no queue", self.replay.staying[0][1])

    def test_what_cannot_be_sent(self) -> None:
        """A letter whose properties cannot be read stays."""
        clock = self.holding.clock
        dead = DeadLetters(clock, self.held, f"{QUEUE}.dead")
        malformed = letter(1, b"\x20\x00\x00\x00\x00\x03\x01a?")
        sound = letter(2, encode_properties(Properties(message_id="2")))
        channel = self.publishing.channel()
        self.running = Deferred.fromCoroutine(self.replay.run(clock, dead, channel, [malformed, sound]))
        self.assertEqual(self.published(), ["2"])
        self.confirm(1)
        self.succeed()
        self.assertEqual([each.number for each, _ in self.replay.staying], [1])

    def test_publishing_lost(self) -> None:
        """What was not confirmed stays, and may have been replayed; the rest was not sent."""
        self.start(IN_FLIGHT + 9)
        self.confirm(1)
        self.publishing.lose()
        self.assertNoResult(self.running)
        self.holding.feed(method(1, "queue.declare-ok", f"{QUEUE}.dead", 0, 1))
        self.failureResultOf(self.running, ConnectionClosed)
        self.assertEqual(self.acked()[:1], [1])
        self.assertEqual([each.number for each in self.replay.unanswered], list(range(2, IN_FLIGHT + 2)))
        self.assertEqual([each.number for each in self.replay.unsent], list(range(IN_FLIGHT + 2, IN_FLIGHT + 10)))
        self.assertTrue(self.replay.removed)

    def test_holding_lost(self) -> None:
        """No more is sent, and nobody knows whether what was replayed is among the dead letters still."""
        self.start(3)
        self.confirm(1)
        self.assertEqual(self.published(), ["1", "2", "3"])
        self.holding.lose()
        self.confirm(3, multiple=True)
        self.failureResultOf(self.running, ConnectionClosed)
        self.assertEqual([each.number for each in self.replay.replayed], [1, 2, 3])
        self.assertFalse(self.replay.removed)

    def test_blocked(self) -> None:
        """A broker that takes no messages says so at the first; this one may be confirmed still."""
        self.start(3)
        self.assertEqual(self.published(), ["1"])
        self.publishing.feed(method(0, "connection.blocked", "low on memory"))
        self.confirm(1)
        self.assertEqual((self.published(), self.acked()), ([], [1]))
        self.assertNoResult(self.running)
        self.holding.feed(method(1, "queue.declare-ok", f"{QUEUE}.dead", 0, 1))
        self.assertIn("low on memory", str(self.failureResultOf(self.running, AMQPError).value))
        self.assertEqual([each.number for each in self.replay.unsent], [2, 3])

    def test_cancelled(self) -> None:
        """What is in flight may still be confirmed, for some seconds."""
        self.start(9)
        self.confirm(1)
        self.published()
        self.running.cancel()
        self.confirm(3, multiple=True)
        self.assertEqual(self.acked(), [1, 2, 3])
        self.holding.clock.advance(DRAIN_SECONDS)
        self.assertNoResult(self.running)
        self.holding.clock.advance(DRAIN_SECONDS)  # the broker says nothing of the acks, either
        self.failureResultOf(self.running, CancelledError)
        self.assertEqual([each.number for each in self.replay.unanswered], [4, 5, 6, 7, 8, 9])
        self.assertFalse(self.replay.removed)
