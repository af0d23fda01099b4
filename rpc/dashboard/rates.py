"""Rates and percentiles, from the counts of two readings: pure.

Each worker counts for itself. So a difference is taken worker by worker, before anything is added up: the sum would
drop when a worker ends.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from rpc.control.call_stats import BOUNDS
from rpc.control.totals import NOTHING, MethodTotal
from rpc.dashboard.readings import Reading

WINDOW: Final = 10
"""Readings whose calls make a percentile. The calls of one second are too few for a 99th percentile."""

Key = tuple[str, str]
"""A service and its method."""


@attrs.frozen
class Figures:
    """How calls go.

    :ivar rate: calls that end in a second, between the last two readings.
    :ivar errors: those without a result, and without an exception of the IDL.
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
    """The figures of one reading. A service or method that is missing is idle."""

    total: Figures
    services: Mapping[str, Figures]
    methods: Mapping[Key, Figures]


class RateMeter:
    """Takes readings, one after the other."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], MethodTotal] = {}  # by worker, service and method
        self._last_clock: float | None = None
        self._window: deque[dict[Key, MethodTotal]] = deque()
        self._recent: dict[Key, MethodTotal] = {}  # the sum of the window

    def take(self, reading: Reading) -> Rates:
        """Return the figures of a reading. A worker's first answer has nothing to be compared with."""
        moved = self._moved(reading)
        seconds = 0.0 if self._last_clock is None else reading.clock - self._last_clock
        self._last_clock = reading.clock
        self._enter(moved)
        moved_by_service, recent_by_service = _by_service(moved), _by_service(self._recent)
        return Rates(
            total=_figures(_sum(moved.values()), _sum(self._recent.values()), seconds),
            services={
                name: _figures(moved_by_service.get(name, NOTHING), recent, seconds)
                for name, recent in recent_by_service.items()
            },
            methods={key: _figures(moved.get(key, NOTHING), recent, seconds) for key, recent in self._recent.items()},
        )

    def restart(self) -> None:
        """Forget the calls of the last readings: the next reading comes after a pause."""
        self._window.clear()
        self._recent.clear()

    def _moved(self, reading: Reading) -> dict[Key, MethodTotal]:
        """Return the calls since the last reading."""
        moved: dict[Key, MethodTotal] = {}
        present: dict[tuple[str, str, str], MethodTotal] = {}
        for worker in reading.workers:
            for service in worker.services:
                for method, total in (service.methods or {}).items():
                    worker_key, key = (worker.instance, service.name, method), (service.name, method)
                    present[worker_key] = total
                    before = self._last.get(worker_key)
                    if before is not None and total.calls > before.calls:  # counts that change without a call are wrong
                        moved[key] = moved.get(key, NOTHING).plus(total.minus(before))
        self._last = present
        return moved

    def _enter(self, moved: dict[Key, MethodTotal]) -> None:
        """Add to the window, and drop its oldest reading."""
        self._window.append(moved)
        for key, total in moved.items():
            self._recent[key] = self._recent.get(key, NOTHING).plus(total)
        if len(self._window) <= WINDOW:
            return
        for key, total in self._window.popleft().items():
            left = self._recent[key].minus(total)
            if left.calls:
                self._recent[key] = left
            else:
                del self._recent[key]


def _by_service(methods: Mapping[Key, MethodTotal]) -> dict[str, MethodTotal]:
    found: dict[str, MethodTotal] = {}
    for (service, _), total in methods.items():
        found[service] = found.get(service, NOTHING).plus(total)
    return found


def _sum(totals: Iterable[MethodTotal]) -> MethodTotal:
    found = NOTHING
    for total in totals:
        found = found.plus(total)
    return found


def _figures(now: MethodTotal, recent: MethodTotal, seconds: float) -> Figures:
    return Figures(
        rate=now.calls / seconds if seconds else 0.0,
        errors=now.failures / seconds if seconds else 0.0,
        p50=_percentile(recent, 50),
        p99=_percentile(recent, 99),
    )


def _percentile(total: MethodTotal, percent: float) -> float | None:
    """Return a percentile. Calls above the last bound have no upper end, so they count as the last bound."""
    seconds = total.percentile(percent)
    return BOUNDS[-1] if seconds == math.inf else seconds
