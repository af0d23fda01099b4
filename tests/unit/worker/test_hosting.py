"""A worker's life without a broker."""

from __future__ import annotations

import gc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator
from rpc import hosting
from rpc.errors import AuthenticationFailed, ConfigurationError
from rpc.hosting import Worker
from rpc.worker.refused_worker import RefusedSince
from rpc.worker.service import ThriftService
from rpc.worker.worker_state import WorkerState
from tests.unit.amqp.memory_reactor import BrokerReactor
from tests.unit.amqp.peer import START, method
from tests.unit.worker.test_server import Handler


def service(name: str, **options: Any) -> ThriftService:
    """Return a calculator of that name."""
    return ThriftService(Calculator, Handler(), name=name, **options)


class LifeTests(SynchronousTestCase):
    """Starts and stops in any order."""

    def setUp(self) -> None:
        self.reactor = BrokerReactor()
        self.worker = Worker("amqp://localhost", [service("A")], reactor=self.reactor)

    def settle(self) -> None:
        for _ in range(5):
            self.reactor.advance(0)

    def test_gathers_requests_of_the_largest_size_that_a_service_allows(self) -> None:
        """All services share the connection."""
        services = [service("A", max_message_size=2**25), service("B", max_message_size=1000)]
        worker = Worker("amqp://localhost", services, reactor=self.reactor)
        self.assertEqual(worker._link.max_content, 2**25)

    def test_a_worker_that_never_connected_stops_at_once_and_leaves_no_timer(self) -> None:
        """There is nothing to drain."""
        self.worker.startService()
        stopped = self.worker.stopService()
        self.settle()
        self.successResultOf(stopped)
        self.reactor.advance(60)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_the_last_word_counts_while_a_worker_stops(self) -> None:
        """A start that is followed by another stop starts nothing."""
        self.worker.startService()
        first = self.worker.stopService()
        self.worker.startService()
        second = self.worker.stopService()
        self.settle()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.worker._state.name, "STOPPED")

    def test_a_start_while_a_worker_stops_serves_again(self) -> None:
        """The stop fires, and the worker connects anew."""
        self.worker.startService()
        stopped = self.worker.stopService()
        self.worker.startService()
        self.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.worker._state.name, "STARTING")
        self.assertTrue(self.worker._link.running)
        self.worker.stopService()
        self.settle()

    def test_a_stop_in_the_callback_of_a_stop_counts_although_a_start_came_between(self) -> None:
        """The worker has started again when the first stop fires."""
        self.worker.startService()
        stops = [self.worker.stopService()]
        stops[0].addCallback(lambda _: stops.append(self.worker.stopService()))
        self.worker.startService()
        self.settle()
        self.settle()
        self.assertEqual(self.worker._state.name, "STOPPED")
        self.successResultOf(stops[1])

    def test_a_start_in_the_callback_of_a_stop_starts_once(self) -> None:
        """The worker has stopped when its stop fires."""
        self.worker.startService()
        self.worker.stopService().addCallback(lambda _: self.worker.startService())
        self.settle()
        self.assertEqual(self.worker._state.name, "STARTING")
        self.worker.stopService()
        self.settle()

    def test_an_abort_of_a_worker_that_is_stopped_does_not_shorten_a_later_drain(self) -> None:
        """It is about the life that has ended."""
        self.worker.startService()
        self.worker.stopService()
        self.settle()
        self.worker.abort()
        self.worker.startService()
        self.assertFalse(self.worker._drain._aborted)
        self.worker.stopService()
        self.settle()


class OrderTests(SynchronousTestCase):
    """Starts and stops in any order, of a worker whose handlers have a connection."""

    def ask(self, step: str) -> None:
        """Ask the worker for something, at once or when it has stopped."""
        if step == "start":
            self.last = "STARTING"
            self.worker.startService()
        elif step.startswith("stop"):
            self.last = "STOPPED"
            stopped = self.worker.stopService()
            self.stops.append(stopped)
            _, _, then = step.partition(" ")
            if then:
                stopped.addCallback(lambda _: self.ask(then))
        elif step == "abort":
            self.worker.abort()
        else:
            self.reactor.advance(float(step))

    @given(st.lists(st.sampled_from(["start", "stop", "stop start", "abort", "0"]), min_size=3, max_size=8))
    def test_ends_in_the_state_that_was_asked_for_last(self, steps: list[str]) -> None:
        """Every stop fires, and a worker that has stopped leaves no timer."""
        self.reactor, self.last = BrokerReactor(), "STOPPED"
        self.stops: list[Deferred[None]] = []
        nested = ThriftService(Calculator, factory=lambda _: Handler(), name="A")
        self.worker = Worker("amqp://192.0.2.1", [nested], reactor=self.reactor)
        for step in [*steps, *["0"] * 20]:
            self.ask(step)
        self.assertEqual((self.worker._state.name, self.worker._link.running), (self.last, self.last == "STARTING"))
        self.assertEqual([stop.called for stop in self.stops], [True] * len(self.stops))
        self.ask("stop")
        for _ in range(20):
            self.ask("0")
        self.ask("60")
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class QueueNameTests(SynchronousTestCase):
    """Services of one worker have queues of their own."""

    def test_two_services_with_one_queue_are_not_accepted(self) -> None:
        """A delivery would come to either of them, which rejects the other's methods."""
        for first, second in (("q", "q"), ("q", "q.quarantine"), ("q.dead", "q"), ("q", "q.dead.invalid")):
            with self.assertRaisesRegex(ConfigurationError, "queue"):
                Worker(
                    "amqp://localhost",
                    [service("A", queue=first), service("B", queue=second)],
                    reactor=BrokerReactor(),
                )


class RefusalTests(SynchronousTestCase):
    """The broker refuses the worker before it has served."""

    def start(self, **options: Any) -> Deferred[None]:
        """Start a worker and refuse its login. Return its ``when_serving``."""
        self.ended: list[tuple[Any, int]] = []
        self.patch(hosting, "end_program", lambda reactor, status: self.ended.append((reactor, status)))
        self.reactor = BrokerReactor()
        self.worker = Worker("amqp://192.0.2.1", [service("A")], reactor=self.reactor, **options)
        serving = self.worker.when_serving()
        self.worker.startService()
        self.refuse()
        return serving

    def refuse(self, text: str = "ACCESS_REFUSED") -> None:
        """Refuse the worker's login."""
        socket = self.reactor.socket().accept()
        socket.feed(START, method(0, "connection.close", 403, text, 0, 0))
        socket.lose()

    def stop(self) -> None:
        """Stop the worker, and check that nothing is left."""
        stopped = self.worker.stopService()
        for _ in range(5):
            self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertIs(self.worker._state, WorkerState.STOPPED)
        self.reactor.advance(60)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_fails_those_that_wait(self) -> None:
        """Also those that ask later. The program goes on, and the worker tries again."""
        self.failureResultOf(self.start(), AuthenticationFailed)
        self.assertIs(self.worker._state, WorkerState.REFUSED)
        self.failureResultOf(self.worker.when_serving(), AuthenticationFailed)
        self.reactor.advance(20)
        self.refuse("ACCESS_REFUSED - once more")
        failure = self.failureResultOf(self.worker.when_serving(), AuthenticationFailed)
        self.assertIn("once more", str(failure.value))
        self.assertEqual(self.ended, [])
        self.stop()

    def test_can_be_stopped_by_the_one_that_waits(self) -> None:
        """The errback of ``when_serving`` stops it."""
        self.reactor = BrokerReactor()
        self.worker = Worker("amqp://192.0.2.1", [service("A")], reactor=self.reactor)
        stopped = self.worker.when_serving().addErrback(lambda _: self.worker.stopService())
        self.worker.startService()
        self.refuse()
        for _ in range(5):
            self.reactor.advance(0)
        self.successResultOf(stopped)
        gc.collect()  # an error that no Deferred handles is logged when the Deferred is collected
        self.assertEqual((self.flushLoggedErrors(), self.reactor.getDelayedCalls()), ([], []))

    def test_waits_for_the_broker_when_it_is_started_anew(self) -> None:
        """A refusal belongs to one life of the worker."""
        self.failureResultOf(self.start(), AuthenticationFailed)
        self.stop()
        self.worker.startService()
        serving = self.worker.when_serving()
        self.reactor.socket().refuse()
        self.assertNoResult(serving)
        self.assertIs(self.worker._state, WorkerState.STARTING)
        self.stop()
        self.failureResultOf(serving, CancelledError)

    def test_ends_the_program(self) -> None:
        """With ``on_refusal="exit"``, with status 1, once. The worker stops as always."""
        self.failureResultOf(self.start(on_refusal="exit"), AuthenticationFailed)
        self.reactor.advance(20)
        self.refuse()
        self.assertEqual(self.ended, [(self.reactor, 1)])
        self.stop()

    def test_waits_for_the_broker_to_accept_it(self) -> None:
        """With ``on_refusal="wait"``, those that wait wait on."""
        serving = self.start(on_refusal="wait")
        self.assertNoResult(serving)
        self.assertNoResult(self.worker.when_serving().addErrback(lambda failure: failure.trap(CancelledError)))
        self.assertEqual(self.ended, [])
        self.stop()
        self.failureResultOf(serving, CancelledError)

    def test_takes_one_of_three_values(self) -> None:
        """The error names the option, its value and the allowed values."""
        for wrong in ("retry", True, None):
            with self.assertRaisesRegex(ConfigurationError, f"on_refusal={wrong!r}: must be one of 'exit', 'fail', 'w"):
                Worker("amqp://192.0.2.1", [service("A")], reactor=BrokerReactor(), on_refusal=wrong)  # type: ignore[arg-type]


class RefusedSinceTests(SynchronousTestCase):
    """How long the queues of a worker that has served are refused, until this is for good."""

    def test_is_for_good_after_a_minute_of_refusals(self) -> None:
        """A queue is refused at the next attempt, at most 16 s later."""
        since = RefusedSince()
        self.assertEqual([since.add(now) for now in (100.0, 116.0, 132.0, 148.0, 159.9)], [False] * 5)
        self.assertTrue(since.add(160.0))

    def test_begins_anew_after_a_success(self) -> None:
        """One that is told, or one that must have come between two refusals."""
        since = RefusedSince()
        self.assertFalse(since.add(0.0))
        self.assertFalse(since.add(30.1))
        self.assertFalse(since.add(60.0))
        self.assertFalse(since.add(90.0))
        self.assertTrue(since.add(91.0))
        since.forget()
        self.assertFalse(since.add(92.0))
