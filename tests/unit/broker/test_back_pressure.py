"""Back-pressure of one connection as a table: every state and every signal; every reason to pause."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.back_pressure import TRANSITIONS, BackPressure, OutputState, PauseReason, Signal
from rpc.broker.limits import MAX_UNREAD
from rpc.broker.memory import Level, level_of

OPEN, CONGESTED, SLOW, OVERFULL = OutputState
MUCH, FLUSHED, FULL, LIMIT, EMPTY = Signal

EXPECTED = {
    #           MUCH       FLUSHED   FULL      LIMIT     EMPTY
    OPEN:      (CONGESTED, OPEN,     SLOW,     OPEN,     OPEN),
    CONGESTED: (CONGESTED, OPEN,     SLOW,     CONGESTED, OPEN),
    SLOW:      (SLOW,      SLOW,     SLOW,     OVERFULL, OPEN),
    OVERFULL:  (OVERFULL,  OVERFULL, OVERFULL, OVERFULL, OPEN),
}  # fmt: skip

PATHS = {OPEN: [], CONGESTED: [MUCH], SLOW: [FULL], OVERFULL: [FULL, LIMIT]}


class FakeValve:
    """A socket's input that notes each change."""

    def __init__(self) -> None:
        self.told: list[bool] = []

    def set_reading(self, reading: bool) -> None:
        """Note it."""
        self.told.append(reading)


class BackPressureCase(SynchronousTestCase):
    """Back-pressure over a fake of a socket's input."""

    def setUp(self) -> None:
        self.valve = FakeValve()
        self.pressure = BackPressure(self.valve)

    def bring_to(self, state: OutputState) -> BackPressure:
        """A new one in this state."""
        self.valve = FakeValve()
        self.pressure = BackPressure(self.valve)
        for signal in PATHS[state]:
            self.pressure.signal(signal)
        self.assertIs(self.pressure.output, state)
        self.valve.told.clear()
        return self.pressure


class OutputTests(BackPressureCase):
    """How far a client is with reading."""

    def test_changes_state_as_the_table_says(self) -> None:
        for state, (number, signal) in product(OutputState, enumerate(Signal)):
            pressure = self.bring_to(state)
            pressure.signal(signal)
            self.assertIs(pressure.output, EXPECTED[state][number], (state, signal))

    def test_lists_only_transitions_that_change_something(self) -> None:
        self.assertEqual([pair for pair, state in TRANSITIONS.items() if pair[0] is state], [])

    def test_delivers_in_the_open_state_only(self) -> None:
        for state in OutputState:
            self.assertIs(self.bring_to(state).congested, state is not OPEN)

    def test_is_slow_while_the_transport_is_full(self) -> None:
        for state in OutputState:
            self.assertIs(self.bring_to(state).slow, state in (SLOW, OVERFULL))

    def test_pauses_input_in_the_overfull_state_only(self) -> None:
        for state in OutputState:
            self.assertIs(self.bring_to(state).reading, state is not OVERFULL)

    def test_counts_unread_bytes_while_the_transport_is_full(self) -> None:
        pressure = self.bring_to(SLOW)
        pressure.flushed(MAX_UNREAD)
        self.assertIs(pressure.output, SLOW)
        self.assertEqual((pressure.takes(0), pressure.takes(1)), (True, False))
        pressure.flushed(1)
        self.assertEqual((pressure.output, self.valve.told), (OVERFULL, [False]))
        pressure.signal(EMPTY)
        self.assertEqual((pressure.output, self.valve.told), (OPEN, [False, True]))
        self.assertTrue(pressure.takes(MAX_UNREAD))

    def test_counts_no_bytes_that_the_transport_takes(self) -> None:
        pressure = self.bring_to(OPEN)
        pressure.flushed(2 * MAX_UNREAD)
        pressure.signal(FULL)
        self.assertTrue(pressure.takes(MAX_UNREAD))


class InputTests(BackPressureCase):
    """When input is not read."""

    def test_pauses_the_input_of_a_blocked_publisher_once(self) -> None:
        self.assertEqual([self.pressure.block_publisher() for _ in range(2)], [True, False])
        self.assertEqual([self.pressure.unblock_publisher() for _ in range(2)], [True, False])
        self.assertEqual(self.valve.told, [False, True])

    def test_keeps_postponed_input_in_order(self) -> None:
        self.pressure.postpone(b"1", PauseReason.SLICE)
        self.pressure.postpone(b"2")
        self.assertTrue(self.pressure.has_postponed)
        self.assertEqual(self.pressure.take_postponed(), b"12")
        self.assertEqual((self.pressure.has_postponed, self.valve.told), (False, [False, True]))

    def fill(self) -> None:
        """Let more be unread than is allowed."""
        for signal in (FULL, LIMIT):
            self.pressure.signal(signal)

    def empty(self) -> None:
        """Let the client read all of it."""
        self.pressure.signal(EMPTY)

    @given(some.lists(some.sampled_from(range(6)), max_size=20))
    def test_reads_when_the_last_reason_to_pause_is_gone(self, steps: list[int]) -> None:
        """After any steps the socket has got each change once, and reads when no reason is left."""
        pressure = self.bring_to(OPEN)
        reading = True
        for step in steps:
            (
                pressure.block_publisher,
                pressure.unblock_publisher,
                lambda: pressure.postpone(b"x", PauseReason.POSTPONED),
                pressure.take_postponed,
                self.fill,
                self.empty,
            )[step]()
            self.assertIs(pressure.reading, pressure.paused is PauseReason.NONE)
            if self.valve.told:
                reading = self.valve.told.pop()
            self.assertEqual((reading, self.valve.told), (pressure.reading, []))

    def test_reads_while_the_connection_closes(self) -> None:
        """A peer may answer close-ok while its input is paused."""
        self.pressure.block_publisher()
        self.pressure.closing()
        self.pressure.postpone(b"x", PauseReason.POSTPONED)
        self.assertEqual((self.pressure.reading, self.valve.told), (True, [False, True]))


class MemoryLevelTests(SynchronousTestCase):
    """The broker's memory, as a table."""

    def test_level_depends_on_bytes_held_and_on_the_operator(self) -> None:
        for held, forced, level in (
            (0, False, Level.FREE),
            (100, False, Level.FREE),
            (101, False, Level.ALARM),
            (200, False, Level.ALARM),
            (201, False, Level.EXHAUSTED),
            (0, True, Level.ALARM),
            (201, True, Level.EXHAUSTED),
        ):
            self.assertIs(level_of(held, 100, forced), level, (held, forced))
