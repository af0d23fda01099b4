"""What a worker remembers of recent calls."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc.worker.deduplication import ENTRY_SIZE, Answered, RecentReplies
from rpc.worker.service import Deduplicate


class RecentRepliesTests(SynchronousTestCase):
    """Begin, join, answer, forget."""

    def setUp(self) -> None:
        self.recent: RecentReplies[str] = RecentReplies(Deduplicate(count=2, size=10_000, seconds=5.0))

    def answer(self, key: str, body: bytes | None, now: float = 0.0) -> None:
        """Run a call from its beginning to its end."""
        self.assertIs(self.recent.begin(key, key, now), True)
        self.assertEqual(self.recent.end(key, body, now), [])

    def test_joins_the_one_in_progress(self) -> None:
        """Who asks while the call is in progress is told with it."""
        self.assertIs(self.recent.begin("a", "first", 0.0), True)
        self.assertIs(self.recent.begin("a", "second", 0.0), False)
        self.assertIs(self.recent.begin("a", "third", 0.0), False)
        self.assertTrue(self.recent.knows("a", 0.0))
        self.assertEqual(self.recent.end("a", b"x", 0.0), ["second", "third"])

    def test_answers_again(self) -> None:
        """A call that was run is answered with its reply, also an empty one or none, until it is forgotten."""
        for key, body in (("a", b"x"), ("b", None)):
            self.answer(key, body)
            answered = self.recent.begin(key, "again", 4.9)
            assert isinstance(answered, Answered)
            self.assertEqual(answered.body, body)
        self.assertFalse(self.recent.knows("a", 5.0))
        self.assertIs(self.recent.begin("a", "late", 5.0), True)

    def test_not_kept(self) -> None:
        """A call that was not run is not remembered, but those who joined are named."""
        self.recent.begin("a", "first", 0.0)
        self.recent.begin("a", "second", 0.0)
        self.assertEqual(self.recent.end("a", None, 0.0, keep=False), ["second"])
        self.assertEqual(len(self.recent), 0)

    def test_bounds(self) -> None:
        """The oldest make way for what is over the number, or over the bytes."""
        for key in ("a", "b", "c"):
            self.answer(key, b"x")
        self.assertEqual([self.recent.knows(key, 0.0) for key in ("a", "b", "c")], [False, True, True])
        self.answer("d", b"x" * 9_500)
        self.assertEqual([self.recent.knows(key, 0.0) for key in ("b", "c", "d")], [False, True, True])
        self.answer("e", b"x" * 20_000)
        self.assertEqual(len(self.recent), 0)

    def test_wrong_bounds(self) -> None:
        """A bound is a number above 0."""
        for bounds in ({"count": 0}, {"size": -1}, {"seconds": "5"}, {"seconds": True}):
            with self.assertRaisesRegex(rpc.ConfigurationError, "deduplicate: "):
                Deduplicate(**bounds)


class RecentRepliesMachine(RuleBasedStateMachine):
    """Calls in any order, against a model that looks at everything."""

    BOUNDS = Deduplicate(count=3, size=3 * ENTRY_SIZE + 50, seconds=10.0)

    def __init__(self) -> None:
        super().__init__()
        self.recent: RecentReplies[int] = RecentReplies(self.BOUNDS)
        self.running: dict[str, list[int]] = {}
        self.answered: dict[str, tuple[bytes, float]] = {}
        self.now = 0.0
        self.number = 0

    @rule(key=st.sampled_from("abcdef"))
    def begin(self, key: str) -> None:
        self.number += 1
        known = self.recent.begin(key, self.number, self.now)
        if isinstance(known, Answered):
            body, until = self.answered[key]
            assert (known.body, known.until) == (body, until) and until > self.now
        elif key in self.running:
            assert known is False
            self.running[key].append(self.number)
        else:
            assert known is True
            self.running[key] = []

    @precondition(lambda self: self.running)
    @rule(data=st.data(), body=st.binary(max_size=60), keep=st.booleans())
    def end(self, data: st.DataObject, body: bytes, keep: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        assert self.recent.end(key, body, self.now, keep=keep) == self.running.pop(key)
        if keep:
            self.answered[key] = body, self.now + self.BOUNDS.seconds

    @rule(step=st.sampled_from([0.0, 1.0, 11.0]))
    def advance(self, step: float) -> None:
        self.now += step

    @invariant()
    def bounded(self) -> None:
        kept = self.recent._answered
        assert len(kept) <= self.BOUNDS.count
        assert self.recent._size == sum(ENTRY_SIZE + len(answered.body or b"") for answered in kept.values())
        assert self.recent._size <= self.BOUNDS.size


class OrderTests(RecentRepliesMachine.TestCase, SynchronousTestCase):  # type: ignore[misc, valid-type]
    """Any order."""
