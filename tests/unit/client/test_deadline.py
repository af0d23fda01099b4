"""When a call must be settled."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.client.deadline import deadline_of
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
