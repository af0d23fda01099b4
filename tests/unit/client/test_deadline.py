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

    def test_inherited(self) -> None:
        """A nested call has at most what is left to the call that is served, even when nothing is left."""
        self.assertEqual(deadline_of(30.0, 100.0, serving(105.0)), 105.0)
        self.assertEqual(deadline_of(30.0, 100.0, serving(90.0)), 90.0)

    def test_shorter_than_inherited(self) -> None:
        """A nested call's own timeout holds when it is the shorter one."""
        self.assertEqual(deadline_of(30.0, 100.0, serving(500.0)), 130.0)

    def test_caller_without_deadline(self) -> None:
        """A caller that named no deadline passes none on."""
        self.assertEqual(deadline_of(30.0, 100.0, serving(None)), 130.0)
