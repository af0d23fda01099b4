"""Metrics of a worker: each way in which a request ends, and the steps before it."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred

from generated.calculator.ttypes import InvalidOperation
from rpc.errors import AccessDenied
from rpc.interceptors import WorkerInterceptor
from rpc.messages import Properties
from rpc.metrics import WorkerMetrics
from tests.unit.metrics.scraped import ENDED, samples, value
from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.served import SHARED

DURATION = "rpc_server_call_duration_seconds"
SERVICE = {"rpc_service": "Calculator"}


PROPERTIES = Properties(content_type="application/vnd.apache.thrift.binary")


class Refusing(WorkerInterceptor):
    """Refuses all calls."""

    def before(self, call: Any) -> None:
        raise AccessDenied("no")


class WorkerMetricsTests(AgainTestCase):
    """A worker with metrics."""

    def setUp(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = WorkerMetrics(self.registry)
        self.serve(interceptors=[self.metrics])

    def counts(self) -> dict[tuple[str, ...], float]:
        """How many requests ended, by method, error and outcome."""
        return samples(self.registry, f"{DURATION}_count", *ENDED)

    def answer(self, answer: Any, name: str = "add", **given: Any) -> None:
        """Have the handler answer a request so."""
        self.handler.answer = answer
        self.request(name, **given)

    def test_counts_the_end_of_each_request(self) -> None:
        """A result, the IDL's exception, another exception, a rejection, and a oneway request."""

        def raising(error: Exception) -> Any:
            def fails() -> Any:
                raise error

            return fails

        self.answer(lambda: 3)
        self.answer(raising(InvalidOperation(1, "why")))
        self.answer(raising(ZeroDivisionError()))
        self.answer(lambda: None, "zip")
        self.wire.deliver(b"no message", consumer=SHARED)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(
            self.counts(),
            {
                ("Calculator/add", "", "returned"): 1,
                ("Calculator/add", "InvalidOperation", "raised"): 1,
                ("Calculator/add", "ZeroDivisionError", "failed"): 1,
                ("Calculator/zip", "", "returned"): 1,
                ("Calculator/_OTHER", "PROTOCOL_ERROR", "rejected"): 1,
            },
        )
        dead = samples(self.registry, "rpc_server_dead_letters_total", "rpc_service", "error_type")
        self.assertEqual(dead, {("Calculator", "PROTOCOL_ERROR"): 1})

    def test_counts_refusals_and_cancellations(self) -> None:
        """They have no result."""
        self.answer(Deferred, reply_to="amq.gen-replies", message_id="one", expiration="1000")
        self.wire.clock.advance(2)
        self.serve(interceptors=[self.metrics, Refusing()])
        self.answer(lambda: 3)
        self.assertEqual(
            self.counts(),
            {
                ("Calculator/add", "CancelledError", "cancelled"): 1,
                ("Calculator/add", "AccessDenied", "refused"): 1,
            },
        )

    def test_a_peer_cannot_make_up_series(self) -> None:
        """The name of an unknown method is not a label."""
        self.wire.deliver(b"\x80\x01\x00\x01\x00\x00\x00\x03abc\x00\x00\x00\x01\x00", PROPERTIES, SHARED)
        self.assertEqual({method for method, *_ in self.counts()}, {"Calculator/_OTHER"})

    def test_counts_attempts_and_redeliveries(self) -> None:
        """As far as a request tells of them."""
        self.answer(lambda: 3, message_id="a")
        self.answer(lambda: 3, message_id="b", headers={"rpc-attempt": 2})
        self.answer(lambda: 3, message_id="c", headers={"rpc-attempt": 3, "rpc-deliveries": 1})
        self.assertEqual(value(self.registry, "rpc_server_repeated_attempts_total", **SERVICE), 2)
        self.assertEqual(value(self.registry, "rpc_server_redeliveries_total", **SERVICE), 1)

    def test_measures_how_long_requests_waited_for_a_slot(self) -> None:
        """Those that began at once are in the first bucket."""
        self.serve(interceptors=[self.metrics], concurrency=1)
        first: Deferred[int] = Deferred()
        self.answer(lambda: first)
        self.answer(lambda: 3)
        self.wire.clock.advance(0.2)
        first.callback(3)
        self.wire.clock.advance(0)
        name = "rpc_server_queue_duration_seconds"
        found = {le: value(self.registry, f"{name}_bucket", le=le, **SERVICE) for le in ("0.001", "0.1", "0.25")}
        self.assertEqual(found, {"0.001": 1, "0.1": 1, "0.25": 2})
        self.assertAlmostEqual(value(self.registry, f"{name}_sum", **SERVICE), 0.2)

    def test_measures_how_late_the_reactor_is(self) -> None:
        """The watch on the reactor tells it."""
        for seconds in (0.0, 0.2):
            self.metrics.reactor_late(seconds)
        self.assertEqual(value(self.registry, "rpc_server_reactor_lag_seconds_count"), 2)
        self.assertEqual(value(self.registry, "rpc_server_reactor_lag_seconds_bucket", le="0.1"), 1)
