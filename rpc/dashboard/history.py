"""The last minutes of a few figures, in bounded memory: about 65 bytes for each point."""

from __future__ import annotations

import math
import struct
from collections import deque
from typing import Final

from rpc.dashboard.rates import Figures
from rpc.dashboard.snapshot import Snapshot

POINTS: Final = 300
"""Points of a series: five minutes, at one a second."""

GAP: Final = 5.0
"""Seconds between two points from which on there is a gap between them: no page was open."""

COLUMNS: Final = ("at", "rate", "errors", "p50", "p99", "running", "waiting")

Point = list[float | None]
"""A value for each of :data:`COLUMNS`; ``None``: not known."""

_FORMAT: Final = struct.Struct("<d6f")


class Series:
    """The points of one service, or of all together."""

    def __init__(self) -> None:
        self._points: deque[bytes] = deque(maxlen=POINTS)

    def add(self, at: float, figures: Figures, running: int, waiting: int | None) -> None:
        """Add a point; the oldest one leaves. When the time of day was set back, the series begins anew."""
        if self._points and _FORMAT.unpack(self._points[-1])[0] >= at:
            self._points.clear()
        values = (figures.rate, figures.errors, figures.p50, figures.p99, running, waiting)
        self._points.append(_FORMAT.pack(at, *(math.nan if value is None else value for value in values)))

    @property
    def points(self) -> list[Point]:
        """The points, oldest first, with a point of nothing in each gap."""
        found: list[Point] = []
        for packed in self._points:
            point = _unpacked(packed)
            before, now = found[-1][0] if found else None, point[0]
            if before is not None and now is not None and now - before > GAP:
                found.append([before + 1, *(None for _ in point[1:])])
            found.append(point)
        return found

    @property
    def last(self) -> Point | None:
        """The newest point."""
        return _unpacked(self._points[-1]) if self._points else None


def _unpacked(packed: bytes) -> Point:
    at, *values = _FORMAT.unpack(packed)
    return [at, *(None if math.isnan(value) else float(f"{value:.4g}") for value in values)]


class History:
    """The series of all services together, and of each service that is shown."""

    def __init__(self) -> None:
        self.total = Series()
        self._services: dict[str, Series] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Add a point to each series. The series of services that are gone are dropped."""
        totals = snapshot.totals
        self.total.add(snapshot.at, totals.figures, totals.running, totals.waiting)
        present = {row.name: self._services.get(row.name) or Series() for row in snapshot.services}
        for row in snapshot.services:
            present[row.name].add(snapshot.at, row.figures, row.running, row.waiting)
        self._services = present

    def of(self, service: str) -> Series:
        """Return the series of a service; an empty one when it is not known."""
        return self._services.get(service) or Series()
