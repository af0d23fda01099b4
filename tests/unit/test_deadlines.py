"""Deadlines against a simple model: a list of items and their deadlines."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.deadlines import TICK, Deadlines
from tests.unit.machines import machine_settings

seconds = st.floats(0, 10, allow_nan=False) | st.integers(0, 1000).map(lambda ticks: ticks * TICK)


class DeadlinesMachine(RuleBasedStateMachine):
    """Items are added, discarded and expire; the model knows the deadline of each."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.deadlines: Deadlines[int] = Deadlines(self.clock, self.expire)
        self.model: dict[int, tuple[int, float]] = {}
        self.last = -1
        self.next = 0

    def expire(self, items: list[int]) -> None:
        """Each item expires once, after its deadline, in the order of the deadlines."""
        assert len(set(items)) == len(items)
        for item in items:
            tick, deadline = self.model.pop(item)
            assert tick >= self.last
            assert deadline <= self.clock.seconds() + 1e-9, "expired before its deadline"
            self.last = tick

    @rule(timeout=seconds)
    def add(self, timeout: float) -> None:
        self.next += 1
        deadline = self.clock.seconds() + timeout
        self.model[self.next] = self.deadlines.add(self.next, deadline), deadline

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        item = data.draw(st.integers(0, self.next))
        tick, _ = self.model.pop(item, (0, 0.0))
        self.deadlines.discard(item, tick)

    @rule(step=seconds)
    def advance(self, step: float) -> None:
        self.last = -1
        self.clock.advance(step)
        for _, deadline in self.model.values():
            assert deadline > self.clock.seconds() - TICK - 1e-9, "more than a tick late"

    @rule()
    def stop(self) -> None:
        self.deadlines.stop()
        self.model.clear()
        assert not self.clock.getDelayedCalls()

    @invariant()
    def one_timer(self) -> None:
        timers = self.clock.getDelayedCalls()
        assert len(timers) == 1 or (not timers and not self.model)
        if self.model:
            first = min(deadline for _, deadline in self.model.values())
            assert timers[0].getTime() < first + TICK + 1e-9


class OrderTests(DeadlinesMachine.TestCase, SynchronousTestCase):  # type: ignore[misc, valid-type]
    """Items in any order. pytest runs a machine only in a class without other tests."""

    settings = machine_settings(50)


class DeadlinesTests(SynchronousTestCase):
    """Deadlines."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.expired: list[str] = []
        self.deadlines: Deadlines[str] = Deadlines(self.clock, self.expired.extend)

    @given(st.floats(0, 1e12))
    def test_sets_no_timer_in_vain(self, deadline: float) -> None:
        """When the timer fires, an item expires."""
        clock, expired = Clock(), list[str]()
        deadlines: Deadlines[str] = Deadlines(clock, expired.extend)
        deadlines.add("item", deadline)
        (timer,) = clock.getDelayedCalls()
        clock.rightNow = timer.getTime()
        clock.advance(0)
        self.assertEqual(expired, ["item"])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_discards_an_expired_item(self) -> None:
        """It is no error, and keeps items that came into the same tick since."""
        tick = self.deadlines.add("a", 1.0)
        self.clock.advance(1.0)
        self.assertEqual(self.deadlines.add("b", 1.0), tick)
        self.deadlines.discard("a", tick)
        self.clock.advance(0)
        self.assertEqual(self.expired, ["a", "b"])

    def test_keeps_no_ticks_of_discarded_items(self) -> None:
        """Discarded items cost no memory, also with deadlines far away."""
        for number in range(10_000):
            self.deadlines.discard("item", self.deadlines.add("item", 3600 + number * 0.1))
        self.assertEqual(len(self.deadlines), 0)
        self.assertLess(self.deadlines.ticks, 100)

    def test_keeps_ticks_by_time_and_not_by_items(self) -> None:
        """The number of ticks in memory depends on time, not on the number of items."""
        for number in range(10_000):
            self.deadlines.discard("item", self.deadlines.add("item", 30 + number * 1e-4))
        self.assertLessEqual(self.deadlines.ticks, math.ceil(1 / TICK) + 1)

    def test_may_be_added_to_while_items_expire(self) -> None:
        """The callback may add items that are due at once."""
        again: list[int] = []

        def expired(items: list[int]) -> None:
            again.extend(items)
            if len(again) < 3:
                deadlines.add(len(again), self.clock.seconds())

        deadlines: Deadlines[int] = Deadlines(self.clock, expired)
        deadlines.add(0, 1.0)
        for _ in range(3):
            self.clock.advance(1.0)
        self.assertEqual(again, [0, 1, 2])
