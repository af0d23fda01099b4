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

    def test_a_refusal_is_repeated_with_retry_alone(self) -> None:
        """Idempotence does not matter."""
        for kind in (ServiceUnavailable, Overloaded, BrokerBlocked):
            self.assertFalse(may_repeat(kind("no"), retry=False, idempotent=True))
            self.assertTrue(may_repeat(kind("no"), retry=True, idempotent=False))

    def test_a_loss_is_repeated_when_the_method_is_idempotent(self) -> None:
        """``retry`` does not matter."""
        for kind in (ConnectionLost, WorkerLost):
            self.assertFalse(may_repeat(kind("gone"), retry=True, idempotent=False))
            self.assertTrue(may_repeat(kind("gone"), retry=False, idempotent=True))

    def test_other_errors_are_not_repeated(self) -> None:
        """The next attempt would end in the same way, or too late."""
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
    def test_pauses_double_and_half_of_each_is_chance(self, repetition: int) -> None:
        longest = min(LONGEST_PAUSE, 0.05 * 2.0 ** min(repetition - 1, 100))
        self.assertTrue(longest / 2 <= pause_before(repetition) <= longest)


class BudgetTests(SynchronousTestCase):
    """How many repetitions there may be."""

    def test_repetitions_are_less_than_a_fifth_of_the_calls(self) -> None:
        budget, repetitions = RetryBudget(), 0
        for calls in range(1, 10_001):
            while budget.take(calls):
                repetitions += 1
        self.assertLess(repetitions, 2_000)
        self.assertGreater(repetitions, 1_700)

    def test_the_first_calls_may_be_repeated(self) -> None:
        self.assertTrue(RetryBudget().take(1))

    def test_saves_repetitions_within_bounds(self) -> None:
        budget = RetryBudget()
        self.assertEqual(sum(budget.take(1_000_000) for _ in range(5000)), MOST_SAVED)
