"""Metrics of a client."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakSet

from prometheus_client import REGISTRY, CollectorRegistry

from rpc.call_labels import OTHER, client_outcome, error_type, qualified
from rpc.client.client_call import ClientCall
from rpc.histogram import BUCKETS
from rpc.interceptors import ClientInterceptor
from rpc.metrics import families
from rpc.metrics.connections import ObserverMetrics
from rpc.metrics.series import CallSeries

MOST_METHODS = 1000
"""Methods that are counted each by itself. The names of raw calls come from messages, such as those of a gateway's
clients, so a peer could make up any number.
"""

OTHERS = qualified(OTHER, OTHER)


class ClientMetrics(ObserverMetrics, ClientInterceptor):
    """Counts the calls of clients.

    Give the same object to all connections of a process::

        metrics = ClientMetrics()
        connection = await rpc.connect(interceptors=[metrics])

    Calls in progress and connections are counted only for connections that got the object: from :func:`rpc.connect`,
    :class:`rpc.Connection`, or as ``client_interceptors`` of a worker.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        buckets: Sequence[float] = BUCKETS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        :param registry: of prometheus-client, which shows the metrics. It takes one object of this class.
        :param buckets: upper bounds of the histogram's buckets, in seconds, ascending.
        :param seconds: measures how long the broker blocks.
        :raises ValueError: the registry has an object of this class.
        """
        super().__init__(families.CLIENT_CONNECTION, seconds)
        self._bounds = tuple(buckets)
        self._methods: set[tuple[str, str]] = set()
        self._answered: dict[tuple[str, str], CallSeries] = {}
        self._series: dict[tuple[str, str, str, str], CallSeries] = {}
        self._retries: Counter[tuple[str, str, str]] = Counter()
        self._connections: WeakSet[Any] = WeakSet()
        registry.register(self)

    # -- the interceptor

    def retrying(self, call: ClientCall) -> None:
        """See :class:`rpc.IClientInterceptor`."""
        service, method = self._labels(call.service, call.method)
        self._retries[service, method, error_type(call.error)] += 1

    def after(self, call: ClientCall) -> None:
        """See :class:`rpc.IClientInterceptor`."""
        key = call.service, call.method
        series = self._answered.get(key) or self._new_answered(key)
        assert call.ended is not None and call.sent is not None
        duration = call.ended - call.began
        place = bisect_left(series.bounds, duration)
        series.counts[place] += 1
        series.total += duration
        series.attempts += call.sent.attempts

    def failed(self, call: ClientCall) -> None:
        """See :class:`rpc.IClientInterceptor`."""
        assert call.ended is not None
        labels = self._labels(call.service, call.method)
        series = self._find(*labels, error_type(call.error), client_outcome(call.error))
        series.add(call.ended - call.began)
        series.attempts += call.attempt

    def _new_answered(self, key: tuple[str, str]) -> CallSeries:
        labels = self._labels(*key)
        series = self._find(*labels, "", client_outcome(None))
        if labels is not OTHERS and "@" not in key[0]:  # instances come and go
            self._answered[key] = series
        return series

    def _labels(self, service: str, method: str) -> tuple[str, str]:
        """Return the labels of a method."""
        labels = qualified(service, method)
        if labels not in self._methods:
            if len(self._methods) >= MOST_METHODS:
                return OTHERS
            self._methods.add(labels)
        return labels

    def _find(self, *labels: str) -> CallSeries:
        service, method, error, outcome = labels
        return self._series.setdefault((service, method, error, outcome), CallSeries(self._bounds))

    # -- IObserver

    def observe(self, source: Any) -> None:
        """See :class:`rpc.observers.IObserver`."""
        self._connections.add(source)

    # -- the collector

    def describe(self) -> Iterator[Any]:
        """Return the families without samples: the registry looks for names that are taken."""
        return (metric.family() for metric in families.CLIENT_METRICS)

    def collect(self) -> Iterator[Any]:
        """Return the families, for a scrape."""
        calls, attempts = families.CLIENT_CALLS.family(), families.CLIENT_ATTEMPTS.family()
        made: Counter[tuple[str, str]] = Counter()
        active: Counter[tuple[str, str]] = Counter()
        for labels, series in list(self._series.items()):
            calls.add_metric(labels, series.buckets(), series.total)
            made[labels[:2]] += series.attempts
            active[labels[:2]] += 0
        for connection in list(self._connections):
            for called, number in connection.pending_calls().items():
                active[self._labels(*called)] += number
        retries, pending = families.CLIENT_RETRIES.family(), families.CLIENT_ACTIVE.family()
        _add(attempts, made)
        _add(retries, self._retries.copy())
        _add(pending, active)
        yield from (calls, pending, attempts, retries)
        yield from self.connection_families()


def _add(family: Any, numbers: Mapping[Any, int]) -> None:
    for labels, number in numbers.items():
        family.add_metric(labels, number)
