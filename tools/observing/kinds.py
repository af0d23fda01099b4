"""The interceptors that are measured, by kind. Each process makes its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import TracerProvider

import rpc
from rpc.access_log import AccessLog
from rpc.control.call_stats import CallStats
from rpc.metrics import ClientMetrics, WorkerMetrics
from rpc.tracing import ClientTracing, WorkerTracing

NONE = "none"

CLIENT: dict[str, Callable[[], list[Any]]] = {
    NONE: list,
    "no-op": lambda: [rpc.ClientInterceptor()],
    "metrics": lambda: [ClientMetrics()],
    "traces": lambda: [ClientTracing(TracerProvider())],
}
"""Spans are recorded, and not exported: that depends on the exporter."""

WORKER: dict[str, Callable[[], list[Any]]] = {
    NONE: list,
    "no-op": lambda: [rpc.WorkerInterceptor()],
    "stats": lambda: [CallStats()],
    "metrics": lambda: [WorkerMetrics()],
    "traces": lambda: [WorkerTracing(TracerProvider())],
    "access-log": lambda: [AccessLog("json")],
}
"""Nothing observes Twisted's log in the measured worker: writing depends on the log's destination."""
