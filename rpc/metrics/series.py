"""Counts that are cheap to write. A scrape reads them.

prometheus-client's own counters take a lock, and look their labels up, at each count: several times the cost of these.
A scrape may read in another thread. CPython runs each of these writes undivided: nothing in them may switch threads
between the read and the write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rpc.histogram import Histogram


class CallSeries(Histogram):
    """The durations of a client's calls of one method that ended alike.

    :ivar attempts: of these calls, together.
    """

    __slots__ = ("attempts",)

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__(bounds)
        self.attempts = 0


class ConnectionCounts:
    """Connections of any number of links, and the time in which the broker took no messages."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self.opened = 0
        self.ended = 0
        self._blocked = 0
        self._blocked_seconds = 0.0
        self._changed = 0.0

    def change_blocked(self, change: int) -> None:
        """Note that a connection is blocked (1), or no longer (-1)."""
        self._blocked_seconds = self.blocked_seconds
        self._changed = self._seconds()
        self._blocked += change

    @property
    def blocked_seconds(self) -> float:
        """The blocked time of all connections so far."""
        return self._blocked_seconds + self._blocked * (self._seconds() - self._changed)
