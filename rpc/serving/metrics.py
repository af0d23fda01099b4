"""``/metrics``, for Prometheus: the metrics of this process, or those of all worker processes.

It needs the extra ``metrics``, so other modules import it only when there is a ``--metrics-port``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure
from twisted.web.pages import errorPage
from twisted.web.server import NOT_DONE_YET, Request

from rpc import log
from rpc.errors import ConfigurationError
from rpc.metrics import ClientMetrics, WorkerMetrics
from rpc.serving.pages import Page
from rpc.serving.workers_metrics import WorkersMetrics

__all__ = ["MetricsPage", "WorkersMetrics", "metrics_of_worker", "of_this_process"]

Gather: TypeAlias = Callable[[], Deferred[CollectorRegistry]]
"""Returns a registry with the metrics of this moment."""


def metrics_of_worker() -> tuple[WorkerMetrics, ClientMetrics]:
    """Return the interceptors of this process's worker, and of the clients of its handlers.

    :raises ConfigurationError: the program has made such metrics already.
    """
    try:
        return WorkerMetrics(), ClientMetrics()
    except ValueError as error:
        raise ConfigurationError(
            f"--metrics-port: a module has made rpc.metrics of its own: {error}; leave out one of the two"
        ) from error


def of_this_process() -> Deferred[CollectorRegistry]:
    """Return prometheus-client's default registry: handlers count in it as well."""
    return succeed(REGISTRY)


class MetricsPage(Page):
    """The page. It is written in the reactor's thread, which also writes the counts; this takes a few milliseconds."""

    def __init__(self, gather: Gather = of_this_process) -> None:
        super().__init__()
        self._gather = gather

    def render_GET(self, request: Request) -> int:
        """Write the metrics, in the format that the client prefers."""
        gathering = self._gather()
        request.notifyFinish().addErrback(lambda _: gathering.cancel())  # the client has gone
        gathering.addCallback(self._write, request).addErrback(self._failed, request)
        return NOT_DONE_YET

    def _write(self, registry: CollectorRegistry, request: Request) -> None:
        encode, content_type = choose_encoder(request.getHeader("accept") or "")
        page = encode(registry)  # first: a collector of the user may raise anything
        request.setHeader("content-type", content_type)
        request.setHeader("content-length", str(len(page)))
        request.write(page)
        request.finish()

    def _failed(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):
            return
        log.err(failure, "while gathering metrics")
        errorPage(500, "Internal Server Error", "The log has the reason.").render(request)  # it also finishes
