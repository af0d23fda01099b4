"""Runs of delivery tags, beside a plain set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.tags import TagRuns


class TagRunsTests(SynchronousTestCase):
    """TagRuns."""

    def test_joins_neighbouring_runs(self) -> None:
        """A tag between two runs makes one run of them."""
        runs = TagRuns()
        runs.update([1, 2, 4, 5])
        self.assertEqual(runs.last_of, {1: 2, 4: 5})
        runs.update([3])
        self.assertEqual((runs.last_of, len(runs)), ({1: 5}, 1))
        self.assertEqual((runs.take_run(1), len(runs)), (5, 0))

    @given(st.lists(st.integers(1, 40), unique=True))
    def test_holds_the_runs_of_a_set(self, tags: list[int]) -> None:
        """Tags in any order give the runs of their set, each of which can be taken once."""
        runs = TagRuns()
        runs.update(tags)
        firsts = {tag for tag in tags if tag - 1 not in tags}
        self.assertEqual(set(runs.last_of), firsts)
        taken = {first: runs.take_run(first) for first in firsts}
        covered = {tag for first, last in taken.items() for tag in range(first, last + 1)}
        self.assertEqual((covered, len(runs)), (set(tags), 0))
