"""A replay; the test plays the broker."""

from __future__ import annotations

from collections.abc import AsyncIterator

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import decode_properties, encode_properties
from rpc.cli.alarm import unless_blocked
from rpc.cli.dead_letters import Letter
from rpc.cli.dead_queues import DeadQueues
from rpc.cli.dead_replay import BYTES_IN_FLIGHT, DRAIN_SECONDS, IN_FLIGHT, Progress, Replay
from rpc.errors import AMQPError, ConnectionClosed
from rpc.messages import Properties
from rpc.topology import DeadLetterKind, ServiceTopology
from tests.unit.amqp.peer import HEADER, Peer, content, method, returned
from tests.unit.cli.dead_support import DeadQueue, letter

QUEUE = "rpc.Calculator"


class ReplayTests(SynchronousTestCase):
    """Letters are held on one connection and published on another."""

    def setUp(self) -> None:
        self.holding = Peer().open()
        self.dead = DeadQueue(self.holding)
        self.told: list[int] = []
        self.publishing = Peer().open()
        topology = ServiceTopology("Calculator")
        self.held = DeadQueues(self.holding.clock, self.holding.connection, topology, [DeadLetterKind.UNFINISHED])
        looking = Deferred.fromCoroutine(self.held.look())
        self.dead.serve()
        self.successResultOf(looking)
        self.progress = Progress()
        self.running: Deferred[None]

    def start(self, count: int, size: int = 1) -> None:
        """Replay this number of letters."""
        self.run_with(
            [letter(number, Properties(message_id=str(number)), b"x" * size) for number in range(1, count + 1)]
        )

    def run_with(self, *batches: list[Letter], reading: AsyncIterator[list[Letter]] | None = None) -> None:
        """Replay these letters, which the broker has delivered, or those of `reading`."""

        async def read() -> AsyncIterator[list[Letter]]:
            for batch in batches:
                yield batch

        self.dead.unacked = (
            {1: 1} if reading is not None else {each.delivery_tag: each.size for batch in batches for each in batch}
        )
        clock, channel = self.holding.clock, self.publishing.channel()
        replay = Replay(self.progress, QUEUE, self.held, channel, self.told.append, None)
        replaying = unless_blocked(self.publishing.connection, replay.run(clock, reading or read()))
        self.running = Deferred.fromCoroutine(replaying)

    def published(self) -> list[str | None]:
        """Return the message ids that were published since the last call."""
        frames = self.publishing.written()
        for frame in frames:
            if frame.name == "basic.publish":
                self.assertEqual(frame.args[1:4], ("", QUEUE, True))
        return [decode_properties(frame.payload[12:]).message_id for frame in frames if frame.kind == HEADER]

    def confirm(self, tag: int, multiple: bool = False) -> None:
        """Confirm a letter."""
        self.publishing.feed(method(1, "basic.ack", tag, multiple))

    def acked(self) -> list[int]:
        """Return the delivery tags that were acked since the last call."""
        before = set(self.dead.unacked)
        self.holding.clock.advance(0)
        self.dead.serve()
        return sorted(before - set(self.dead.unacked))

    def succeed(self) -> None:
        """Answer for the queue of dead letters, which ends the replay."""
        self.assertNoResult(self.running)
        self.dead.serve()
        self.successResultOf(self.running)

    def test_acks_each_letter_when_it_is_confirmed(self) -> None:
        """The first is published alone, then many at once."""
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
        self.assertEqual((self.progress.replayed, sum(self.told)), (IN_FLIGHT + 3, IN_FLIGHT + 3))
        self.assertEqual((self.progress.staying, self.progress.unanswered, self.progress.removed), ([], {}, True))

    def test_limits_the_bytes_in_flight(self) -> None:
        """Later letters are published after confirms."""
        self.start(4, BYTES_IN_FLIGHT // 2)
        self.confirm(1)
        self.assertEqual(self.published(), ["1", "2", "3"])
        self.confirm(2)
        self.assertEqual(self.published(), ["4"])

    def test_keeps_a_letter_that_the_queue_refuses(self) -> None:
        """The others do not wait for it."""
        self.start(3)
        self.confirm(1)
        self.publishing.feed(method(1, "basic.nack", 2, False, False))
        self.confirm(3)
        self.succeed()
        self.assertEqual((self.progress.replayed, sum(self.told), set(self.dead.unacked)), (2, 3, {2}))
        ((stays, reason),) = self.progress.staying
        self.assertEqual((stays.number, reason), (2, f"the queue {QUEUE} refuses it (is it full?)"))

    def test_keeps_all_letters_in_flight_after_a_return(self) -> None:
        """The queue was deleted; no more letters are published."""
        self.start(IN_FLIGHT + 9)
        self.confirm(1)
        self.published()
        self.publishing.feed(returned(1, b"x"))
        self.confirm(IN_FLIGHT + 1, multiple=True)
        self.assertEqual(self.published(), [])
        self.succeed()
        self.assertEqual((self.progress.replayed, len(self.dead.unacked)), (1, IN_FLIGHT + 8))
        self.assertEqual(len(self.progress.staying), IN_FLIGHT + 8)
        self.assertIn("no queue", self.progress.staying[0][1])

    def test_keeps_the_returned_letter_and_those_confirmed_after_it(self) -> None:
        """The queue was deleted, with the letters that the broker has just confirmed in it."""
        self.start(3)
        self.confirm(1)
        properties = encode_properties(Properties(message_id="2", delivery_mode=2))
        begin = method(1, "basic.return", 312, "NO_ROUTE", "", QUEUE)
        self.publishing.feed(begin, *content(1, b"x", properties=properties))
        self.confirm(3, multiple=True)
        self.succeed()
        self.assertEqual((self.progress.replayed, set(self.dead.unacked)), (1, {2, 3}))
        self.assertEqual([each.number for each, _ in self.progress.staying], [2, 3])

    def test_keeps_a_letter_with_malformed_properties(self) -> None:
        """It is not published."""
        malformed = letter(1, b"\x20\x00\x00\x00\x00\x03\x01a?")
        sound = letter(2, encode_properties(Properties(message_id="2")))
        self.run_with([malformed, sound])
        self.assertEqual(self.published(), ["2"])
        self.confirm(1)
        self.succeed()
        self.assertEqual([each.number for each, _ in self.progress.staying], [1])

    def test_keeps_a_letter_that_has_only_the_head_of_its_request(self) -> None:
        """Its end is missing. The others are replayed."""
        head = letter(1, Properties(message_id="1", headers={"rpc-dead-size": 9}))
        self.run_with([head, letter(2, Properties(message_id="2"))])
        self.assertEqual(self.published(), ["2"])
        self.confirm(1)
        self.succeed()
        self.assertEqual([text for _, text in self.progress.staying], ["only 0 of its 9 bytes were kept"])

    def test_reports_the_letters_in_flight_when_the_publishing_connection_is_lost(self) -> None:
        """They stay dead, and may have been replayed. The others were not sent."""
        self.start(IN_FLIGHT + 9)
        self.confirm(1)
        self.publishing.lose()
        self.assertNoResult(self.running)
        self.dead.serve()
        self.failureResultOf(self.running, ConnectionClosed)
        self.assertNotIn(1, self.dead.unacked)
        self.assertEqual(list(self.progress.unanswered), list(range(2, IN_FLIGHT + 2)))
        self.assertEqual(self.progress.unsent, 8)
        self.assertTrue(self.progress.removed)

    def test_reports_that_removals_are_unsure_when_the_holding_connection_is_lost(self) -> None:
        """No more letters are published. Replayed ones may still be dead letters."""
        self.start(3)
        self.confirm(1)
        self.assertEqual(self.published(), ["1", "2", "3"])
        self.holding.lose()
        self.confirm(3, multiple=True)
        self.failureResultOf(self.running, ConnectionClosed)
        self.assertEqual(self.progress.replayed, 3)
        self.assertFalse(self.progress.removed)

    def test_ends_when_the_broker_is_blocked(self) -> None:
        """The first letter may still be confirmed."""
        self.start(3)
        self.assertEqual(self.published(), ["1"])
        self.publishing.feed(method(0, "connection.blocked", "low on memory"))
        self.confirm(1)
        self.assertEqual(self.published(), [])
        self.assertNoResult(self.running)
        self.dead.serve()
        self.assertEqual(set(self.dead.unacked), {2, 3})
        self.assertIn("low on memory", str(self.failureResultOf(self.running, AMQPError).value))
        self.assertEqual(self.progress.unsent, 2)

    def test_waits_for_the_letters_in_flight_when_it_is_cancelled(self) -> None:
        """For some seconds."""
        self.start(9)
        self.confirm(1)
        self.published()
        self.running.cancel()
        self.confirm(3, multiple=True)
        self.holding.clock.advance(DRAIN_SECONDS)
        self.assertNoResult(self.running)
        self.holding.clock.advance(DRAIN_SECONDS)  # nor does the queue of dead letters answer
        self.failureResultOf(self.running, CancelledError)
        self.assertEqual(list(self.progress.unanswered), [4, 5, 6, 7, 8, 9])
        self.assertFalse(self.progress.removed)

    def test_ends_when_the_broker_is_blocked_while_letters_are_read(self) -> None:
        """It does not wait for them."""

        async def read() -> AsyncIterator[list[Letter]]:
            yield [letter(1)]
            await Deferred()

        self.run_with(reading=read())
        self.confirm(1)
        self.assertNoResult(self.running)
        self.publishing.feed(method(0, "connection.blocked", "low on memory"))
        self.dead.serve()
        self.assertIn("low on memory", str(self.failureResultOf(self.running, AMQPError).value))
        self.assertEqual((self.progress.replayed, self.progress.unanswered), (1, {}))

    def test_counts_a_letter_as_not_sent_when_its_channel_was_lost_while_it_was_read(self) -> None:
        batches: Deferred[None] = Deferred()

        async def read() -> AsyncIterator[list[Letter]]:
            yield [letter(1)]
            await batches
            yield [letter(2), letter(3)]

        self.run_with(reading=read())
        self.confirm(1)
        self.publishing.lose()
        batches.callback(None)
        self.dead.serve()
        self.failureResultOf(self.running, ConnectionClosed)
        self.assertEqual((self.progress.replayed, self.progress.unsent, self.progress.unanswered), (1, 2, {}))

    def test_replays_one_batch_after_the_other(self) -> None:
        self.run_with([letter(1), letter(2)], [letter(3)])
        self.confirm(1)
        self.assertEqual(len(self.published()), 2)
        self.confirm(2)
        self.assertEqual(len(self.published()), 1)
        self.confirm(3)
        self.succeed()
        self.assertEqual((self.progress.replayed, self.dead.unacked), (3, {}))
