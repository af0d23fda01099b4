"""Replies that a worker keeps, so that a call that comes again is not run again."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc.worker.deduplication import ENTRY_SIZE, RecentReplies
from rpc.worker.service import Deduplicate


class RecentRepliesTests(SynchronousTestCase):
    """Adding, finding, forgetting."""

    def setUp(self) -> None:
        self.recent = RecentReplies(Deduplicate(count=2, size=10_000, seconds=5.0))

    def found(self, *keys: str, now: float = 0.0) -> list[str]:
        """The calls that are known."""
        return [key for key in keys if self.recent.find(key, now) is not None]

    def test_finds_a_reply_until_its_time_is_over(self) -> None:
        """Also an empty one, or none."""
        for key, body in (("a", b"x"), ("b", None)):
            self.recent.add(key, body, 0.0)
            answered = self.recent.find(key, 4.9)
            assert answered is not None
            self.assertEqual((answered.body, answered.cancelled), (body, False))
        self.assertEqual(self.found("a", "b", now=5.0), [])

    def test_does_not_keep_a_call_without_an_identity(self) -> None:
        """It could not be told from others."""
        self.recent.add(None, b"x", 0.0)
        self.assertEqual(len(self.recent), 0)

    def test_drops_the_oldest_beyond_its_bounds(self) -> None:
        """In number, and in bytes. A reply over the bound is not kept, but the call is."""
        for key in ("a", "b", "c"):
            self.recent.add(key, b"x", 0.0)
        self.assertEqual(self.found("a", "b", "c"), ["b", "c"])
        self.recent.add("d", b"x" * 9_500, 0.0)
        self.assertEqual(self.found("b", "c", "d"), ["c", "d"])
        self.recent.add("e", b"x" * 20_000, 0.0)
        self.assertEqual(self.found("c", "d", "e"), ["d", "e"])
        answered = self.recent.find("e", 0.0)
        assert answered is not None
        self.assertIsNone(answered.body)

    def test_refuses_a_bound_that_is_no_number_above_0(self) -> None:
        """Each by its name."""
        for bounds in ({"count": 0}, {"size": -1}, {"seconds": "5"}, {"seconds": True}):
            with self.assertRaisesRegex(rpc.ConfigurationError, "deduplicate: "):
                Deduplicate(**bounds)


class RecentRepliesMachine(RuleBasedStateMachine):
    """Calls in any order, against a model that looks at everything."""

    BOUNDS = Deduplicate(count=3, size=3 * ENTRY_SIZE + 50, seconds=10.0)

    def __init__(self) -> None:
        super().__init__()
        self.recent = RecentReplies(self.BOUNDS)
        self.answered: dict[str, tuple[bytes, float]] = {}
        self.now = 0.0

    @rule(key=st.sampled_from("abcdef"))
    def find(self, key: str) -> None:
        found = self.recent.find(key, self.now)
        if found is not None:
            body, until = self.answered[key]
            assert found.body == (body if len(body) + ENTRY_SIZE <= self.BOUNDS.size else None)
            assert found.until == until > self.now

    @rule(key=st.sampled_from("abcdef"), body=st.binary(max_size=60))
    def add(self, key: str, body: bytes) -> None:
        self.recent.add(key, body, self.now)
        self.answered[key] = body, self.now + self.BOUNDS.seconds
        found = self.recent.find(key, self.now)
        assert found is not None and found.body == body

    @rule(step=st.sampled_from([0.0, 1.0, 11.0]))
    def advance(self, step: float) -> None:
        self.now += step

    @invariant()
    def stays_within_its_bounds(self) -> None:
        kept = self.recent._answered
        assert len(kept) <= self.BOUNDS.count
        assert self.recent._size == sum(len(answered.body or b"") + ENTRY_SIZE for answered in kept.values())
        assert self.recent._size <= self.BOUNDS.size


class OrderTests(RecentRepliesMachine.TestCase, SynchronousTestCase):  # type: ignore[misc, valid-type]
    """Any order."""
