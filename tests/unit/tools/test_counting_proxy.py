"""The counter of frames, and the table of figures."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.amqp.peer import HEARTBEAT, content, frame, method
from tools.topology.counting_proxy import FrameCounter
from tools.topology.plan import Figure
from tools.topology.run import table

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class FrameCounterTests(SynchronousTestCase):
    """Frames are counted by kind, however the stream is cut."""

    STREAM = b"".join(
        [
            PROTOCOL_HEADER,
            method(1, "basic.publish", 0, "rpc", "Calculator", False, False),
            *content(1, b"x" * 10, largest=6),
            method(1, "basic.ack", 1, False),
            method(1, "channel.close", 200, "bye", 0, 0),
            HEARTBEAT,
            frame(9, 0, b""),
        ]
    )
    COUNTED: ClassVar = Counter(
        {
            "basic.publish": 1,
            "content header": 1,
            "content body": 2,
            "basic.ack": 1,
            "method 20.40": 1,
            "heartbeat": 1,
            "frame type 9": 1,
        }
    )

    @given(st.lists(st.integers(0, len(STREAM)), max_size=10))
    def test_counts_a_stream_that_is_cut_anywhere(self, cuts: list[int]) -> None:
        """The first bytes are the protocol header, which is no frame."""
        counted: Counter[str] = Counter()
        counter = FrameCounter(counted, len(PROTOCOL_HEADER))
        edges = [0, *sorted(cuts), len(self.STREAM)]
        for start, end in pairwise(edges):
            counter.feed(self.STREAM[start:end])
        self.assertEqual(counted, self.COUNTED)


class TableTests(SynchronousTestCase):
    """The figures as text."""

    def test_a_line_has_measurement_name_value_and_unit(self) -> None:
        """Values stand under each other."""
        lines = table([Figure("start", "first", 1234.5, "s"), Figure("counts", "queues", 4, "")]).splitlines()
        self.assertEqual(lines[0].split(), ["start", "first", "1,234.50", "s"])
        self.assertEqual(lines[1].split(), ["counts", "queues", "4.00"])
        self.assertEqual(lines[0].index("1,234.50") + 8, len(lines[1]))
