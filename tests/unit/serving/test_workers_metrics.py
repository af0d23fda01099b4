"""The metrics of all worker processes on one page."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from rpc.serving import workers_metrics
from rpc.serving.metrics import MetricsPage
from rpc.serving.pages import site
from rpc.serving.workers_metrics import WorkersMetrics
from tests.unit.logs import log_lines

the_reactor: Any = reactor


def worker_registry(calls: int, **labels: str) -> CollectorRegistry:
    """Return the metrics of a process."""
    registry = CollectorRegistry()
    counter = Counter("calls", "Calls\nwith a line end.", tuple(labels), registry=registry)
    (counter.labels(**labels) if labels else counter).inc(calls, exemplar={"trace": "t1"})
    Gauge("load", "Load.", registry=registry).set(float("inf"))
    Histogram("took_seconds", "Time.", buckets=(0.5, 1.0), registry=registry).observe(0.7)
    return registry


class Odd(Protocol):
    """Answers each request with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        assert self.transport is not None
        self.transport.write(self.answer)


class WorkersMetricsTests(TestCase):
    """Processes that the test plays, on real ports."""

    timeout = 30

    def listen(self, factory: Any) -> int:
        """Return the port of a factory."""
        listener = the_reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(listener.stopListening)
        port: int = listener.getHost().port
        return port

    def worker(self, registry: CollectorRegistry) -> int:
        """Return the port of a process with these metrics."""
        return self.listen(site({"metrics": MetricsPage(lambda: succeed(registry))}, the_reactor))

    def odd(self, answer: bytes) -> int:
        """Return the port of a process that answers so."""
        return self.listen(Factory.forProtocol(lambda: Odd(answer)))

    async def samples(self, *ports: int | None) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return the samples of the page, by names and labels."""
        registry = await WorkersMetrics(the_reactor, lambda: dict(enumerate(ports, 1)))()
        text = generate_latest(registry).decode()
        self.assertEqual(text.count("# TYPE calls_total "), 1 if "calls_total" in text else 0)
        openmetrics = generate_openmetrics(registry).decode()
        self.assertIn('# {trace="t1"}' if "calls_total" in text else "", openmetrics)
        self.assertTrue(list(openmetrics_families(openmetrics)))  # its parser is strict
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def test_each_sample_has_the_number_of_its_process(self) -> None:
        """Of every kind. A family is there once."""
        ports = self.worker(worker_registry(3)), self.worker(worker_registry(4))
        lines = log_lines(self)
        found = await self.samples(*ports)
        self.assertEqual(lines, [])
        for number, calls in (("1", 3), ("2", 4)):
            worker = ("worker", number)
            self.assertEqual(found["calls_total", frozenset({worker})], calls)
            self.assertEqual(found["load", frozenset({worker})], float("inf"))
            self.assertEqual(found["took_seconds_bucket", frozenset({worker, ("le", "0.5")})], 0)
            self.assertEqual(found["took_seconds_bucket", frozenset({worker, ("le", "1.0")})], 1)
            self.assertEqual(found["rpc_worker_up", frozenset({worker})], 1)

    async def test_a_label_of_the_user_is_renamed(self) -> None:
        """As Prometheus does it."""
        found = await self.samples(self.worker(worker_registry(3, worker="bee")))
        self.assertEqual(found["calls_total", frozenset({("worker", "1"), ("exported_worker", "bee")})], 3)

    async def test_a_process_that_does_not_answer_is_missing(self) -> None:
        """It has not told its port, is gone, hangs, fails, or speaks nonsense. The others are there, and the log says
        so once.
        """
        self.patch(workers_metrics, "PATIENCE", 0.3)
        lines = log_lines(self)
        gone = the_reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        port = gone.getHost().port
        await gone.stopListening()
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n# TYPE calls counter\n"
        for name, other in (
            ("no port", None),
            ("gone", port),
            ("silent", self.odd(b"")),
            ("half", self.odd(half)),
            ("no metrics", self.odd(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnone")),
            ("no HTTP", self.odd(b"none\r\n\r\n")),
            ("error", self.odd(b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n")),
        ):
            found = await self.samples(other, self.worker(worker_registry(3)))
            self.assertEqual(found["rpc_worker_up", frozenset({("worker", "1")})], 0, name)
            self.assertEqual(found["calls_total", frozenset({("worker", "2")})], 3, name)
            told = [line for line in lines if line.startswith("worker 1 has not told its metrics: ")]
            self.assertEqual(len(told), 0 if other is None else 1, (name, lines))
            lines.clear()

    async def test_a_wait_can_be_cancelled(self) -> None:
        """When Prometheus has gone. The question itself ends by its limit."""
        self.patch(workers_metrics, "PATIENCE", 0.1)
        asking = WorkersMetrics(the_reactor, lambda: dict.fromkeys((1, 2), self.odd(b"")))()
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        await deferLater(the_reactor, 0.2)
