"""When a channel on which everything is refused is in doubt."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.client.channel_health import Doubt


class DoubtTests(SynchronousTestCase):
    """Refusals in a row."""

    def test_long_and_many(self) -> None:
        """It takes more than a second and five refusals; the doubt is told ten times a second while it lasts."""
        doubt = Doubt()
        self.assertEqual([doubt.refused(seconds) for seconds in (0.0, 0.5, 1.5, 1.6)], [False] * 4)
        self.assertEqual([doubt.refused(seconds) for seconds in (1.7, 1.75, 1.85)], [True, False, True])

    def test_quick(self) -> None:
        """A full backlog refuses thousands within a second."""
        doubt = Doubt()
        self.assertFalse(any(doubt.refused(number / 1000) for number in range(1000)))

    def test_taken_in_between(self) -> None:
        """What is taken ends the doubt."""
        doubt = Doubt()
        for seconds in range(100):
            for _ in range(4):
                self.assertFalse(doubt.refused(seconds * 10.0))
            doubt.refusals = 0
