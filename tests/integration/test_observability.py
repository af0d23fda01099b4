"""Metrics, traces and the access log of three services that call each other, over a real broker."""

from __future__ import annotations

import json
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Numbers, Operation, Work
from rpc.access_log import AccessLog
from rpc.metrics import ClientMetrics, WorkerMetrics
from rpc.tracing import ClientTracing, WorkerTracing
from tests.integration.call_case import CallTestCase, Handler, pause
from tests.unit.logs import access_log_events
from tests.unit.metrics.scraped import ENDED, samples

FIRST, SECOND, THIRD = "first", "second", "third"


class Inner(Handler):
    """The last service."""

    def calculate(self, logid: int, w: Work) -> Any:
        raise InvalidOperation(w.op, "not here")


class Passing(Handler):
    """A service that passes a call on to the next one, after a wait, or by a callback."""

    def __init__(self, following: Any) -> None:
        super().__init__()
        self.following = following

    async def sum(self, numbers: Numbers) -> int:
        await pause()
        found: int = await self.following.sum(numbers)
        await pause()
        await self.following.ping()
        return found

    def calculate(self, logid: int, w: Work) -> Any:
        return self.following.ping().addCallback(lambda _: self.following.calculate(logid, w))


class ThreeServices(CallTestCase):
    """A client, and three services in workers of their own."""

    async def begin(self, at_client: list[Any], at_worker: list[Any], **options: Any) -> Any:
        """Serve, and return a client of the first service."""
        self.names = {name: self.unique(name) for name in (FIRST, SECOND, THIRD)}
        self.instances = {each: name for name, each in self.names.items()}
        url = self.address or self.url
        for name, following in ((THIRD, None), (SECOND, THIRD), (FIRST, SECOND)):
            given: dict[str, Any] = {"handler": Inner()}
            if following is not None:
                given = {"factory": self.passing(self.names[following])}
            service = rpc.ThriftService(Calculator, **given, name=self.names[name])
            worker = rpc.Worker(url, [service], interceptors=at_worker, client_interceptors=at_client)
            worker.startService()
            self.addCleanup(worker.stopService)
            await worker.when_serving()
        connection = await rpc.connect(url, interceptors=at_client)
        self.addCleanup(connection.close)
        return connection.client(Calculator, name=self.names[FIRST], **options)

    def passing(self, following: str) -> Any:
        """The factory of a service that calls the next one."""
        return lambda connection: Passing(connection.client(Calculator, name=following))


class TraceTests(ThreeServices):
    """Traces, in the SDK's own exporter."""

    def setUp(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.addCleanup(self.provider.shutdown)
        self.tracings = [ClientTracing(self.provider)], [WorkerTracing(self.provider)]

    def tree(self) -> list[Any]:
        """The one trace: each span as its name with the kind, and its children in the order of their beginnings."""
        spans = sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
        self.assertEqual(len({span.context.trace_id for span in spans}), 1)
        children: dict[int | None, list[ReadableSpan]] = {}
        for span in spans:
            children.setdefault(span.parent and span.parent.span_id, []).append(span)

        def shown(span: ReadableSpan) -> Any:
            service, slash, method = span.name.partition("/")
            name = f"{self.instances[service]}/{method}" if slash else span.name
            return f"{span.kind.name} {name}", [shown(child) for child in children.get(span.context.span_id, [])]

        return [shown(span) for span in children[None]]

    async def test_three_services_are_one_trace(self) -> None:
        """Each worker's span is a child of its caller's, and nested calls are children of the worker's."""
        client = await self.begin(*self.tracings)
        self.assertEqual(await client.sum(Numbers([1, 2])), 3)
        inner: list[Any] = [
            ("CLIENT third/sum", [("SERVER third/sum", [])]),
            ("CLIENT third/ping", [("SERVER third/ping", [])]),
        ]
        second = [
            ("CLIENT second/sum", [("SERVER second/sum", inner)]),
            ("CLIENT second/ping", [("SERVER second/ping", [])]),
        ]
        self.assertEqual(self.tree(), [("CLIENT first/sum", [("SERVER first/sum", second)])])
        self.assertEqual({span.status.status_code for span in self.exporter.get_finished_spans()}, {StatusCode.UNSET})

    async def test_errors_are_recorded_at_each_service(self) -> None:
        """The nested call of a callback, which has no context of OpenTelemetry, is in the trace as well."""
        client = await self.begin(*self.tracings)
        await self.assert_fails(client.calculate(1, Work(1, 2, Operation.ADD)), InvalidOperation)
        path: list[Any] = []
        for name in (THIRD, SECOND):
            ping: Any = (f"CLIENT {name}/ping", [(f"SERVER {name}/ping", [])])
            path = [ping, (f"CLIENT {name}/calculate", [(f"SERVER {name}/calculate", path)])]
        self.assertEqual(self.tree(), [("CLIENT first/calculate", [("SERVER first/calculate", path)])])
        for span in self.exporter.get_finished_spans():
            failed = span.name.endswith("calculate")
            self.assertIs(span.status.status_code, StatusCode.ERROR if failed else StatusCode.UNSET)
            attributes: Any = span.attributes
            self.assertEqual(attributes.get("error.type"), "InvalidOperation" if failed else None)
            self.assertEqual([event.name for event in span.events], ["exception"] if failed else [])

    async def test_a_trace_of_the_program_goes_on(self) -> None:
        """The program's span is the parent; a handler's own span is the parent of its nested calls."""
        client = await self.begin(*self.tracings)
        with self.provider.get_tracer("program").start_as_current_span("work"):
            calling = client.ping()
        await calling
        self.assertEqual(self.tree(), [("INTERNAL work", [("CLIENT first/ping", [("SERVER first/ping", [])])])])

    async def test_services_without_clients_traces_pass_the_trace_on(self) -> None:
        """The headers are metadata, which nested calls inherit."""
        client = await self.begin([], self.tracings[1])
        self.assertEqual(await client.sum(Numbers([1, 2])), 3)
        second: list[Any] = [("SERVER third/sum", []), ("SERVER third/ping", [])]
        first = [("SERVER second/sum", second), ("SERVER second/ping", [])]
        self.assertEqual(self.tree(), [("SERVER first/sum", first)])

    async def test_another_attempt_is_a_child(self) -> None:
        """Of the call's span; its worker's span is a child of the attempt's."""
        client = await self.begin(*self.tracings, retry=True, timeout=20.0)
        missing = self.unique("late")
        self.instances[missing] = "late"
        late = rpc.with_options(client, name=missing)
        calling = late.ping()
        service = rpc.ThriftService(Calculator, Inner(), name=missing, interceptors=self.tracings[1])
        worker = self.serve(service)
        await worker.when_serving()
        await calling
        ((call, attempts),) = self.tree()
        self.assertEqual(call, "CLIENT late/ping")
        *failed, last = attempts
        self.assertEqual(last, (f"CLIENT attempt {len(attempts) + 1}", [("SERVER late/ping", [])]))
        self.assertEqual([children for _, children in failed], [[] for _ in failed])

    async def test_what_a_peer_sends_as_trace_is_no_error(self) -> None:
        """Values of any type, and texts that are no trace: the call belongs to a new one."""
        client = await self.begin([], self.tracings[1])
        for value in (7, b"bytes", ["list"], {"a": 1}, "no trace", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"):
            await rpc.with_options(client, headers={"traceparent": value, "tracestate": "=,=="}).ping()
        spans = self.exporter.get_finished_spans()
        self.assertEqual([(span.kind, span.parent) for span in spans], [(SpanKind.SERVER, None)] * 6)
        self.assertEqual(len({span.context.trace_id for span in spans}), 6)


class MetricTests(ThreeServices):
    """Metrics, read by Prometheus' own parser."""

    async def test_counts_the_calls_of_three_services(self) -> None:
        """At both ends, with connections and loads."""
        registry = CollectorRegistry()
        metrics = [ClientMetrics(registry)], [WorkerMetrics(registry)]
        client = await self.begin(*metrics)
        self.assertEqual(await client.sum(Numbers([1, 2])), 3)
        await self.assert_fails(client.calculate(1, Work(1, 2, Operation.ADD)), InvalidOperation)
        expected: dict[tuple[str, ...], float] = {}
        for place, name in enumerate((FIRST, SECOND, THIRD)):
            expected[f"{self.names[name]}/sum", "", "ok"] = 1
            expected[f"{self.names[name]}/calculate", "InvalidOperation", "exception"] = 1
            if place:
                expected[f"{self.names[name]}/ping", "", "ok"] = 2
        self.assertEqual(samples(registry, "rpc_client_call_duration_seconds_count", *ENDED), expected)
        served = {(method, error, "raised" if error else "returned"): n for (method, error, _), n in expected.items()}
        self.assertEqual(samples(registry, "rpc_server_call_duration_seconds_count", *ENDED), served)
        self.assertEqual(samples(registry, "rpc_client_connections"), {(): 3})  # the third worker has no clients
        self.assertEqual(samples(registry, "rpc_server_connections"), {(): 3})
        limits = samples(registry, "rpc_server_concurrency_limit", "rpc_service")
        self.assertEqual(limits, {(name,): 64.0 for name in self.names.values()})
        active = samples(registry, "rpc_client_active_calls", "rpc_method")
        self.assertEqual(set(active.values()), {0.0})

    async def test_counts_calls_in_progress(self) -> None:
        """At both ends."""
        registry = CollectorRegistry()
        client = await self.begin([ClientMetrics(registry)], [])
        held = Handler()
        name = self.unique("held")
        worker = self.serve(rpc.ThriftService(Calculator, held, name=name, interceptors=[WorkerMetrics(registry)]))
        await worker.when_serving()
        calling = rpc.with_options(client, name=name).calculate(1, Work(1, 2))
        await held.holding(1)
        method = (f"{name}/calculate",)
        self.assertEqual(samples(registry, "rpc_client_active_calls", "rpc_method"), {method: 1})
        self.assertEqual(samples(registry, "rpc_server_active_calls", "rpc_service"), {(name,): 1})
        held.release()
        await calling
        self.assertEqual(samples(registry, "rpc_client_active_calls", "rpc_method"), {method: 0})
        self.assertEqual(samples(registry, "rpc_server_active_calls", "rpc_service"), {(name,): 0})


class AccessLogTests(ThreeServices):
    """The access log."""

    async def test_has_a_line_for_each_call_of_each_service(self) -> None:
        """Also of one that its caller has cancelled, and of a oneway call."""
        events = access_log_events(self)
        client = await self.begin([], [AccessLog("json")], app_id="test")
        await client.sum(Numbers([1, 2]))
        await client.zip()
        await client.ping()
        found = [json.loads(event["log_line"]) for event in events]
        calls = [(self.instances[each["service"]], each["method"], each["outcome"]) for each in found]
        self.assertEqual(
            calls,
            [
                (THIRD, "sum", "returned"),
                (THIRD, "ping", "returned"),
                (SECOND, "sum", "returned"),
                (SECOND, "ping", "returned"),
                (FIRST, "sum", "returned"),
                (FIRST, "zip", "returned"),
                (FIRST, "ping", "returned"),
            ],
        )
        self.assertEqual([each["caller"] for each in found[-3:]], ["test"] * 3)
        self.assertEqual([each["reply_bytes"] > 0 for each in found], [True] * 5 + [False, True])
