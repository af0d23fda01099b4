"""Which failures are followed by another attempt, after how long, and how many there may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.client.retry import LONGEST_PAUSE, MOST_SAVED, RetryBudget, may_repeat, pause_before
from rpc.errors import (
    BrokerBlocked,
    CallTimedOut,
    ConnectionLost,
    InvalidReply,
    InvalidRequest,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
    WorkerLost,
)


class MayRepeatTests(SynchronousTestCase):
    """Which errors allow for another attempt."""

    def test_refusals(self) -> None:
        """A refusal is an answer, unless its caller has asked for retries; idempotence does not matter."""
        for kind in (ServiceUnavailable, Overloaded, BrokerBlocked):
            self.assertFalse(may_repeat(kind("no"), retry=False, idempotent=True))
            self.assertTrue(may_repeat(kind("no"), retry=True, idempotent=False))

    def test_losses(self) -> None:
        """What may have been executed is repeated when it may be run twice, and never for ``retry`` alone."""
        for kind in (ConnectionLost, WorkerLost):
            self.assertFalse(may_repeat(kind("gone"), retry=True, idempotent=False))
            self.assertTrue(may_repeat(kind("gone"), retry=False, idempotent=True))

    def test_others(self) -> None:
        """What would end in the same way, or too late, is not repeated."""
        for error in (
            CallTimedOut("late"),
            InvalidReply("odd"),
            InvalidRequest("odd"),
            MessageTooLarge("big"),
            RPCError("odd", Outcome.NOT_SENT),
        ):
            self.assertFalse(may_repeat(error, retry=True, idempotent=True))


class PauseTests(SynchronousTestCase):
    """How long it takes."""

    @given(st.integers(1, 10_000))
    def test_bounds(self, repetition: int) -> None:
        """Pauses double up to the longest, and half of each is chance."""
        longest = min(LONGEST_PAUSE, 0.05 * 2.0 ** min(repetition - 1, 100))
        self.assertTrue(longest / 2 <= pause_before(repetition) <= longest)


class BudgetTests(SynchronousTestCase):
    """How many repetitions there may be."""

    def test_all_fail(self) -> None:
        """When every call fails, repetitions are less than a fifth of the calls."""
        budget, repetitions = RetryBudget(), 0
        for calls in range(1, 10_001):
            while budget.take(calls):
                repetitions += 1
        self.assertLess(repetitions, 2_000)
        self.assertGreater(repetitions, 1_700)

    def test_begins_with_some(self) -> None:
        """The first calls may fail, too."""
        self.assertTrue(RetryBudget().take(1))

    def test_saved(self) -> None:
        """Good days save for a bad one, but not without end."""
        budget = RetryBudget()
        self.assertEqual(sum(budget.take(1_000_000) for _ in range(5000)), MOST_SAVED)
