"""Slow calls in the log."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.serving.slow_calls import LINES, SlowCalls
from rpc.worker.call import Ending
from tests.unit.logs import log_lines


class SlowCallsTests(SynchronousTestCase):
    """SlowCalls."""

    def test_names_calls_over_the_limit(self) -> None:
        """Those that fail, too; at most ten a second."""
        lines = log_lines(self)
        slow = SlowCalls(Clock(), 1.0)
        for seconds, ending in ((1.0, Ending.RETURNED), (1.5, Ending.RETURNED), (2.0, Ending.CANCELLED)):
            call = SimpleNamespace(
                label="Glossary.explain", began=5.0, ended=5.0 + seconds, ending=ending, message_id="7"
            )
            (slow.after if ending is Ending.RETURNED else slow.failed)(call)
        self.assertEqual(
            lines,
            [
                "slow call: Glossary.explain took 1.50 s, and returned; message id 7",
                "slow call: Glossary.explain took 2.00 s, and cancelled; message id 7",
            ],
        )
        for _ in range(50):
            slow.after(call)
        self.assertEqual(len(lines), LINES)
