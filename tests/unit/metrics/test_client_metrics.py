"""Metrics of a client: each way in which a call ends, attempts, calls in progress, and connections."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from thrift.Thrift import TMessageType
from twisted.internet.defer import CancelledError

import rpc
from generated.calculator.ttypes import InvalidOperation
from rpc.client.interception import intercept
from rpc.client.options import ClientOptions
from rpc.client.raw import RawClient
from rpc.errors import CallTimedOut, InvalidRequest
from rpc.metrics import ClientMetrics
from rpc.metrics import client as client_metrics
from tests.unit.amqp.peer import outcome_of
from tests.unit.client.caller_in_memory import BINARY, AttemptTestCase, Calculator
from tests.unit.metrics.scraped import ENDED, samples, value

ADD = {"rpc_service": "Calculator", "rpc_method": "Calculator/add"}
DURATION = "rpc_client_call_duration_seconds"


class ClientMetricsTests(AttemptTestCase):
    """A client with metrics."""

    def setUp(self) -> None:
        super().setUp()
        self.registry = CollectorRegistry()
        self.seconds = 0.0
        self.metrics = ClientMetrics(self.registry, seconds=lambda: self.seconds)
        self.client = self.caller.client(interceptors=[self.metrics], timeout=10.0)

    def counts(self) -> dict[tuple[str, ...], float]:
        """How many calls ended, by method, error and outcome."""
        return samples(self.registry, f"{DURATION}_count", *ENDED)

    def test_counts_the_end_of_each_call(self) -> None:
        """A result, the IDL's exception, a deadline, a cancellation, a refusal, and arguments that do not fit."""
        self.client.add(1, 2)
        self.caller.reply(self.request(), Calculator.add_result(3))
        self.client.add(1, 2).addErrback(lambda failure: failure.trap(InvalidOperation))
        self.caller.reply(self.request(), Calculator.add_result(ouch=InvalidOperation(1, "why")))
        cancelled = self.client.add(1, 2)
        self.request()
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        late = self.client.add(1, 2)
        self.wire.take()
        self.wire.clock.advance(11)
        self.failureResultOf(late, CallTimedOut)
        self.wire.take()
        self.failureResultOf(self.client.add("one", 2), InvalidRequest)
        with self.assertRaises(TypeError):
            self.client.add(1)
        self.caller.subject.close()
        self.failureResultOf(self.client.add(1, 2), rpc.ConnectionLost)
        self.assertEqual(
            self.counts(),
            {
                ("Calculator/add", "", "ok"): 1,
                ("Calculator/add", "InvalidOperation", "exception"): 1,
                ("Calculator/add", "CancelledError", "cancelled"): 1,
                ("Calculator/add", "CallTimedOut", "unknown"): 1,
                ("Calculator/add", "InvalidRequest", "not_sent"): 1,
                ("Calculator/add", "TypeError", "not_sent"): 1,
                ("Calculator/add", "ConnectionLost", "not_sent"): 1,
            },
        )
        self.assertEqual(value(self.registry, "rpc_client_attempts_total", **ADD), 4)

    def test_measures_how_long_calls_take(self) -> None:
        """In cumulative buckets, as Prometheus reads them: a value on a bound is in its bucket."""
        for seconds in (0.0, 0.005, 0.3):
            self.client.add(1, 2)
            request = self.request()
            self.wire.clock.advance(seconds)
            self.caller.reply(request, Calculator.add_result(3))
        labels = {**ADD, "error_type": "", "outcome": "ok"}
        found = {le: value(self.registry, f"{DURATION}_bucket", le=le, **labels) for le in ("0.001", "0.005", "0.25")}
        self.assertEqual(found, {"0.001": 1, "0.005": 2, "0.25": 2})
        self.assertEqual(value(self.registry, f"{DURATION}_bucket", le="+Inf", **labels), 3)
        self.assertAlmostEqual(value(self.registry, f"{DURATION}_sum", **labels), 0.305)

    def test_counts_attempts_and_what_failed_them(self) -> None:
        """The call ends once."""
        client = self.caller.client(interceptors=[self.metrics], retry=True, timeout=60.0)
        fired = outcome_of(client.add(1, 2))
        self.wire.give_back(self.request())
        self.caller.reply(self.again(), Calculator.add_result(3))
        self.assertEqual((fired, self.counts()), ([3], {("Calculator/add", "", "ok"): 1}))
        self.assertEqual(value(self.registry, "rpc_client_attempts_total", **ADD), 2)
        retries = value(self.registry, "rpc_client_retries_total", error_type="ServiceUnavailable", **ADD)
        self.assertEqual(retries, 1)

    def test_leaves_out_the_instances_of_workers(self) -> None:
        """They come and go: each would be a series for ever."""
        for instance in ("one", "two"):
            self.caller.client(interceptors=[self.metrics], name=f"Calculator@{instance}").add(1, 2)
            self.caller.reply(self.request(), Calculator.add_result(3))
        self.assertEqual(self.counts(), {("Calculator/add", "", "ok"): 2})
        self.assertEqual(self.metrics._answered, {})

    def test_methods_that_peers_make_up_are_counted_together(self) -> None:
        """A gateway's clients choose the names of its calls. The number of names is bounded, and each call counts."""
        self.patch(client_metrics, "MOST_METHODS", 3)
        make_call, observer = intercept(self.caller.subject, (self.metrics,))
        client = RawClient(make_call, ClientOptions(name="Calculator", retry=True, timeout=60.0), observer)
        for number in range(10):
            message = BINARY.encode_header(f"method{number}", TMessageType.CALL, 1) + b"\0"
            for answered in (True, False):
                calling = client.call(message)
                request = self.request()
                if number in (0, 9):
                    self.wire.give_back(request)
                    request = self.again()
                if answered:
                    name, _, seqid, _ = BINARY.read_header(request.body)
                    reply = BINARY.encode_header(name, TMessageType.REPLY, seqid) + b"\0"
                    self.caller.reply_bytes(request, reply)
                    self.successResultOf(calling)
                else:
                    self.wire.clock.advance(61)
                    self.failureResultOf(calling, CallTimedOut)
                    self.wire.take()
        counts = self.counts()
        self.assertEqual(
            {method for method, _, _ in counts},
            {"Calculator/method0", "Calculator/method1", "Calculator/method2", "_OTHER/_OTHER"},
        )
        self.assertEqual(counts["_OTHER/_OTHER", "", "ok"], 7)
        self.assertEqual(sum(counts.values()), 20)
        for name, methods, others in (("rpc_client_attempts_total", 4, 16), ("rpc_client_retries_total", 2, 2)):
            found = samples(self.registry, name, "rpc_service", "rpc_method")
            self.assertEqual((len(found), found["_OTHER", "_OTHER/_OTHER"]), (methods, others), name)
        self.assertLessEqual(len(self.metrics._answered), 4)

    def test_a_name_that_a_peer_makes_up_is_printable(self) -> None:
        """An operator looks at the page in a terminal."""
        make_call, observer = intercept(self.caller.subject, (self.metrics,))
        client = RawClient(make_call, ClientOptions(name="Calculator"), observer)
        calling = client.call(BINARY.encode_header("a\x1b[2J\n", TMessageType.CALL, 1) + b"\0")
        labels = ("Calculator/a\\u001b[2J\\n",)
        calling.cancel()
        self.failureResultOf(calling, CancelledError)
        self.assertEqual(samples(self.registry, "rpc_client_attempts_total", "rpc_method"), {labels: 1})

    def test_measures_how_long_the_broker_blocks(self) -> None:
        """Also while it still does, and on two connections at once."""
        self.metrics.connected()
        self.metrics.connected()
        for reason, seconds in (("memory", 2.0), ("disk", 1.0), (None, 4.0), (None, 8.0), ("memory", 16.0)):
            self.metrics.blocked(reason)
            self.seconds += seconds
        self.metrics.disconnected()
        self.assertEqual(value(self.registry, "rpc_client_blocked_seconds_total"), 2 + 2 * 1 + 4 + 16)
        self.assertEqual(value(self.registry, "rpc_client_connections"), 1)
        self.assertEqual(value(self.registry, "rpc_client_connects_total"), 2)
        self.assertEqual(value(self.registry, "rpc_client_disconnects_total"), 1)

    def test_a_registry_takes_one_object(self) -> None:
        """The second one would write the same names."""
        with self.assertRaisesRegex(ValueError, "Duplicated"):
            ClientMetrics(self.registry)
