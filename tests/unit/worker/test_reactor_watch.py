"""Handlers that block the reactor are named."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.worker.reactor_watch import ReactorWatch
from tests.unit.logs import log_lines


class ReactorWatchTests(SynchronousTestCase):
    """A watch on a heartbeat of 4 s."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.now = 0.0
        self.running: list[str] = []
        self.watch = ReactorWatch(self.clock, lambda: self.running, lambda: self.now)
        self.watch.start(4.0)
        self.lines = log_lines(self)

    def block(self, seconds: float) -> None:
        """Let time pass in which the reactor runs nothing, then run its timer."""
        self.now += seconds
        self.clock.advance(1.0)

    def test_says_nothing_while_the_reactor_turns(self) -> None:
        """A timer that is late by less than half a heartbeat is no blocked reactor."""
        for _ in range(10):
            self.block(2.9)
        self.assertEqual(self.lines, [])

    def test_names_a_handler_that_blocked_once(self) -> None:
        """However often it does so, and the timer that is late for it adds nothing."""
        for _ in range(3):
            self.watch.blocked("S.slow", 2.5)
            self.block(4.0)
        (line,) = self.lines
        self.assertIn("the handler of S.slow blocked the reactor for 2.5 s", line)
        self.assertIn("deferToThread", line)

    def test_names_the_methods_in_progress_when_the_handler_is_not_known(self) -> None:
        """A coroutine can block after it has waited."""
        self.running = ["S.one", "S.two"]
        self.block(4.0)
        (line,) = self.lines
        self.assertIn("the reactor was blocked for 3.0 s; methods in progress: S.one, S.two", line)

    def test_leaves_no_timer_after_a_stop(self) -> None:
        """No timer is left."""
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
