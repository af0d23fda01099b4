"""Deadlines against a simple model: a list of items and their deadlines."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

from rpc.deadlines import TICK, Deadlines

seconds = st.floats(0, 10, allow_nan=False) | st.integers(0, 1000).map(lambda ticks: ticks * TICK)


class DeadlinesMachine(RuleBasedStateMachine):
    """Items come, go and expire; the model knows for each when."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines: Deadlines[int] = Deadlines()
        self.model: dict[int, tuple[int, float]] = {}
        self.now = 0.0
        self.next = 0

    @rule(timeout=seconds)
    def add(self, timeout: float) -> None:
        self.next += 1
        deadline = self.now + timeout
        self.model[self.next] = self.deadlines.add(self.next, deadline), deadline

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        item = data.draw(st.integers(0, self.next))
        tick, _ = self.model.pop(item, (0, 0.0))
        self.deadlines.discard(item, tick)

    @rule(step=seconds)
    def advance(self, step: float) -> None:
        self.now += step
        expired = self.deadlines.pop_expired(self.now)
        assert len(set(expired)) == len(expired)
        ticks = [self.model[item][0] for item in expired]
        assert ticks == sorted(ticks)
        for item in expired:
            assert self.model.pop(item)[1] <= self.now, "expired before its deadline"
        for _, deadline in self.model.values():
            assert deadline > self.now - TICK, "more than a tick late"

    @invariant()
    def next_is_the_first(self) -> None:
        expiry = self.deadlines.next_expiry()
        if not self.model:
            assert expiry is None
        else:
            assert expiry is not None
            first = min(deadline for _, deadline in self.model.values())
            assert first <= expiry + 1e-9 and expiry < first + TICK + 1e-9


class DeadlinesTests(DeadlinesMachine.TestCase, SynchronousTestCase):  # type: ignore[misc, valid-type]
    """Deadlines."""

    @given(st.floats(0, 1e12))
    def test_expires_when_it_says(self, deadline: float) -> None:
        """At next_expiry everything of that tick expires, so that a timer set for it does not run in vain."""
        deadlines: Deadlines[str] = Deadlines()
        deadlines.add("item", deadline)
        expiry = deadlines.next_expiry()
        assert expiry is not None
        self.assertEqual(deadlines.pop_expired(expiry), ["item"])
        self.assertIsNone(deadlines.next_expiry())

    def test_discarded_after_expiry(self) -> None:
        """Discarding what has expired is no error, and spares what came into the same tick since."""
        deadlines: Deadlines[str] = Deadlines()
        tick = deadlines.add("a", 1.0)
        self.assertEqual(deadlines.pop_expired(1.0), ["a"])
        self.assertEqual(deadlines.add("b", 1.0), tick)
        deadlines.discard("a", tick)
        self.assertEqual(deadlines.pop_expired(1.0), ["b"])

    def test_long_timeouts(self) -> None:
        """Also with deadlines far away, what is settled costs nothing."""
        deadlines: Deadlines[int] = Deadlines()
        for item in range(10_000):
            deadlines.discard(item, deadlines.add(item, 3600 + item * 0.1))
        self.assertEqual(len(deadlines._buckets), 0)
        self.assertLess(len(deadlines._ticks), 100)

    def test_few_ticks(self) -> None:
        """What has been settled costs nothing: the ticks kept depend on time, not on the number of items."""
        deadlines: Deadlines[int] = Deadlines()
        for item in range(10_000):
            deadlines.discard(item, deadlines.add(item, 30 + item * 1e-4))
        self.assertLessEqual(len(deadlines._ticks), math.ceil(1 / TICK) + 1)
