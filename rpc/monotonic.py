"""Time that does not jump when the machine's wall clock is set.

Twisted's reactors take their time from the wall clock (``reactor.seconds`` is ``time.time``; Twisted's issue 2424).
When that clock is set, every delayed call moves with it. So:

- In a process of our own, and in a program that asks for it, :func:`use_monotonic_time` gives the reactor itself a
  time that does not jump.
- In another program the reactor is not ours to change. :func:`monotonic_reactor` gives this package's own delayed calls
  such a time, as far as that reactor allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall
from twisted.python import runtime
from zope.interface import directlyProvides, providedBy

from rpc.default_reactor import default_reactor
from rpc.interfaces import IClock

LEAST_JUMP: Final = 1.0
"""Seconds between the two clocks that are a jump. A clock that is adjusted gently takes half an hour for that."""

_ZERO: Final[float] = runtime.seconds() - time.monotonic()


def seconds() -> float:
    """Return the monotonic time, in seconds since the epoch as the wall clock had it when this module was imported.

    Seconds since the start of the machine would do for delayed calls. But other code takes dates from
    ``reactor.seconds()``, as twisted.web does.
    """
    return time.monotonic() + _ZERO


def use_monotonic_time(reactor: Any = None) -> None:
    """Have all delayed calls of `reactor` follow the monotonic clock: those of the whole program.

    Call it at the start of a program. ``reactor.seconds()`` stays the time since the epoch, but does not notice when
    the wall clock is set, and stands still while the machine sleeps. Delayed calls that were made before are moved to
    the new clock. A reactor that has another clock already is left as it is.

    :param reactor: default: Twisted's global one. This installs it, so another kind must be installed before.
    """
    reactor = reactor or default_reactor()
    if _follows_the_wall_clock(reactor):
        moved = seconds() - reactor.seconds()
        reactor.seconds = seconds
        for call in reactor.getDelayedCalls():
            call.delay(moved)
            call.seconds = seconds  # for its ``reset``


def monotonic_reactor(reactor: Any) -> Any:
    """Return `reactor`, when it has another time than the wall clock's; else one beside it, with monotonic time."""
    return MonotonicReactor(reactor) if _follows_the_wall_clock(reactor) else reactor


def wall_seconds(clock: IClock) -> float:
    """Return the wall clock's time, for what leaves the process: stamps in messages, times in files.

    A clock that is neither the wall clock nor monotonic, such as a test's, is its own wall clock.
    """
    return runtime.seconds() if clock.seconds is seconds else clock.seconds()


def _follows_the_wall_clock(reactor: Any) -> bool:
    return getattr(reactor, "seconds", None) is runtime.seconds


class MonotonicReactor:
    """Delegates to `reactor`, but for time: the delayed calls made here are due by the monotonic clock.

    Each is carried by a delayed call of the reactor. When the wall clock is set forward, a carrier fires too early, and
    is set again. When the wall clock is set back, the carriers are late. This is noticed when a delayed call is made
    here, or when a carrier fires; then all of them are set again.
    """

    def __init__(self, reactor: Any, seconds: Callable[[], float] = seconds) -> None:
        self.seconds = seconds
        self._reactor = reactor
        self._ahead = reactor.seconds() - seconds()
        self._carriers: dict[DelayedCall, IDelayedCall] = {}
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def callLater(self, delay: float, function: Callable[..., Any], *args: Any, **kw: Any) -> IDelayedCall:
        """Call when `delay` seconds have passed."""
        self._look_for_a_jump()
        due = self.seconds() + delay
        call = DelayedCall(due, function, args, kw, self._drop_carrier, self._carry_again, self.seconds)
        self._carriers[call] = self._reactor.callLater(delay, self._fired, call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """The delayed calls that were made here."""
        return list(self._carriers)

    def _carry_again(self, call: DelayedCall) -> None:
        self._drop_carrier(call)
        self._carry(call)

    def _carry(self, call: DelayedCall) -> None:
        left = max(0.0, call.getTime() - self.seconds())
        self._carriers[call] = self._reactor.callLater(left, self._fired, call)

    def _drop_carrier(self, call: DelayedCall) -> None:
        self._carriers.pop(call).cancel()

    def _fired(self, call: DelayedCall) -> None:
        del self._carriers[call]
        self._look_for_a_jump()
        if call.getTime() > self.seconds():
            self._carry(call)
        else:
            call.called = 1
            call.func(*call.args, **call.kw)

    def _look_for_a_jump(self) -> None:
        ahead = self._reactor.seconds() - self.seconds()
        if abs(ahead - self._ahead) >= LEAST_JUMP:
            self._ahead = ahead
            for call in list(self._carriers):
                self._carry_again(call)
