"""Counts of durations that are cheap to write. Another thread may read them.

CPython runs each of these writes undivided: nothing in them may switch threads between the read and the write.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets, in seconds: those that OpenTelemetry advises for RPC, with more below and above."""


class Histogram:
    """How often values were in each bucket.

    :ivar counts: of each bucket, and at the end of larger values.
    :ivar total: the sum of the values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        place = bisect_left(self.bounds, value)
        self.counts[place] += 1
        self.total += value

    def buckets(self, zeros: int = 0) -> list[tuple[str, float]]:
        """Return upper bounds and cumulative counts.

        :param zeros: values of 0 that were not counted.
        """
        cumulative = accumulate(list(self.counts), initial=zeros)
        next(cumulative)
        return list(zip((*map(repr, self.bounds), "+Inf"), map(float, cumulative), strict=True))
