"""The metrics: names, labels and meanings.

Names follow OpenTelemetry's conventions for RPC (``rpc.client.call.duration``, ``rpc.server.call.duration``, and the
attributes ``rpc.method`` and ``error.type``), as Prometheus writes them: with underscores, and the unit at the end.
"""

from __future__ import annotations

from typing import Any

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

CALL = ("rpc_service", "rpc_method")
SERVICE = ("rpc_service",)
ENDED = (*CALL, "error_type", "outcome")

COUNTER, GAUGE, HISTOGRAM = CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily


@attrs.frozen
class Metric:
    """One metric.

    :ivar name: as a scrape shows it: that of a counter ends with ``_total``.
    :ivar kind: the class of its families.
    :ivar labels: the names of its labels.
    :ivar text: its meaning, in a scrape and in ``docs/observability.md``.
    """

    name: str
    kind: Any
    labels: tuple[str, ...]
    text: str

    def family(self) -> Any:
        """Return a family without samples."""
        return self.kind(self.name, self.text, labels=self.labels)


def _connection_metrics(side: str) -> dict[str, Metric]:
    """Return the metrics of connections by the end of their names."""
    return {
        "connections": Metric(f"rpc_{side}_connections", GAUGE, (), "Open connections to the broker."),
        "connects": Metric(
            f"rpc_{side}_connects_total",
            COUNTER,
            (),
            "Connections to the broker that were opened: first ones, and those after a loss.",
        ),
        "disconnects": Metric(
            f"rpc_{side}_disconnects_total", COUNTER, (), "Connections to the broker that were lost or closed."
        ),
        "blocked": Metric(
            f"rpc_{side}_blocked_seconds_total",
            COUNTER,
            (),
            "Time in which the broker took no messages, of all connections together.",
        ),
    }


CLIENT_CALLS = Metric(
    "rpc_client_call_duration_seconds",
    HISTOGRAM,
    ENDED,
    "Calls that have ended, and how long they took, with all attempts and pauses.",
)
CLIENT_ACTIVE = Metric("rpc_client_active_calls", GAUGE, CALL, "Calls that have not ended.")
CLIENT_ATTEMPTS = Metric("rpc_client_attempts_total", COUNTER, CALL, "Attempts of the calls that have ended.")
CLIENT_RETRIES = Metric(
    "rpc_client_retries_total", COUNTER, (*CALL, "error_type"), "Attempts that failed, and were followed by another."
)
CLIENT_CONNECTION = _connection_metrics("client")

SERVER_CALLS = Metric(
    "rpc_server_call_duration_seconds",
    HISTOGRAM,
    ENDED,
    "Requests that have ended in a worker, and how long they took from the beginning to the reply.",
)
SERVER_ACTIVE = Metric("rpc_server_active_calls", GAUGE, SERVICE, "Calls in progress: the slots in use.")
SERVER_CONCURRENCY = Metric("rpc_server_concurrency_limit", GAUGE, SERVICE, "Slots of the service.")
SERVER_WAITING = Metric(
    "rpc_server_waiting_requests", GAUGE, SERVICE, "Requests that have arrived in a worker, and wait for a slot."
)
SERVER_WAITS = Metric(
    "rpc_server_queue_duration_seconds",
    HISTOGRAM,
    SERVICE,
    "How long requests that began had waited in a worker for "
    "a slot. The broker does not tell how long they were in its queue.",
)
SERVER_REPEATED = Metric(
    "rpc_server_repeated_attempts_total", COUNTER, SERVICE, "Requests that their callers had sent before."
)
SERVER_REDELIVERIES = Metric(
    "rpc_server_redeliveries_total", COUNTER, SERVICE, "Requests that a worker may have begun before, and not finished."
)
SERVER_DEAD_LETTERS = Metric(
    "rpc_server_dead_letters_total", COUNTER, (*SERVICE, "error_type"), "Requests that became dead letters."
)
SERVER_LAG = Metric(
    "rpc_server_reactor_lag_seconds",
    HISTOGRAM,
    (),
    "How late a timer of the worker fired. Measured every quarter of a heartbeat interval.",
)
SERVER_CONNECTION = _connection_metrics("server")

CLIENT_METRICS = (CLIENT_CALLS, CLIENT_ACTIVE, CLIENT_ATTEMPTS, CLIENT_RETRIES, *CLIENT_CONNECTION.values())
SERVER_METRICS = (
    SERVER_CALLS,
    SERVER_ACTIVE,
    SERVER_CONCURRENCY,
    SERVER_WAITING,
    SERVER_WAITS,
    SERVER_REPEATED,
    SERVER_REDELIVERIES,
    SERVER_DEAD_LETTERS,
    SERVER_LAG,
    *SERVER_CONNECTION.values(),
)
WORKER_UP = Metric(
    "rpc_worker_up",
    GAUGE,
    ("worker",),
    "With --workers: 1 if the worker process of this number has told its metrics, else 0.",
)
METRICS = (*CLIENT_METRICS, *SERVER_METRICS, WORKER_UP)
