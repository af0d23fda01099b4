"""Pure: the sum of the counts of several workers for one service, and percentiles of this sum.

Percentiles of workers cannot be added, so workers send the buckets of histograms. All have the same bounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from rpc.control.call_stats import BOUNDS, RAISED, RETURNED
from rpc.control.stubs.control.ttypes import MethodStats, ServiceStats, WorkerStats

LONGEST = 1e15
"""Seconds of all calls of a method that can be right: 30 million years. Sums of them are finite, as JSON demands."""

NO_COUNTS = (0,) * (len(BOUNDS) + 1)


@attrs.frozen
class MethodTotal:
    """Calls of one method.

    :ivar outcomes: by how they ended, a value of :class:`rpc.Ending`.
    :ivar errors: calls without a result by the name of their error.
    :ivar counts: the calls that began, by the bucket of their duration (:data:`rpc.control.call_stats.BOUNDS`).
    :ivar seconds: that these took together.
    """

    outcomes: Mapping[str, int] = attrs.field(factory=dict)
    errors: Mapping[str, int] = attrs.field(factory=dict)
    counts: tuple[int, ...] = NO_COUNTS
    seconds: float = 0.0

    @property
    def calls(self) -> int:
        """All calls, also rejected ones."""
        return sum(self.outcomes.values())

    @property
    def exceptions(self) -> int:
        """The calls that ended with an exception of the IDL, or with a ``TApplicationException`` of the handler."""
        return self.outcomes.get(RAISED, 0)

    @property
    def failures(self) -> int:
        """The calls without an answer of the handler. An exception of the IDL is an answer: the caller expects it."""
        return self.calls - self.outcomes.get(RETURNED, 0) - self.exceptions

    @property
    def mean(self) -> float | None:
        """The mean duration in seconds; ``None`` without calls that began."""
        begun = sum(self.counts)
        return self.seconds / begun if begun else None

    def percentile(self, percent: float) -> float | None:
        """Return the duration in seconds that so many percent of the calls did not exceed.

        It is interpolated within its bucket. ``math.inf``: it is above the last bound. ``None``: there are no calls.
        """
        return percentile(self.counts, BOUNDS, percent)

    def plus(self, other: MethodTotal) -> MethodTotal:
        """Return the sum."""
        return self._with(other, 1)

    def minus(self, before: MethodTotal) -> MethodTotal:
        """Return the calls since `before`."""
        return self._with(before, -1)

    def _with(self, other: MethodTotal, sign: int) -> MethodTotal:
        counts = zip(self.counts, other.counts, strict=True)
        return MethodTotal(
            _sum(self.outcomes, other.outcomes, sign),
            _sum(self.errors, other.errors, sign),
            tuple(mine + sign * theirs for mine, theirs in counts),
            self.seconds + sign * other.seconds,
        )


NOTHING = MethodTotal()


@attrs.frozen
class ServiceTotal:
    """One service in several workers.

    :ivar running: calls in progress: the slots in use.
    :ivar waiting: requests that have arrived in a worker, and wait for a slot.
    :ivar concurrency: the slots.
    :ivar methods: by name.
    :ivar uncounted: the workers that count no calls, or in a way that cannot be added: their methods are missing here.
    """

    running: int = 0
    waiting: int = 0
    concurrency: int = 0
    methods: Mapping[str, MethodTotal] = attrs.field(factory=dict)
    uncounted: tuple[str, ...] = ()

    def since(self, before: ServiceTotal) -> dict[str, MethodTotal]:
        """Return the calls of each method since `before`, a total of the same workers."""
        return {name: total.minus(before.methods.get(name, NOTHING)) for name, total in self.methods.items()}


def add_up(answers: Iterable[WorkerStats], service: str) -> ServiceTotal:
    """Return the sum over workers."""
    running = waiting = concurrency = 0
    methods: dict[str, MethodTotal] = {}
    uncounted: list[str] = []
    for worker in answers:
        for stats in worker.services:
            if stats.name != service:
                continue
            running, waiting = running + stats.running, waiting + stats.waiting
            concurrency += stats.concurrency
            if not _is_addable(worker, stats):
                uncounted.append(worker.instance)
                continue
            for each in stats.methods:
                methods[each.method] = methods.get(each.method, NOTHING).plus(total_of(each))
    return ServiceTotal(running, waiting, concurrency, dict(sorted(methods.items())), tuple(uncounted))


def _is_addable(worker: WorkerStats, stats: ServiceStats) -> bool:
    places = len(BOUNDS) + 1
    return worker.kept and tuple(worker.bounds) == BOUNDS and all(_is_sound(each, places) for each in stats.methods)


def _is_sound(stats: MethodStats, places: int) -> bool:
    """Whether numbers of a peer can be added and divided."""
    numbers = (*stats.outcomes.values(), *stats.errors.values(), *stats.latency.counts)
    return len(stats.latency.counts) == places and 0 <= stats.latency.total <= LONGEST and min(numbers) >= 0


def total_of(stats: MethodStats) -> MethodTotal:
    """Return the counts of one worker."""
    return MethodTotal(dict(stats.outcomes), dict(stats.errors), tuple(stats.latency.counts), stats.latency.total)


def _sum(mine: Mapping[str, int], theirs: Mapping[str, int], sign: int) -> dict[str, int]:
    total = Counter(mine)
    for name, number in theirs.items():
        total[name] += sign * number
    return {name: number for name, number in total.items() if number}


def percentile(counts: Sequence[int], bounds: Sequence[float], percent: float) -> float | None:
    """Return a percentile of values that are counted in buckets; see :meth:`MethodTotal.percentile`.

    :param counts: of each bucket up to a bound, and at the end of larger values.
    """
    wanted = sum(counts) * percent / 100
    if not wanted:
        return None
    below, floor = 0, 0.0
    for count, bound in zip(counts, bounds, strict=False):
        if count and below + count >= wanted:
            return floor + (bound - floor) * (wanted - below) / count
        below, floor = below + count, bound
    return math.inf
