"""A reactor with real sockets, whose time a test advances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from zope.interface import directlyProvides, providedBy


class ClockedReactor:
    """Delegates to `reactor`, but for delayed calls: those are due by `clock`, unless their delay is 0."""

    def __init__(self, reactor: Any, clock: Clock) -> None:
        self._reactor = reactor
        self._clock = clock
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def seconds(self) -> float:
        """The clock's time."""
        return self._clock.seconds()

    def callLater(self, delay: float, function: Callable[..., Any], *args: Any, **kw: Any) -> IDelayedCall:
        """Call when the clock has advanced by `delay`; in the reactor's next iteration when that is 0."""
        when: Any = self._clock if delay > 0 else self._reactor
        later: IDelayedCall = when.callLater(delay, function, *args, **kw)
        return later

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """The delayed calls of the clock."""
        return list(self._clock.getDelayedCalls())
