"""Retries: the errors after which another attempt follows, the pause before it, and the budget. Pure."""

from __future__ import annotations

import random

from rpc.errors import BrokerBlocked, ConnectionLost, Outcome, Overloaded, RPCError, ServiceUnavailable, WorkerLost

REFUSALS = (ServiceUnavailable, Overloaded, BrokerBlocked)
"""The call was surely not executed. It is repeated when the client has the option ``retry``."""

LOSSES = (ConnectionLost, WorkerLost)
"""The call may have been executed. It is repeated when its method is idempotent."""

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
"""Seconds between attempts: doubled each time, and then multiplied by a random number from 0.5 to 1."""

SHARE = 0.18
"""Repetitions that each call adds to the budget."""

RESERVE = 10.0
"""Repetitions in a new budget, so that the first calls can be repeated as well."""

MOST_SAVED = 1000.0
"""Most repetitions that the budget saves up while calls succeed: as many as may be in progress at once."""


def may_repeat(error: RPCError, *, retry: bool, idempotent: bool) -> bool:
    """Whether another attempt may follow one that ended with `error`."""
    if isinstance(error, REFUSALS):
        return retry and (idempotent or error.outcome is not Outcome.UNKNOWN)
    return idempotent and isinstance(error, LOSSES)


def pause_before(repetition: int) -> float:
    """Seconds to wait before the n-th repetition of a call, from 1."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(repetition - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # no secret


class RetryBudget:
    """How many repetitions are left, when each call allows for a fraction of one.

    When every call fails, repetitions can keep a service overloaded. With the budget they add less than a fifth to the
    load. (In the first few hundred calls they add more, from the reserve.)
    """

    __slots__ = ("_counted", "_left")

    def __init__(self) -> None:
        self._left = RESERVE
        self._counted = 0

    def take(self, calls: int) -> bool:
        """Take a repetition out. ``False`` when there is none.

        :param calls: how many were sent so far, repetitions not counted.
        """
        self._left = min(MOST_SAVED, self._left + SHARE * (calls - self._counted))
        self._counted = calls
        if self._left < 1:
            return False
        self._left -= 1
        return True
