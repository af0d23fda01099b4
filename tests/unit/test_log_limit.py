"""A flood of events is a few lines a second, which tell of all."""

from __future__ import annotations

import re
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.log_limit import PERIOD, LogLimit
from tests.unit.logs import log_lines


class LogLimitTests(SynchronousTestCase):
    """Events with numbers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.limit = LogLimit(self.clock)
        self.lines = log_lines(self)

    def note(self, *events: int) -> None:
        """Note events."""
        for event in events:
            self.limit.note(partial("event {}".format, event))

    def test_writes_rare_events_at_once_and_needs_no_timer(self) -> None:
        """They are a period apart."""
        for event in range(3):
            self.note(event)
            self.assertEqual(self.lines[-1], f"event {event}")
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.clock.advance(PERIOD)
        self.assertEqual(len(self.lines), 3)

    def test_tells_of_all_events_when_no_other_follows(self) -> None:
        """A period after the first that was left out."""
        self.note(*range(1000))
        self.assertEqual(self.lines, ["event 0"])
        self.clock.advance(PERIOD)
        self.assertEqual(self.lines[1:], ["event 999 (998 more within 1 s are not in the log)"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_writes_a_single_event_that_was_left_out_as_it_is(self) -> None:
        """Nothing is missing in the log."""
        self.note(0, 1)
        self.clock.advance(PERIOD)
        self.assertEqual(self.lines, ["event 0", "event 1"])

    def test_counts_the_line_about_others_as_a_line(self) -> None:
        """So a flood that goes on is one line a period."""
        for _ in range(100):
            self.note(1, 2, 3)
            self.clock.advance(PERIOD / 10)
        self.assertEqual(len(self.lines), 10)

    def test_writes_several_lines_in_a_period(self) -> None:
        """As many as it was made for."""
        self.limit = LogLimit(self.clock, 3)
        self.note(*range(5))
        self.assertEqual(self.lines, ["event 0", "event 1", "event 2"])
        self.clock.advance(PERIOD)
        self.note(*range(5, 9))
        self.assertEqual(self.lines[3:], ["event 4 (1 more within 1 s are not in the log)", "event 5", "event 6"])

    def test_makes_only_the_lines_that_it_writes(self) -> None:
        """A flood costs little."""
        made: list[int] = []

        def line(number: int) -> str:
            made.append(number)
            return str(number)

        for number in range(100):
            self.limit.note(partial(line, number))
        self.clock.advance(PERIOD)
        self.assertEqual(made, [0, 99])

    def test_tells_the_rest_when_it_stops_and_leaves_no_timer(self) -> None:
        """Events after that are written at once, until it begins again."""
        self.note(*range(10))
        self.limit.stop()
        self.limit.stop()
        self.assertEqual(self.lines[1:], ["event 9 (8 more within 1 s are not in the log)"])
        self.note(10, 11)
        self.assertEqual(self.lines[2:], ["event 10", "event 11"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.limit.resume()
        self.clock.advance(PERIOD)
        self.note(12, 13)
        self.assertEqual(self.lines[4:], ["event 12"])

    @given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.5])), max_size=20))
    def test_no_event_is_lost(self, bursts: list[tuple[int, float]]) -> None:
        """Lines and the numbers in them are as many as events."""
        limit = LogLimit(self.clock, 2)
        self.lines.clear()
        for events, pause in bursts:
            for event in range(events):
                limit.note(partial("event {}".format, event))
            self.clock.advance(pause)
        limit.stop()
        more = sum(int(number) for number in re.findall(r"\((\d+) more", "\n".join(self.lines)))
        self.assertEqual(len(self.lines) + more, sum(events for events, _ in bursts))
        self.assertEqual(self.clock.getDelayedCalls(), [])
