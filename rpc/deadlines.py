"""Deadlines of many calls at the cost of one timer.

A heap with an entry a call would hold the answered calls until their deadlines, thirty seconds' worth of them. Here
calls are grouped by the tick in which they expire: joining and leaving are one dictionary operation each, and the heap
holds ticks, of which there are few. Pure: whoever owns it brings the clock and the timer.
"""

from __future__ import annotations

import heapq
import math
from typing import Generic, TypeVar

Item = TypeVar("Item")

TICK = 0.01
"""Seconds a tick lasts: no item expires before its deadline, nor later than a tick after it."""

FORGOTTEN_TICKS = 64
"""Ticks whose items have all left stay in the heap, where they cannot be found, until there are so many."""


class Deadlines(Generic[Item]):
    """Items by the tick in which they expire."""

    __slots__ = ("_buckets", "_ticks")

    def __init__(self) -> None:
        self._buckets: dict[int, dict[Item, None]] = {}
        self._ticks: list[int] = []

    def add(self, item: Item, deadline: float) -> int:
        """Let `item` expire at `deadline` (seconds of the owner's clock).

        :return: the tick, which :meth:`discard` needs.
        """
        tick = math.ceil(deadline / TICK)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heapq.heappush(self._ticks, tick)
        bucket[item] = None
        return tick

    def discard(self, item: Item, tick: int) -> None:
        """Forget `item`, which :meth:`add` put into `tick`. One that has expired is no error."""
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.pop(item, None)
            if not bucket:
                del self._buckets[tick]
                if len(self._ticks) > 2 * len(self._buckets) + FORGOTTEN_TICKS:
                    self._ticks = sorted(self._buckets)  # a sorted list is a heap

    def next_expiry(self) -> float | None:
        """When the next item expires, or ``None`` when there is none."""
        while self._ticks and self._ticks[0] not in self._buckets:
            heapq.heappop(self._ticks)
        return self._ticks[0] * TICK if self._ticks else None

    def pop_expired(self, now: float) -> list[Item]:
        """Take out the items whose deadline is `now` or earlier, in the order of their deadlines."""
        expired: list[Item] = []
        while self._ticks and self._ticks[0] * TICK <= now:
            expired.extend(self._buckets.pop(heapq.heappop(self._ticks), ()))
        return expired

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))
