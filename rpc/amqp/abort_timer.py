"""Limits the time that the end of a connection takes: a peer may take no bytes, or not end TLS."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from rpc.interfaces import IClock


class AbortTimer:
    """Aborts one connection, at the earliest of the times that were set."""

    __slots__ = ("_call", "_clock", "_stopped")

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._stopped = False

    def start(self, seconds: float, abort: Callable[[], None]) -> None:
        """Call `abort` in so many seconds, unless an earlier time is set."""
        if self._stopped:
            return
        if self._call is None:
            self._call = self._clock.callLater(seconds, abort)
        elif self._call.active() and self._call.getTime() > self._clock.seconds() + seconds:
            self._call.reset(seconds)

    def stop(self) -> None:
        """Abort nothing from now on: the connection has ended."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()
