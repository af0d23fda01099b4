"""Traces of a worker: peers and handlers may change them, and they must not disturb calls."""

from __future__ import annotations

from typing import Any

from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from thrift.Thrift import TMessageType

from rpc.context import current_call
from rpc.tracing import WorkerTracing
from tests.unit.worker.again_case import BINARY, AgainTestCase

PARENT = f"00-{'1' * 32}-{'2' * 16}-01"


class Failing(TextMapPropagator):
    """A propagator that reads no header of a peer."""

    def extract(self, *_: Any, **__: Any) -> Any:
        """Fail."""
        raise UnicodeError

    def inject(self, carrier: Any, *_: Any, **__: Any) -> None:
        """Write nothing."""

    @property
    def fields(self) -> set[str]:
        """No header."""
        return set()


class Silent(Exception):
    """An error of a handler that has no text."""

    def __str__(self) -> str:
        raise ZeroDivisionError


class WorkerTracingTests(AgainTestCase):
    """A worker with traces, in the SDK's own exporter."""

    def setUp(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.addCleanup(self.provider.shutdown)
        self.begin(TraceContextTextMapPropagator())

    def begin(self, propagator: TextMapPropagator) -> None:
        """Serve anew."""
        self.serve(interceptors=[WorkerTracing(self.provider, propagator)])

    def metadata(self, **headers: Any) -> dict[str, Any]:
        """Return the metadata that a handler sees, and its nested calls inherit."""
        seen: list[Any] = []

        def answer() -> int:
            current: Any = current_call()
            seen.append(dict(current.metadata))
            return 3

        self.handler.answer = answer
        self.request("add", headers=headers)
        self.assertEqual(BINARY.read_header(self.reply().body)[1], TMessageType.REPLY)
        return dict(seen[0])

    def test_nested_calls_get_no_state_of_another_trace(self) -> None:
        """``tracestate`` belongs to its ``traceparent`` (W3C Trace Context, section 3.3)."""
        good = self.metadata(traceparent=PARENT, tracestate="a=b", other="kept")
        self.assertEqual((good["tracestate"], good["other"]), ("a=b", "kept"))
        for headers in (
            {"traceparent": "no trace", "tracestate": "a=b"},
            {"tracestate": "a=b"},
            {"traceparent": PARENT, "tracestate": "=,=" * 1000},
            {"traceparent": PARENT, "tracestate": 7},
        ):
            found = self.metadata(**headers, other="kept")
            self.assertEqual(set(found), {"traceparent", "other"}, headers)
            self.assertNotEqual(found["traceparent"], headers.get("traceparent"))

    def test_a_propagator_that_fails_refuses_no_call(self) -> None:
        """Its error counts as a fault of a peer's header: the call begins a new trace."""
        self.begin(Failing())
        self.metadata(traceparent=PARENT)
        (span,) = self.exporter.get_finished_spans()
        self.assertIsNone(span.parent)

    def test_an_error_without_text_ends_its_span(self) -> None:
        """The SDK asks for the text."""

        def fails() -> None:
            raise Silent

        self.handler.answer = fails
        self.request("add")
        self.reply()
        self.flushLoggedErrors()
        (span,) = self.exporter.get_finished_spans()
        self.assertIs(span.status.status_code, StatusCode.ERROR)
        assert span.attributes is not None
        self.assertEqual(span.attributes["error.type"], "Silent")
