"""Metrics of connections, which clients and workers have alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client.registry import Collector

from rpc.metrics.families import Metric
from rpc.metrics.series import ConnectionCounts
from rpc.observers import Observer


class ObserverMetrics(Observer, Collector):
    """Counts connections, and the time in which the broker blocks them."""

    def __init__(self, metrics: Mapping[str, Metric], seconds: Callable[[], float]) -> None:
        self._connection_metrics = metrics
        self._counts = ConnectionCounts(seconds)

    def connected(self) -> None:
        """See :class:`rpc.observers.IObserver`."""
        self._counts.opened += 1

    def disconnected(self) -> None:
        """See :class:`rpc.observers.IObserver`."""
        self._counts.ended += 1

    def blocked(self, reason: str | None) -> None:
        """See :class:`rpc.observers.IObserver`."""
        self._counts.change_blocked(-1 if reason is None else 1)

    def connection_families(self) -> Iterator[Any]:
        """Return the families, for a scrape."""
        counts = self._counts
        values = {
            "connections": counts.opened - counts.ended,
            "connects": counts.opened,
            "disconnects": counts.ended,
            "blocked": counts.blocked_seconds,
        }
        for name, metric in self._connection_metrics.items():
            family = metric.family()
            family.add_metric((), values[name])
            yield family
