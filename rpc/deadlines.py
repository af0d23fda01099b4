"""Deadlines of many items at the cost of one timer.

A heap with one entry for each item would hold answered calls until their deadlines: thirty seconds of calls. Here items
are grouped by the tick in which they expire. Adding and discarding are one dictionary operation each, and the heap
holds the ticks, which are few. The clock is the owner's.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall

from rpc.interfaces import IClock

Item = TypeVar("Item")

TICK = 0.01
"""Seconds of a tick. No item expires before its deadline, and none later than a tick after it."""

FORGOTTEN_TICKS = 64
"""How many ticks without items may stay in the heap, beside as many as there are with items, before it is rebuilt."""

NO_TIMER = 2**63


class Deadlines(Generic[Item]):
    """Items by the tick in which they expire."""

    __slots__ = ("_buckets", "_clock", "_expired", "_ticks", "_timer", "_timer_tick")

    def __init__(self, clock: IClock, expired: Callable[[list[Item]], None]) -> None:
        """:param expired: called with the items that have expired, in the order of their deadlines."""
        self._clock = clock
        self._expired = expired
        self._buckets: dict[int, dict[Item, None]] = {}
        self._ticks: list[int] = []
        self._timer: IDelayedCall | None = None
        self._timer_tick = NO_TIMER

    def add(self, item: Item, deadline: float) -> int:
        """Add `item`, which expires at `deadline` (seconds of the clock).

        :return: the tick, which :meth:`discard` needs.
        """
        tick = math.ceil(deadline / TICK)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heapq.heappush(self._ticks, tick)
            if tick < self._timer_tick:
                self._set_timer()
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

    def stop(self) -> None:
        """Forget all items, and cancel the timer."""
        self._buckets.clear()
        self._ticks.clear()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._ticks and self._ticks[0] not in self._buckets:
            heapq.heappop(self._ticks)
        self._timer_tick = self._ticks[0] if self._ticks else NO_TIMER
        if self._ticks:
            left = self._ticks[0] * TICK - self._clock.seconds()
            self._timer = self._clock.callLater(max(0.0, left), self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        expired: list[Item] = []
        while self._ticks and self._ticks[0] * TICK <= now:
            expired.extend(self._buckets.pop(heapq.heappop(self._ticks), ()))
        self._set_timer()
        if expired:
            self._expired(expired)

    @property
    def ticks(self) -> int:
        """How many ticks are in memory, with items or without."""
        return max(len(self._ticks), len(self._buckets))

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))
