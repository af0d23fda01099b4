"""Limits for each caller of a service, so that one client cannot take all slots (the option ``limits``). A worker
interceptor.

A caller is a user, by the property ``user_id`` that the broker has verified. All requests without it are of one caller:
nothing else of a request is verified, so a client could be as many callers as it likes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

import attrs
from attrs.validators import optional

from rpc.errors import ConfigurationError, Overloaded
from rpc.interceptors import WorkerInterceptor
from rpc.validators import number, whole_number
from rpc.worker.call import WorkerCall

MOST_CALLERS = 10_000
"""Callers whose rates are remembered. The one that has been silent for longest is forgotten first."""


@attrs.frozen
class CallerLimits:
    """The limits of each caller of a service, in each worker.

    :ivar concurrency: calls in progress at once.
    :ivar rate: calls a second, on average.
    :ivar burst: calls that may come at once, before the rate applies. Default: those of one second, at least 1.
    :raises ConfigurationError: a limit is no number of that kind, or none is given.
    """

    concurrency: int | None = attrs.field(default=None, validator=optional(whole_number(1)))
    rate: float | None = attrs.field(default=None, validator=optional(number(0, 1e9, unit=" of calls a second")))
    burst: int | None = attrs.field(default=None, validator=optional(whole_number(1)))

    def __attrs_post_init__(self) -> None:
        if self.concurrency is None and self.rate is None:
            raise ConfigurationError("rpc.CallerLimits(): give concurrency=, rate= or both")
        if self.burst is not None and self.rate is None:
            raise ConfigurationError(f"burst={self.burst!r}: give rate= as well")


def check_limits(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Validate the option ``limits``."""
    if value is not None and not isinstance(value, CallerLimits):
        raise ConfigurationError(f"{attribute.name}={value!r}: must be a rpc.CallerLimits")


class CallerLimiter(WorkerInterceptor):
    """Refuses the calls that are over their caller's limits."""

    def __init__(self, limits: CallerLimits) -> None:
        self._concurrency = limits.concurrency
        self._rates = None if limits.rate is None else Rates(limits.rate, limits.burst or max(1.0, limits.rate))
        self._running: Counter[str | None] = Counter()

    def before(self, call: WorkerCall) -> None:
        """Count the call.

        :raises Overloaded: its caller is over a limit.
        """
        caller = call.user_id
        if self._concurrency is not None and self._running[caller] >= self._concurrency:
            raise Overloaded(f"{call.label}: {_named(caller)} has {self._concurrency} calls in progress here already")
        if self._rates is not None and not self._rates.take(caller, call.began):
            raise Overloaded(f"{call.label}: {_named(caller)} is over {self._rates.rate:g} calls a second")
        self._running[caller] += 1

    def after(self, call: WorkerCall) -> None:
        """Give the call's place back."""
        caller = call.user_id
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]

    def failed(self, call: WorkerCall) -> None:
        """Give the call's place back."""
        self.after(call)


class Rates:
    """The rates of callers: each has a bucket of tokens that fills again. Time is an argument.

    :ivar rate: tokens a second.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str | None, tuple[float, float]] = OrderedDict()

    def take(self, caller: str | None, now: float) -> bool:
        """Take a token. ``False`` when there is none."""
        tokens, at = self._buckets.pop(caller, (self._burst, now))
        tokens = min(self._burst, tokens + self.rate * (now - at))
        is_there = tokens >= 1
        self._buckets[caller] = tokens - 1 if is_there else tokens, now
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return is_there

    def __len__(self) -> int:
        return len(self._buckets)


def _named(caller: str | None) -> str:
    return "the caller without a user_id" if caller is None else f"the user {caller!r}"
