"""Methods in any order with any arguments: each is answered or is an error. Other clients notice nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.amqp.peer import method
from tests.unit.broker.hostile_case import HostileCase
from tests.unit.broker.hostile_methods import Step, steps, wrong_frames
from tests.unit.broker.peer import Client

pytestmark = pytest.mark.slow

CHANNELS = (1, 2)


class Hostile:
    """A hostile peer that keeps its connection as long as it can. It answers channel.close, and connects again after
    connection.close.
    """

    def __init__(self, case: HostileCase, frame_max: int) -> None:
        self._case = case
        self._frame_max = frame_max
        self.begin()

    def begin(self) -> None:
        """Connect, and open channels."""
        self.client = Client(self._case.broker).login(frame_max=self._frame_max)
        for number in CHANNELS:
            self.client.channel(number)

    def play(self, step: Step) -> None:
        """Play one step."""
        if isinstance(step, bytes):
            self.client.feed(step)
        elif isinstance(step, bool):
            self.client.wire.reads = step
        elif step is None:
            self.client.lose()
        else:
            self._case.clock.advance(step)
        self._next_pass()

    def _next_pass(self) -> None:
        for frame in self.client.written():
            if frame.name == "channel.close":
                self.client.feed(method(frame.channel, "channel.close-ok"), method(frame.channel, "channel.open", ""))
            elif frame.name == "connection.close":
                self.client.send(0, "connection.close-ok")
        if self.client.gone:
            self.begin()


class HostileMethodsTests(HostileCase):
    """Two hostile connections with shared declarations."""

    def assert_survived(self, played: list[tuple[int, Step]], frame_max: int) -> None:
        """They harm no other client, and leave nothing behind."""
        self.restart_broker()
        hostile = [Hostile(self, frame_max) for _ in range(2)]
        for number, step in played:
            hostile[number].play(step)
        self.assert_unharmed()
        self.assert_nothing_left(*[each.client for each in hostile])

    @settings(max_examples=150)
    @given(steps(), st.sampled_from([131072, 4096]))
    def test_survives_any_methods(self, played: list[tuple[int, Step]], frame_max: int) -> None:
        """Valid and almost valid ones."""
        self.assert_survived(played, frame_max)

    @settings(max_examples=100)
    @given(steps(wrong_frames, st.booleans(), st.none()), st.sampled_from([131072, 4096]))
    def test_survives_methods_and_invalid_frames(self, played: list[tuple[int, Step]], frame_max: int) -> None:
        """With slow readers and lost connections between them."""
        self.assert_survived(played, frame_max)
