"""How much time of the broker a connection has taken lately, and its rank among those whose input waits."""

from __future__ import annotations

from math import log2
from typing import Final

from rpc.broker.work import SLICE

HALF_LIFE: Final = 1.0
"""Seconds in which half of the time that a connection has taken is forgotten.

A connection that works all the time has taken ``HALF_LIFE / ln 2`` seconds. The longest wait grows with the half life.
"""

FORGET_EVERY: Final = HALF_LIFE / 10
"""Seconds until the next decay. In between, times count as if they were taken at once: a read then computes nothing."""

NEW: Final = SLICE
"""Seconds that a new connection counts as having taken: those that have taken little for a while come before it."""

LEAST: Final = 1e-4
"""Seconds, about one message: connections that have taken less are alike. It bounds the wait of the others."""


class Usage:
    """The time that one connection has taken, the older times counting less."""

    __slots__ = ("_at", "_seconds")

    def __init__(self, now: float) -> None:
        """:param now: seconds on the broker's clock."""
        self._seconds = NEW
        self._at = now

    def add(self, begin: float, seconds: float) -> None:
        """Count the time of one read.

        :param begin: when it began.
        """
        if begin > self._at + FORGET_EVERY:
            self._forget(begin)
        self._seconds += seconds

    def rank(self, now: float) -> float:
        """Return the place in the order of those that wait: the lowest comes first.

        All usages halve in the same time. So two ranks, also of different moments, have the order that the usages have
        at any later moment: waiting input never loses its place to a connection that has taken more. A rank of later
        input is higher by one each half life. So every wait ends, however many others have input.
        """
        self._forget(now)
        return log2(max(self._seconds, LEAST)) + now / HALF_LIFE

    def _forget(self, now: float) -> None:
        self._seconds *= 0.5 ** ((now - self._at) / HALF_LIFE)
        self._at = now
