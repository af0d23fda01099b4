"""Delayed calls beside a wall clock that is set, against a simple model: each call, and when it is due."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from twisted.internet.error import AlreadyCalled
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock, LoopingCall
from twisted.python import runtime
from twisted.trial.unittest import SynchronousTestCase

from rpc import monotonic
from rpc.monotonic import LEAST_JUMP, MonotonicReactor, monotonic_reactor, use_monotonic_time, wall_seconds
from tests.unit.machines import machine_settings

HOUR = 3600.0

seconds = st.integers(0, 640).map(lambda parts: parts / 64)
"""Numbers whose sums are exact, on either clock."""


class WallReactor(Clock):
    """A reactor on the wall clock, and the monotonic clock beside it.

    :ivar now: the monotonic time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = 1_000_000.0
        self.now = 0.0

    def monotonic(self) -> float:
        """The monotonic time."""
        return self.now

    def set_wall_clock(self, by: float) -> None:
        """Move the wall clock."""
        self.rightNow += by

    def advance(self, amount: float) -> None:
        """Time passes; then the reactor runs the calls that are due."""
        self.now += amount
        super().advance(amount)


class MonotonicMachine(RuleBasedStateMachine):
    """Delayed calls are made and changed, time passes, and the wall clock is set.

    :ivar due: the calls that are to come, and their times.
    :ivar noticed: whether a call was made since the wall clock was set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wall = WallReactor()
        self.reactor: Any = MonotonicReactor(self.wall, self.wall.monotonic)
        self.calls: dict[int, IDelayedCall] = {}
        self.due: dict[int, float] = {}
        self.noticed = True
        self.made = 0

    def fired(self, number: int) -> None:
        """A call comes once, and not before its time."""
        assert self.due.pop(number) <= self.wall.now
        del self.calls[number]

    @rule(delay=seconds)
    def make(self, delay: float) -> None:
        self.made += 1
        self.due[self.made] = self.wall.now + delay
        self.calls[self.made] = self.reactor.callLater(delay, self.fired, number=self.made)
        self.noticed = True

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), delay=seconds)
    def change(self, data: st.DataObject, delay: float) -> None:
        number = data.draw(st.sampled_from(sorted(self.calls)))
        match data.draw(st.sampled_from(["cancel", "reset", "delay"])):
            case "cancel":
                self.calls.pop(number).cancel()
                del self.due[number]
            case "reset":
                self.calls[number].reset(delay)
                self.due[number] = self.wall.now + delay
            case "delay":
                self.calls[number].delay(delay)
                self.due[number] += delay

    @rule(by=st.integers(-4, 4).map(lambda hours: hours * HOUR) | seconds)
    def set_wall_clock(self, by: float) -> None:
        self.wall.set_wall_clock(by)
        self.noticed = self.noticed and by >= 0

    @rule(step=seconds)
    def advance(self, step: float) -> None:
        self.wall.advance(step)
        if self.noticed:
            assert all(due > self.wall.now - LEAST_JUMP for due in self.due.values()), "too late"

    def teardown(self) -> None:
        assert {*self.reactor.getDelayedCalls()} == {*self.calls.values()}
        for number, call in self.calls.items():
            assert call.getTime() == self.due[number]
            assert call.active()
            call.cancel()
        assert not self.wall.getDelayedCalls()


class OrderTests(MonotonicMachine.TestCase, SynchronousTestCase):  # type: ignore[misc, valid-type]
    """Delayed calls, changes of them and jumps in any order."""

    settings = machine_settings(50)


class MonotonicReactorTests(SynchronousTestCase):
    """A reactor with monotonic time beside one that follows the wall clock."""

    def setUp(self) -> None:
        self.wall = WallReactor()
        self.reactor: Any = MonotonicReactor(self.wall, self.wall.monotonic)

    def test_a_late_call_has_all_others_set_again(self) -> None:
        """The wall clock is set back; an hour later the first call fires, and the second one is only as late."""
        fired: list[float] = []
        for delay in (1.0, 2.0, 3.0 + HOUR):
            self.reactor.callLater(delay, lambda: fired.append(self.wall.now))
        self.wall.set_wall_clock(-HOUR)
        self.wall.advance(2.0)
        self.assertEqual(fired, [])
        self.wall.advance(HOUR - 1.0)
        self.wall.advance(0.0)
        self.assertEqual(fired, [HOUR + 1.0, HOUR + 1.0])
        self.wall.advance(2.0)
        self.assertEqual(len(fired), 3)

    def test_every_jump_is_noticed(self) -> None:
        """The wall clock is set forward, and then right again: a jump back, too."""
        fired: list[float] = []
        for jump in (HOUR, -HOUR):
            self.reactor.callLater(1.0, lambda: fired.append(self.wall.now))
            self.wall.set_wall_clock(jump)
            self.reactor.callLater(10.0, lambda: None)
        self.wall.advance(1.0)
        self.assertEqual(fired, [1.0, 1.0])

    def test_a_call_that_was_made_is_not_active(self) -> None:
        """As with Twisted's own, it cannot be cancelled then."""
        call: IDelayedCall = self.reactor.callLater(1.0, lambda: self.assertFalse(call.active()))
        self.wall.advance(1.0)
        self.assertRaises(AlreadyCalled, call.cancel)

    def test_a_repeated_call_keeps_its_interval(self) -> None:
        """Twisted's LoopingCall, which heartbeats are."""
        ticks: list[float] = []
        loop = LoopingCall(lambda: ticks.append(self.wall.now))
        loop.clock = self.reactor
        loop.start(1.0, now=False)
        for _ in range(5):
            self.wall.set_wall_clock(HOUR)
            self.wall.advance(0.5)
        self.assertEqual(ticks, [1.0, 2.0])
        loop.stop()

    def test_an_error_is_the_reactor_s(self) -> None:
        """A function that raises is not called again."""
        self.reactor.callLater(1.0, lambda: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.wall.advance, 1.0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.wall.advance(1.0)


class ProcessTests(SynchronousTestCase):
    """The clock of a process."""

    def setUp(self) -> None:
        self.ahead = 0.0
        self.patch(runtime, "seconds", lambda: time.time() + self.ahead)
        self.patch(PosixReactorBase, "seconds", staticmethod(runtime.seconds))
        self.global_reactor = SelectReactor()
        self.addCleanup(self.global_reactor.removeAll)
        self.addCleanup(self.global_reactor.disconnectAll)

    def test_a_reactor_gets_monotonic_time(self) -> None:
        """It is the time since the epoch, and remains so when the wall clock is set."""
        use_monotonic_time(self.global_reactor)
        self.assertIs(self.global_reactor.seconds, monotonic.seconds)
        self.ahead = HOUR
        self.assertLess(abs(self.global_reactor.seconds() - time.time()), 60.0)

    def test_delayed_calls_move_to_the_new_clock(self) -> None:
        """They are due in the same time as before, though the wall clock was set since the program began."""
        self.ahead = -HOUR
        calls = [self.global_reactor.callLater(delay, lambda: None) for delay in (50.0, 100.0)]
        use_monotonic_time(self.global_reactor)
        for call, delay in zip(calls, (50.0, 100.0), strict=True):
            left = call.getTime() - self.global_reactor.seconds()
            self.assertLess(abs(left - delay), 30.0)

    def test_a_reactor_with_a_clock_of_its_own_is_left_as_it_is(self) -> None:
        """A test's clock, or monotonic time."""
        clock = Clock()
        use_monotonic_time(clock)
        self.assertIs(monotonic_reactor(clock), clock)
        self.assertEqual(clock.seconds(), 0.0)
        use_monotonic_time(self.global_reactor)
        self.assertIs(monotonic_reactor(self.global_reactor), self.global_reactor)

    def test_a_foreign_reactor_is_not_changed(self) -> None:
        """Monotonic time is beside it, and says the same."""
        beside = monotonic_reactor(self.global_reactor)
        self.assertIsInstance(beside, MonotonicReactor)
        self.assertIs(self.global_reactor.seconds, runtime.seconds)
        self.assertIs(beside.seconds, monotonic.seconds)
        self.assertEqual(beside.getReaders, self.global_reactor.getReaders)

    def test_stamps_have_the_wall_clock(self) -> None:
        """With every reactor; a test's clock is its own wall clock."""
        self.ahead = HOUR
        for reactor in (self.global_reactor, monotonic_reactor(self.global_reactor)):
            self.assertLess(abs(wall_seconds(reactor) - HOUR - time.time()), 60.0)
        clock = Clock()
        clock.advance(5.0)
        self.assertEqual(wall_seconds(clock), 5.0)
