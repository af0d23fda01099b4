"""Metrics of a worker."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakSet

from prometheus_client import REGISTRY, CollectorRegistry

from rpc.call_labels import OTHER, error_type, qualified
from rpc.histogram import BUCKETS, Histogram
from rpc.interceptors import WorkerInterceptor
from rpc.metrics import families
from rpc.metrics.connections import ObserverMetrics
from rpc.worker.call import Ending, WorkerCall

NOT_BEGUN = (Ending.REJECTED.value, Ending.DROPPED.value)


class WorkerMetrics(ObserverMetrics, WorkerInterceptor):
    """Counts the requests of workers.

    Give the same object to all workers of a process::

        metrics = WorkerMetrics()
        worker = rpc.Worker(url, services, interceptors=[metrics])
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
        :param buckets: upper bounds of the histograms' buckets, in seconds, ascending.
        :param seconds: measures how long the broker blocks.
        :raises ValueError: the registry has an object of this class.
        """
        super().__init__(families.SERVER_CONNECTION, seconds)
        self._bounds = tuple(buckets)
        self._returned: dict[tuple[str, str], Histogram] = {}
        self._series: dict[tuple[str, str, str, str], Histogram] = {}
        self._waits: dict[str, Histogram] = {}
        self._repeated: Counter[str] = Counter()
        self._redelivered: Counter[str] = Counter()
        self._dead_letters: Counter[tuple[str, str]] = Counter()
        self._lag = Histogram(self._bounds)
        self._workers: WeakSet[Any] = WeakSet()
        registry.register(self)

    # -- the interceptor

    def after(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        key = call.service, call.method
        series = self._returned.get(key) or self._new_returned(key)
        began, ended = call.began, call.ended
        assert ended is not None
        duration = ended - began
        place = bisect_left(series.bounds, duration)
        series.counts[place] += 1
        series.total += duration
        if began > call.arrived or call.attempt > 1 or call.redelivered:
            self._note_history(call)

    def failed(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self._note_end(call, call.method)
        self._note_history(call)

    def rejected(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self._note_end(call, call.method if call.is_known else OTHER)

    def _new_returned(self, key: tuple[str, str]) -> Histogram:
        series = self._returned[key] = self._find(*qualified(*key), "", Ending.RETURNED.value)
        return series

    def _find(self, *labels: str) -> Histogram:
        service, method, error, outcome = labels
        return self._series.setdefault((service, method, error, outcome), Histogram(self._bounds))

    def _note_end(self, call: WorkerCall, method: str) -> None:
        assert call.ended is not None and call.ending is not None
        error = error_type(call.error)
        self._find(*qualified(call.service, method), error, call.ending.value).add(call.ended - call.began)
        if call.dead_letter:
            self._dead_letters[call.service, error] += 1

    def _note_history(self, call: WorkerCall) -> None:
        """Count the wait, the earlier attempts and the redelivery of a call that began."""
        wait = call.began - call.arrived
        if wait > 0:
            self._waits.setdefault(call.service, Histogram(self._bounds)).add(wait)
        if call.attempt > 1:
            self._repeated[call.service] += 1
        if call.redelivered:
            self._redelivered[call.service] += 1

    # -- IObserver

    def observe(self, source: Any) -> None:
        """See :class:`rpc.observers.IObserver`."""
        self._workers.add(source)

    def reactor_late(self, seconds: float) -> None:
        """See :class:`rpc.observers.IObserver`."""
        self._lag.add(seconds)

    # -- the collector

    def describe(self) -> Iterator[Any]:
        """Return the families without samples: the registry looks for names that are taken."""
        return (metric.family() for metric in families.SERVER_METRICS)

    def collect(self) -> Iterator[Any]:
        """Return the families, for a scrape."""
        yield from self._call_families()
        yield from self._load_families()
        lag = families.SERVER_LAG.family()
        lag.add_metric((), self._lag.buckets(), self._lag.total)
        yield lag
        yield from self.connection_families()

    def _call_families(self) -> Iterator[Any]:
        calls = families.SERVER_CALLS.family()
        begun: Counter[str] = Counter()
        for labels, series in list(self._series.items()):
            buckets = series.buckets()
            calls.add_metric(labels, buckets, series.total)
            if labels[3] not in NOT_BEGUN:
                begun[labels[0]] += int(buckets[-1][1])
        yield calls
        waits, repeated, redelivered, dead = (
            families.SERVER_WAITS.family(),
            families.SERVER_REPEATED.family(),
            families.SERVER_REDELIVERIES.family(),
            families.SERVER_DEAD_LETTERS.family(),
        )
        for service, number in begun.items():
            waited = self._waits.get(service) or Histogram(self._bounds)
            waits.add_metric((service,), waited.buckets(max(0, number - sum(waited.counts))), waited.total)
            repeated.add_metric((service,), self._repeated[service])
            redelivered.add_metric((service,), self._redelivered[service])
        for name, number in self._dead_letters.copy().items():
            dead.add_metric(name, number)
        yield from (waits, repeated, redelivered, dead)

    def _load_families(self) -> Iterator[Any]:
        active, limit, waiting = (
            families.SERVER_ACTIVE.family(),
            families.SERVER_CONCURRENCY.family(),
            families.SERVER_WAITING.family(),
        )
        totals: dict[str, list[int]] = {}
        for worker in list(self._workers):
            for service, load in worker.loads.items():
                total = totals.setdefault(service, [0, 0, 0])
                for place, number in enumerate((load.running, load.concurrency, load.waiting)):
                    total[place] += number
        for service, numbers in totals.items():
            for family, number in zip((active, limit, waiting), numbers, strict=True):
                family.add_metric((service,), number)
        yield from (active, limit, waiting)
