"""A timer that is set again and again, mostly to a later time: it keeps one delayed call, and moves it seldom."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from rpc.interfaces import IClock


class Timer:
    """Calls a function at a time.

    A later time does not touch the delayed call: that fires, sees that it is early, and is set again.
    """

    __slots__ = ("_call", "_clock", "_function", "_when")

    def __init__(self, clock: IClock, function: Callable[[], None]) -> None:
        self._clock = clock
        self._function = function
        self._when: float | None = None
        self._call: IDelayedCall | None = None

    def start(self, seconds: float) -> None:
        """Call in so many seconds, in place of any earlier setting."""
        self._set(self._clock.seconds() + seconds)

    def start_by(self, when: float) -> None:
        """Call at `when` by the clock, or at the time that is set already when that is earlier."""
        if self._when is None or when < self._when:
            self._set(when)

    def stop(self) -> None:
        """Do not call."""
        self._when = None
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _set(self, when: float) -> None:
        self._when = when
        if self._call is not None and self._call.active():
            if self._call.getTime() <= when:
                return
            self._call.cancel()
        self._call = self._clock.callLater(max(0.0, when - self._clock.seconds()), self._fire)

    def _fire(self) -> None:
        self._call = None
        if self._when is None:
            return
        if self._when > self._clock.seconds():
            self._set(self._when)
            return
        self._when = None
        self._function()
