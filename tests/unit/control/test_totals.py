"""Counts of several workers, added up; and percentiles of the sum."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.control import Latency, MethodStats, ServiceStats, WorkerStats
from rpc.control.call_stats import BOUNDS
from rpc.control.totals import NOTHING, MethodTotal, ServiceTotal, add_up, percentile, total_of

PLACES = len(BOUNDS) + 1


def counts(**by_place: int) -> list[int]:
    """Return counts of buckets: ``p0=3`` is three calls in the first one."""
    return [by_place.get(f"p{place}", 0) for place in range(PLACES)]


def method(name: str = "add", returned: int = 1, **changed: Any) -> MethodStats:
    """Return a worker's counts of a method whose calls all returned, in the first bucket."""
    given = {"outcomes": {"returned": returned}, "latency": Latency(total=0.5, counts=counts(p0=returned))}
    return MethodStats(method=name, **{**given, **changed})


def worker(*methods: MethodStats, instance: str = "a", service: str = "Calculator", **changed: Any) -> WorkerStats:
    """Return the counts of a worker with one service, whose slots are 4, 1 of them in use."""
    stats = ServiceStats(name=service, running=1, waiting=2, concurrency=4, methods=list(methods))
    return WorkerStats(**{"instance": instance, "kept": True, "bounds": list(BOUNDS), "services": [stats], **changed})


class TotalTests(SynchronousTestCase):
    """Sums over workers."""

    def test_adds_the_workers_of_the_service(self) -> None:
        failed = method("sum", 0, outcomes={"failed": 2, "rejected": 1}, errors={"ValueError": 2})
        total = add_up(
            [worker(method(returned=3), failed), worker(method(returned=4), instance="b"), worker(service="Other")],
            "Calculator",
        )
        self.assertEqual((total.running, total.waiting, total.concurrency), (2, 4, 8))
        self.assertEqual(list(total.methods), ["add", "sum"])
        add, other = total.methods.values()
        self.assertEqual((add.calls, add.failures, add.counts[0], add.seconds), (7, 0, 7, 1.0))
        self.assertEqual((other.calls, other.failures, other.errors), (3, 3, {"ValueError": 2}))
        self.assertEqual(total.uncounted, ())

    def test_exceptions_of_the_idl_are_no_failures(self) -> None:
        """The caller expects them: they are answers."""
        mixed = method(returned=5, outcomes={"returned": 5, "raised": 3, "failed": 1, "dropped": 1})
        total = total_of(mixed)
        self.assertEqual((total.calls, total.exceptions, total.failures), (10, 3, 2))

    def test_names_the_workers_whose_counts_cannot_be_added(self) -> None:
        strange = {
            "counts nothing": worker(kept=False),
            "other bounds": worker(method(), bounds=[1.0, 2.0]),
            "too few buckets": worker(method(latency=Latency(total=1.0, counts=[1]))),
            "no number": worker(method(latency=Latency(total=math.nan, counts=counts(p0=1)))),
            "infinite": worker(method(latency=Latency(total=math.inf, counts=counts(p0=1)))),
            "negative": worker(method(outcomes={"returned": -1})),
            "negative durations": worker(method(latency=Latency(total=-1.0, counts=counts(p0=1)))),
            "durations whose sum is infinite": worker(method(latency=Latency(total=1.7e308, counts=counts(p0=1)))),
        }
        for name, answer in strange.items():
            answer.instance = name
        total = add_up([*strange.values(), worker(method())], "Calculator")
        self.assertEqual(total.uncounted, tuple(strange))
        self.assertEqual(total.methods["add"].calls, 1)
        self.assertEqual(total.concurrency, 4 * len(strange) + 4)

    def test_tells_what_was_counted_since_another_total(self) -> None:
        before = add_up([worker(method(returned=3))], "Calculator")
        now = add_up([worker(method(returned=5), method("sum"))], "Calculator")
        since = now.since(before)
        self.assertEqual((since["add"].calls, since["add"].counts[0], since["add"].seconds), (2, 2, 0.0))
        self.assertEqual(since["sum"].calls, 1)
        self.assertEqual(now.since(now)["add"], MethodTotal())

    def test_nothing_has_no_mean_and_no_percentile(self) -> None:
        self.assertEqual((NOTHING.calls, NOTHING.mean, NOTHING.percentile(50)), (0, None, None))
        self.assertEqual(add_up([], "Calculator"), ServiceTotal())


class PercentileTests(SynchronousTestCase):
    """Percentiles of counts in buckets."""

    def test_interpolates_within_a_bucket(self) -> None:
        bounds = (1.0, 2.0, 4.0)
        for counted, percent, expected in (
            ((0, 0, 0, 0), 50, None),
            ((4, 0, 0, 0), 50, 0.5),
            ((4, 0, 0, 0), 100, 1.0),
            ((1, 1, 0, 0), 50, 1.0),
            ((1, 0, 1, 0), 75, 3.0),
            ((0, 0, 10, 0), 99, 3.98),
            ((1, 0, 0, 1), 99, math.inf),
            ((0, 0, 0, 1), 1, math.inf),
        ):
            found = percentile(counted, bounds, percent)
            self.assertEqual(found if found is None else round(found, 6), expected, (counted, percent))

    @given(st.lists(st.integers(0, 10**6), min_size=PLACES, max_size=PLACES), st.floats(0.1, 100), st.floats(0.1, 100))
    def test_lies_in_the_bucket_of_its_rank_and_grows_with_the_percentage(
        self, counted: list[int], one: float, other: float
    ) -> None:
        low, high = (percentile(counted, BOUNDS, percent) for percent in sorted((one, other)))
        if low is None or high is None:
            self.assertEqual(sum(counted), 0)
            return
        self.assertLessEqual(low, high)
        rank, below = sum(counted) * min(one, other) / 100, 0
        for count, bound in zip(counted, (*BOUNDS, math.inf), strict=True):
            below += count
            if below >= rank:
                self.assertLessEqual(low, bound)
                break
