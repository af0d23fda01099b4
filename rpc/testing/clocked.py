"""A reactor whose sockets are real and whose time is a test's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from zope.interface import directlyProvides, providedBy


class ClockedReactor:
    """Does what `reactor` does, at the times of `clock`. What is to be done at once is done at once."""

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
        """Call when the clock has advanced by `delay`; in the reactor's next turn when that is 0."""
        when: Any = self._clock if delay > 0 else self._reactor
        later: IDelayedCall = when.callLater(delay, function, *args, **kw)
        return later

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Those that wait for the clock."""
        return list(self._clock.getDelayedCalls())
