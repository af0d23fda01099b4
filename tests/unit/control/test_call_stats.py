"""The counts of a worker's calls: each way in which a request ends."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from generated.calculator.ttypes import InvalidOperation
from rpc.control import MethodStats
from rpc.control.call_stats import BOUNDS, CallStats
from rpc.interceptors import WorkerInterceptor
from rpc.messages import Properties
from tests.unit.metrics.test_worker_metrics import Refusing
from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.served import SHARED

PROPERTIES = Properties(content_type="application/vnd.apache.thrift.binary")


class Admitting(WorkerInterceptor):
    """Admits all calls, before their arguments are read."""

    def before(self, call: Any) -> None:
        """Do nothing."""


class CallStatsTests(AgainTestCase):
    """A worker that counts."""

    def setUp(self) -> None:
        self.stats = CallStats()
        self.serve(interceptors=[self.stats])

    def counted(self) -> MethodStats:
        """Return the counts of the one method that was called."""
        (stats,) = self.stats.of("Calculator")
        return stats

    def raise_in_handler(self, error: Exception) -> None:
        """Call a method whose handler raises."""

        def fails() -> Any:
            raise error

        self.handler.answer = fails
        self.request("add")

    def test_counts_a_call_that_returns_in_the_bucket_of_its_duration(self) -> None:
        for seconds in (0.0, 0.3, 1000.0):
            waiting: Deferred[int] = Deferred()
            self.handler.answer = lambda waiting=waiting: waiting
            self.request("add")
            self.wire.clock.advance(seconds)
            waiting.callback(3)
        stats = self.counted()
        self.assertEqual((stats.method, stats.outcomes, stats.errors), ("add", {"returned": 3}, {}))
        filled = [place for place, count in enumerate(stats.latency.counts) if count]
        self.assertEqual(filled, [0, BOUNDS.index(0.5), len(BOUNDS)])
        self.assertAlmostEqual(stats.latency.total, 1000.3)

    def test_counts_errors_by_outcome_and_name(self) -> None:
        self.raise_in_handler(InvalidOperation(1, "why"))
        self.raise_in_handler(ZeroDivisionError())
        self.raise_in_handler(ZeroDivisionError())
        self.handler.answer = Deferred
        self.request("add", message_id="one", expiration="1000")
        self.wire.clock.advance(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        stats = self.counted()
        self.assertEqual(stats.outcomes, {"raised": 1, "failed": 2, "cancelled": 1})
        self.assertEqual(stats.errors, {"InvalidOperation": 1, "ZeroDivisionError": 2, "CancelledError": 1})
        self.assertEqual(sum(stats.latency.counts), 4)

    def test_counts_refusals_and_rejections(self) -> None:
        """Rejected requests did not begin, so they have no duration."""
        self.serve(interceptors=[self.stats, Refusing()])
        self.request("add")
        self.wire.deliver(b"no message", consumer=SHARED)
        other, add = self.stats.of("Calculator")
        self.assertEqual((add.method, add.outcomes, add.errors), ("add", {"refused": 1}, {"AccessDenied": 1}))
        self.assertEqual((other.method, other.outcomes), ("_OTHER", {"rejected": 1}))
        self.assertEqual((sum(add.latency.counts), sum(other.latency.counts)), (1, 0))

    def test_tells_calls_that_began_from_those_that_did_not(self) -> None:
        """A call that was admitted is rejected for its arguments; one that expired while it waited is dropped."""
        self.serve(interceptors=[self.stats, Admitting()], concurrency=1)
        arguments = b"\x80\x01\x00\x01\x00\x00\x00\x03add\x00\x00\x00\x01\x08"
        self.wire.deliver(arguments, PROPERTIES, SHARED)
        first: Deferred[int] = Deferred()
        self.handler.answer = lambda: first
        self.request("add")
        self.request("add", message_id="one", expiration="1000")
        self.wire.clock.advance(2)
        first.callback(3)
        self.wire.clock.advance(0)
        stats = self.counted()
        self.assertEqual(stats.outcomes, {"returned": 1, "rejected": 1, "dropped": 1})
        self.assertEqual(sum(stats.latency.counts), 2)

    def test_a_peer_cannot_make_up_methods(self) -> None:
        for name in (b"abc", b"xyz"):
            self.wire.deliver(b"\x80\x01\x00\x01\x00\x00\x00\x03" + name + b"\x00\x00\x00\x01\x00", PROPERTIES, SHARED)
        self.assertEqual(self.counted().method, "_OTHER")

    def test_tells_nothing_of_a_service_without_calls(self) -> None:
        self.assertEqual(self.stats.of("Calculator"), [])
