"""Bounds the log lines of an event that a peer can cause a thousand times a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall

from rpc import log
from rpc.interfaces import IClock

PERIOD: Final = 1.0
"""Seconds in which a number of lines is written, and after which the log says how many more there were."""


class LogLimit:
    """The lines of one kind of event.

    A timer runs only while lines are left out. So their number is told, also when no other line follows.
    """

    def __init__(self, clock: IClock, lines: int = 1) -> None:
        """:param lines: that are written in a period."""
        self._clock = clock
        self._lines = lines
        self._began = float("-inf")  # of the period
        self._written = 0  # in it
        self._left_out = 0  # since then
        self._last: Callable[[], str] | None = None  # that was left out
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def note(self, line: Callable[[], str]) -> None:
        """Write a line, or count it when the period has its number of lines.

        :param line: returns the line. It is not called for most lines that are left out.
        """
        if self._stopped:
            log.warn(line())
            return
        now = self._clock.seconds()
        if self._timer is None and now - self._began >= PERIOD:
            self._began, self._written = now, 0
        if self._written < self._lines:
            self._written += 1
            log.warn(line())
            return
        self._left_out += 1
        self._last = line
        if self._timer is None:
            self._timer = self._clock.callLater(PERIOD, self._timer_fired)

    def _timer_fired(self) -> None:
        """Tell the number of lines left out, as the first line of the next period."""
        self._timer = None
        self._began, self._written = self._clock.seconds(), 1
        self._tell()

    def _tell(self) -> None:
        left_out, self._left_out = self._left_out, 0
        last, self._last = self._last, None
        if last is not None:
            more = left_out - 1
            log.warn(f"{last()} ({more} more within {PERIOD:g} s are not in the log)" if more else last())

    def stop(self) -> None:
        """Tell the number of lines left out, and leave no timer. All lines of calls that end later are written."""
        self._stopped = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._tell()

    def resume(self) -> None:
        """Limit lines again."""
        self._stopped = False
