"""A timer: after any settings it fires at the right time, with one delayed call at most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.timer import Timer

steps = some.lists(
    some.tuples(some.sampled_from(["start", "start_by", "stop", "advance"]), some.integers(0, 5)), max_size=30
)


class TimerTests(SynchronousTestCase):
    """Timer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.fired: list[float] = []

    @given(steps)
    def test_fires_at_the_times_of_a_plain_model(self, steps: list[tuple[str, int]]) -> None:
        """After any settings, with one delayed call at most."""
        clock = Clock()
        fired: list[float] = []
        timer = Timer(clock, lambda: fired.append(clock.seconds()))
        when: float | None = None
        expected: list[float] = []
        for step, number in steps:
            now = clock.seconds()
            if step == "start":
                timer.start(number)
                when = now + number
            elif step == "start_by":
                timer.start_by(now + number)
                when = now + number if when is None else min(when, now + number)
            elif step == "stop":
                timer.stop()
                when = None
            else:
                for _ in range(number):
                    clock.advance(1)
                    if when is not None and when <= clock.seconds():
                        expected.append(clock.seconds())
                        when = None
            self.assertEqual(fired, expected)
            self.assertLessEqual(len(clock.getDelayedCalls()), 1)
        timer.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_its_function_may_set_or_stop_it(self) -> None:

        def again() -> None:
            self.fired.append(self.clock.seconds())
            if len(self.fired) < 3:
                timer.start(1.0)
            else:
                timer.stop()

        timer = Timer(self.clock, again)
        timer.start(1.0)
        self.clock.pump([1.0] * 6)
        self.assertEqual((self.fired, self.clock.getDelayedCalls()), ([1.0, 2.0, 3.0], []))

    def test_a_past_time_fires_in_the_next_iteration(self) -> None:
        """And not within the call that sets it."""
        self.clock.advance(10.0)
        timer = Timer(self.clock, lambda: self.fired.append(self.clock.seconds()))
        timer.start_by(3.0)
        self.assertEqual(self.fired, [])
        self.clock.advance(0)
        self.assertEqual(self.fired, [10.0])

    def test_stopping_twice_has_no_effect(self) -> None:
        timer = Timer(self.clock, lambda: self.fired.append(self.clock.seconds()))
        timer.stop()
        timer.start(1.0)
        self.clock.advance(1.0)
        timer.stop()
        self.assertEqual(self.fired, [1.0])
