"""The limits that client and broker agree on, as a table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.tuning import Limits
from rpc.errors import FrameError


class LimitsTests(SynchronousTestCase):
    """Limits.agree."""

    def test_takes_the_smaller_of_two_limits(self) -> None:
        """0 is no limit. The heartbeat is five sixths of the smaller one, or none when we want none."""
        for ours, theirs, agreed in (
            ((2047, 131072, 60), (100, 8192, 30), (100, 8192, 25)),
            ((100, 8192, 30), (2047, 131072, 60), (100, 8192, 25)),
            ((0, 0, 20), (2047, 131072, 0), (2047, 131072, 16)),
            ((2047, 131072, 0), (0, 0, 60), (2047, 131072, 0)),
            ((0, 0, 1), (0, 0, 60), (0, 0, 1)),
        ):
            self.assertEqual(Limits(*ours).agree(Limits(*theirs)), Limits(*agreed))

    def test_refuses_frames_below_the_smallest(self) -> None:
        """A broker whose frame_max is below 4096 breaks AMQP (501)."""
        error = self.assertRaises(FrameError, Limits(0, 0, 0).agree, Limits(0, 4095, 0))
        self.assertEqual(error.code, 501)
