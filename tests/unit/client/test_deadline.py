"""When a call must be settled."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.client.deadline import deadline_of, passed
from rpc.context import CallContext


def serving(deadline: float | None) -> CallContext:
    """A call that is served, with this deadline."""
    return CallContext("Service", "method", deadline, {}, None, False)


class DeadlineTests(SynchronousTestCase):
    """deadline_of."""

    def test_a_nested_call_has_the_time_left_to_the_served_call(self) -> None:
        """Also when none is left."""
        self.assertEqual(deadline_of(30.0, 100.0, serving(105.0)), 105.0)
        self.assertEqual(deadline_of(30.0, 100.0, serving(90.0)), 90.0)

    def test_a_shorter_timeout_holds(self) -> None:
        self.assertEqual(deadline_of(30.0, 100.0, serving(500.0)), 130.0)

    def test_a_call_without_deadline_passes_none_on(self) -> None:
        self.assertEqual(deadline_of(30.0, 100.0, serving(None)), 130.0)


class PassedTests(SynchronousTestCase):
    """passed."""

    def test_tells_the_served_calls_deadline_from_a_timeout(self) -> None:
        """A timeout below the resolution of the clock has passed at once, within a handler and outside."""
        own, served = "its timeout of 1e-07 seconds has passed", "the served call's deadline has passed"
        self.assertEqual(passed(1e-7, 1e9, None), own)
        self.assertEqual(passed(1e-7, 1e9, serving(None)), own)
        self.assertEqual(passed(1e-7, 1e9, serving(2e9)), own)
        self.assertEqual(passed(1e-7, 1e9, serving(1e9)), served)
        self.assertEqual(passed(30.0, 100.0, serving(90.0)), served)
