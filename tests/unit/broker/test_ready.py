"""Requeued messages are sorted in among any ready ones."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

import rpc.broker.ready
from rpc.broker.ready import ReadyMessages


@attrs.frozen
class Message:
    """A message, as far as the order needs it."""

    priority: int = 0
    body: bytes = b"x"


@attrs.frozen(eq=False)
class Entry:
    """An entry, as far as the order needs it."""

    position: int
    message: Message = Message()


class RequeueTests(SynchronousTestCase):
    """ReadyMessages.requeue and clear."""

    def check(self, positions: list[int], out: set[int], few: int, sparse: int) -> None:
        self.patch(rpc.broker.ready, "FEW", few)
        self.patch(rpc.broker.ready, "SPARSE", sparse)
        ready: Any = ReadyMessages(0)
        entries = [Entry(position) for position in sorted(positions)]
        for entry in entries:
            if entry.position not in out:
                ready.append(entry)
        ready.requeue([entry for entry in reversed(entries) if entry.position in out])
        self.assertEqual([*ready], entries)
        self.assertEqual((ready.count, ready.size), (len(entries), len(entries)))
        self.assertEqual([*ready.clear()], entries)
        self.assertEqual((ready.count, ready.size, ready.first()), (0, 0, None))

    @given(
        some.lists(some.integers(0, 60), unique=True, max_size=40),
        some.sets(some.integers(0, 60)),
        some.sampled_from([0, 3]),
        some.sampled_from([0, 2, 500]),
    )
    def test_the_order_is_that_of_the_positions(
        self, positions: list[int], out: set[int], few: int, sparse: int
    ) -> None:
        """One by one, or with the part of the queue that they go to."""
        self.check(positions, out, few, sparse)
