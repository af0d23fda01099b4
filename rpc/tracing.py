"""Traces by OpenTelemetry: a span at the client and one at the worker for each call, linked over AMQP headers.

The headers are those of W3C's Trace Context (``traceparent``, ``tracestate``), or of the propagator that is configured.
They are metadata of the request, which nested calls inherit. So a nested call belongs to the trace of its handler's
call even when its client has no :class:`ClientTracing`. Needs the extra ``tracing`` (opentelemetry-api). The program
sets up the exporter, as ``docs/observability.md`` shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

try:
    from opentelemetry import context as contexts
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
except ImportError as error:
    raise ImportError(
        "rpc.tracing needs opentelemetry-api, which is not installed: pip install 'thrift-amqp-rpc[tracing]'"
    ) from error

from twisted.python.reflect import safe_str

from rpc.call_labels import OTHER, client_outcome, error_type, qualified
from rpc.client.client_call import ClientCall
from rpc.interceptors import ClientInterceptor, WorkerInterceptor
from rpc.version import __version__
from rpc.worker.call import WorkerCall

SYSTEM = {"rpc.system.name": "thrift", "messaging.system": "rabbitmq"}

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
"""The second belongs to the first: with another trace, it must not be sent (W3C Trace Context, section 3.3)."""


class _Tracing:
    """The tracer and the propagator of both interceptors."""

    def __init__(
        self, tracer_provider: TracerProvider | None = None, propagator: TextMapPropagator | None = None
    ) -> None:
        """
        :param tracer_provider: makes the tracer; default: OpenTelemetry's global one.
        :param propagator: writes and reads the headers; default: OpenTelemetry's global one.
        """
        self._tracer = trace.get_tracer("rpc", __version__, tracer_provider)
        self._propagator = propagator or propagate.get_global_textmap()

    def _extract(self, headers: Mapping[str, Any]) -> Context:
        """Return the context in the headers of a request. A peer may send values of any type: texts are read.

        Headers that the propagator cannot read are no context. They must not refuse the call.
        """
        texts = {name: value for name, value in headers.items() if isinstance(value, str)}
        try:
            return self._propagator.extract(texts, Context())
        except Exception:
            return Context()

    def _inject(self, span: Span, headers: dict[str, Any], base: Context | None = None) -> Context:
        """Write `span`, and the other values of the context `base`, into headers.

        :return: the context with both.
        """
        context = trace.set_span_in_context(span, base)
        written: dict[str, str] = {}
        self._propagator.inject(written, context)
        if TRACEPARENT in written:
            headers.pop(TRACESTATE, None)
        headers.update(written)
        return context


class ClientTracing(_Tracing, ClientInterceptor):
    """A span for each call of a client. Its parent is the current span, or the call that is being served.

    A further attempt is a span of its own, a child of the call's.
    """

    def before(self, call: ClientCall) -> None:
        """See :class:`rpc.IClientInterceptor`."""
        _, method = qualified(call.service, call.method)
        attributes = {**SYSTEM, "rpc.method": method, "messaging.destination.name": call.service}
        span = self._tracer.start_span(method, self._parent(call), SpanKind.CLIENT, attributes=attributes)
        call.notes[self] = [span]
        if span.get_span_context().is_valid:
            self._inject(span, call.headers)

    def _parent(self, call: ClientCall) -> Context | None:
        """Return the context of a call's parent; ``None``: the current one.

        A callback of a handler may run while the code of another handler is current. So the current span counts only
        if it belongs to the trace of the served call.
        """
        if call.context is None:
            return None
        served = self._extract(call.context.metadata)
        inherited = trace.get_current_span(served).get_span_context()
        current = trace.get_current_span().get_span_context()
        return served if inherited.is_valid and inherited.trace_id != current.trace_id else None

    def retrying(self, call: ClientCall) -> None:
        """See :class:`rpc.IClientInterceptor`."""
        first, *attempts = spans = call.notes[self]
        if attempts:
            _end(attempts[-1], call.error)
        else:
            _note_error(first, call.error)
        attempt = self._tracer.start_span(
            f"attempt {call.attempt + 1}",
            trace.set_span_in_context(first),
            SpanKind.CLIENT,
            attributes={**SYSTEM, "rpc.attempt": call.attempt + 1},
        )
        spans.append(attempt)
        if attempt.get_span_context().is_valid:
            self._inject(attempt, call.headers)

    def after(self, call: ClientCall) -> None:
        """See :class:`rpc.IClientInterceptor`."""
        self._end_all(call, None)

    def failed(self, call: ClientCall) -> None:
        """See :class:`rpc.IClientInterceptor`."""
        self._end_all(call, call.error)

    def _end_all(self, call: ClientCall, error: BaseException | None) -> None:
        first, *attempts = call.notes[self]
        for attempt in attempts[-1:]:
            _end(attempt, error)
        if call.message_id is not None:
            first.set_attribute("messaging.message.id", call.message_id)
        first.set_attribute("rpc.outcome", client_outcome(error))
        _end(first, error)


class WorkerTracing(_Tracing, WorkerInterceptor):
    """A span for each request of a worker: a child of the client's.

    It is the current span of the handler's own code and coroutines. Nested calls find it in any case, because it is
    also in the metadata of the request.
    """

    def before(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        context = self._extract(call.headers)
        call.notes[self] = span = self._start(call, call.method, context)
        if span.get_span_context().is_valid:
            context = self._inject(span, call.metadata, context)
        contexts.attach(context)  # each request has its own context variables, so nothing is to be detached

    def after(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self._end(call)

    def failed(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self._end(call)

    def rejected(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        method = call.method if call.is_known else OTHER
        call.notes[self] = self._start(call, method, self._extract(call.headers))
        self._end(call)

    def _start(self, call: WorkerCall, method: str, context: Context) -> Span:
        name = f"{call.service}/{method}"
        attributes: dict[str, Any] = {**SYSTEM, "rpc.method": name, "rpc.attempt": call.attempt}
        if call.message_id is not None:
            attributes["messaging.message.id"] = call.message_id
        return self._tracer.start_span(name, context, SpanKind.SERVER, attributes=attributes)

    def _end(self, call: WorkerCall) -> None:
        span: Span = call.notes[self]
        assert call.ending is not None
        span.set_attribute("rpc.ending", call.ending.value)
        _end(span, call.error)


def _note_error(span: Span, error: BaseException | None) -> None:
    if isinstance(error, Exception):
        with suppress(Exception):  # one whose text cannot be had
            span.record_exception(error)


def _end(span: Span, error: BaseException | None) -> None:
    """End a span, with its error."""
    if error is not None:
        _note_error(span, error)
        span.set_attribute("error.type", error_type(error))
        span.set_status(Status(StatusCode.ERROR, safe_str(error)))
    span.end()
