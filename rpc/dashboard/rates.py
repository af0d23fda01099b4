"""Rates and percentiles, from the counts of two readings: pure.

Each worker counts for itself. So a difference is taken worker by worker, before anything is added up: the sum would
drop when a worker ends.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from rpc.dashboard.readings import MethodCounts, Reading

WINDOW: Final = 10
"""Readings whose calls make a percentile. The calls of one second are too few for a 99th percentile."""

CALLS: Final = -1
FAILED: Final = -2

Counts = Counter[int]
"""Numbers by what they count: :data:`CALLS`, :data:`FAILED`, or the index of a latency."""

Key = tuple[str, str]
"""A service and its method."""


@attrs.frozen
class Figures:
    """How calls go.

    :ivar rate: calls that end in a second, between the last two readings.
    :ivar errors: those that fail.
    :ivar p50: seconds that half of the calls of the last readings took at most; ``None``: there were none.
    :ivar p99: the same for 99 of 100.
    """

    rate: float = 0.0
    errors: float = 0.0
    p50: float | None = None
    p99: float | None = None


IDLE: Final = Figures()


@attrs.frozen
class Rates:
    """The figures of one reading."""

    total: Figures
    services: Mapping[str, Figures]
    methods: Mapping[Key, Figures]


def percentile(share: float, latencies: Sequence[int], bounds: Sequence[float]) -> float | None:
    """Return the seconds that this share of the calls took at most; ``None`` without calls.

    Within a bucket, calls are taken for evenly spread, as Prometheus does. Calls above the last bound have no upper
    end, so they count as the last bound.
    """
    rank = share * sum(latencies)
    if not rank:
        return None
    below, lower = 0, 0.0
    for count, bound in zip(latencies, bounds, strict=False):
        if count and below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, bound
    return lower


class RateMeter:
    """Takes readings, one after the other."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], MethodCounts] = {}  # by worker, service and method
        self._last_clock: float | None = None
        self._window: deque[dict[Key, Counts]] = deque()
        self._recent: dict[Key, Counts] = {}  # the sum of the window

    def take(self, reading: Reading) -> Rates:
        """Return the figures of a reading. A worker's first answer has nothing to be compared with."""
        moved = self._moved(reading)
        seconds = 0.0 if self._last_clock is None else reading.clock - self._last_clock
        self._last_clock = reading.clock
        self._enter(moved)
        by_service: dict[str, Counts] = {}
        recent_by_service: dict[str, Counts] = {}
        for by_method, by_name in ((moved, by_service), (self._recent, recent_by_service)):
            for (service, _), counts in by_method.items():
                by_name.setdefault(service, Counter()).update(counts)

        def figures(now: Counts, recent: Counts) -> Figures:
            return _figures(now, recent, seconds, reading.bounds)

        none: Counts = Counter()
        return Rates(
            total=figures(_sum(by_service.values()), _sum(recent_by_service.values())),
            services={name: figures(by_service.get(name, none), recent) for name, recent in recent_by_service.items()},
            methods={key: figures(moved.get(key, none), recent) for key, recent in self._recent.items()},
        )

    def restart(self) -> None:
        """Forget the calls of the last readings: the next reading comes after a pause."""
        self._window.clear()
        self._recent.clear()

    def _moved(self, reading: Reading) -> dict[Key, Counts]:
        """Return the calls since the last reading."""
        moved: dict[Key, Counts] = {}
        present: dict[tuple[str, str, str], MethodCounts] = {}
        for worker in reading.workers:
            for service in worker.services:
                for method, counts in (service.methods or {}).items():
                    key = (worker.instance, service.name, method)
                    present[key] = counts
                    before = self._last.get(key)
                    if before is not None and counts != before and counts.calls >= before.calls:
                        difference = _as_counts(counts)
                        difference.subtract(_as_counts(before))
                        moved.setdefault((service.name, method), Counter()).update(difference)
        self._last = present
        return moved

    def _enter(self, moved: dict[Key, Counts]) -> None:
        """Add to the window, and drop what leaves it."""
        self._window.append(moved)
        for key, counts in moved.items():
            self._recent.setdefault(key, Counter()).update(counts)
        if len(self._window) <= WINDOW:
            return
        for key, counts in self._window.popleft().items():
            left = self._recent[key] - counts
            if left:
                self._recent[key] = left
            else:
                del self._recent[key]


def _as_counts(counts: MethodCounts) -> Counts:
    found: Counts = Counter(dict(enumerate(counts.latencies)))
    found[CALLS], found[FAILED] = counts.calls, counts.failed
    return found


def _sum(several: Iterable[Counts]) -> Counts:
    total: Counts = Counter()
    for each in several:
        total.update(each)
    return total


def _figures(now: Counts, recent: Counts, seconds: float, bounds: Sequence[float]) -> Figures:
    latencies = [recent[index] for index in range(len(bounds) + 1)]
    return Figures(
        rate=now[CALLS] / seconds if seconds else 0.0,
        errors=now[FAILED] / seconds if seconds else 0.0,
        p50=percentile(0.5, latencies, bounds),
        p99=percentile(0.99, latencies, bounds),
    )
