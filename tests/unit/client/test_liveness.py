"""Keepalives of workers, and their absence."""

from __future__ import annotations

from rpc.client.retry import LONGEST_PAUSE
from rpc.errors import ConfigurationError, Outcome, WorkerLost
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import AttemptTestCase, Calculator


class LivenessTests(AttemptTestCase):
    """A client with ``liveness``."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.caller.client(liveness=2.0, timeout=600.0, idempotent=[])

    def test_the_request_names_the_liveness(self) -> None:
        """A oneway request does not."""
        self.client.ping()
        self.assertEqual(dict(self.request().properties.headers or {}), {"rpc-liveness": 2000})
        self.client.zip()
        self.assertIsNone(self.request().properties.headers)

    def test_a_silent_worker_is_lost(self) -> None:
        """While keepalives come, the call goes on."""
        fired = outcome_of(self.client.ping())
        request = self.request()
        self.wire.clock.advance(100)  # it waits in the queue
        for _ in range(100):
            self.keepalive(request)
            self.wire.clock.advance(1.9)
        self.assertEqual(fired, [])
        self.wire.clock.advance(0.2)
        self.wire.answer()
        self.assert_fails(fired, WorkerLost, Outcome.UNKNOWN)

    def test_a_broker_with_an_alarm_does_not_answer_and_no_worker_is_lost(self) -> None:
        """RabbitMQ tells of an alarm only when the client publishes, and then reads nothing. A call only waits."""
        fired = outcome_of(self.client.ping())
        self.keepalive(self.request())
        self.wire.clock.advance(2.1)
        frames = self.wire.peer.written()
        self.assertEqual([frame.name for frame in frames if frame.name], ["basic.publish", "basic.qos"])
        self.wire.clock.pump([0.5] * 100)
        self.assertEqual(fired, [])
        self.block("low on memory")
        self.wire.clock.pump([0.5] * 100)
        self.block(None)
        self.wire.process(frames)
        self.wire.clock.advance(1.9)
        self.assertEqual(fired, [])
        self.wire.clock.advance(0.2)
        self.wire.answer()
        self.assert_fails(fired, WorkerLost, Outcome.UNKNOWN)

    def test_expects_no_keepalive_while_the_broker_blocks_the_connection(self) -> None:
        """Workers cannot publish either. When the block ends, they have the whole time again."""
        fired = outcome_of(self.client.ping())
        self.keepalive(self.request())
        self.wire.clock.advance(1.9)
        self.block("low on memory")
        self.wire.clock.pump([0.5] * 100)
        self.assertEqual(fired, [])
        self.block(None)
        self.wire.clock.advance(1.9)
        self.assertEqual(fired, [])
        self.wire.clock.advance(0.2)
        self.wire.answer()
        self.assert_fails(fired, WorkerLost, Outcome.UNKNOWN)

    def block(self, reason: str | None) -> None:
        """Have the broker block the connection, or end that."""
        said = method(0, "connection.unblocked") if reason is None else method(0, "connection.blocked", reason)
        self.wire.peer.feed(said)
        self.caller.subject.blocked(reason)

    def test_an_idempotent_method_is_called_again_after_its_worker_is_lost(self) -> None:
        """Keepalives of the first attempt do no harm."""
        fired = outcome_of(self.caller.client(liveness=2.0, timeout=600.0).ping())
        request = self.request()
        self.keepalive(request)
        self.wire.clock.advance(2.01)
        self.wire.answer()
        self.keepalive(request)
        second = self.again()
        self.keepalive(second)
        self.caller.reply(second, Calculator.ping_result())
        self.assertEqual((fired, self.caller.leftovers()), ([None], []))

    def test_a_keepalive_of_an_earlier_attempt_says_nothing_of_the_next(self) -> None:
        """The next attempt may wait in the queue."""
        fired = outcome_of(self.caller.client(liveness=1.0, timeout=600.0).ping())
        first = self.request()
        self.keepalive(first)
        self.wire.clock.pump([1.01, 0])
        self.again()
        self.keepalive(first)
        self.wire.clock.advance(1.01)
        self.wire.answer()
        self.wire.clock.advance(LONGEST_PAUSE)
        self.assertEqual((self.wire.take(), fired), ([], []))

    def test_reads_a_keepalive_that_has_arrived_before_it_gives_up(self) -> None:
        """A busy client may not have read it."""
        fired = outcome_of(self.client.ping())
        request = self.request()
        self.keepalive(request)
        self.wire.clock.callLater(2.005, self.keepalive, request)
        self.wire.clock.advance(2.01)  # the timer fires, then the keepalive is read
        self.wire.answer()
        self.wire.clock.advance(0)
        self.assertEqual(fired, [])

    def test_rejects_a_liveness_that_no_worker_keeps_up_with(self) -> None:
        with self.assertRaisesRegex(ConfigurationError, "liveness=0.02"):
            self.caller.client(liveness=0.02)

    def test_a_keepalive_that_was_not_asked_for_is_no_reply(self) -> None:
        fired = outcome_of(self.caller.client().ping())
        request = self.request()
        self.keepalive(request)
        self.assertEqual(fired, [])
        self.caller.reply(request, Calculator.ping_result())
        self.assertEqual(fired, [None])
