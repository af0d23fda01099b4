"""Long work in slices: :mod:`rpc.broker.work`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.work import SLICE, STEP, Work, in_steps
from tests.unit.broker.ticking import TickingClock


class WorkCase(SynchronousTestCase):
    """Work on a clock that the test advances."""

    def setUp(self) -> None:
        self.clock = TickingClock()
        self.passes = 0
        self.work = Work(self.clock, self.run_pass)
        self.done: list[str] = []

    def run_pass(self, function: Callable[[], None]) -> None:
        self.passes += 1
        function()

    def task(self, name: str, steps: int) -> Iterator[None]:
        """A task that notes its steps."""
        for _ in range(steps):
            self.done.append(name)
            yield


class WorkTests(WorkCase):
    """Work."""

    def test_does_at_once_what_fits_a_slice(self) -> None:
        self.work.do(self.task("a", 100))
        self.assertEqual((len(self.done), len(self.work), self.clock.getDelayedCalls()), (100, 0, []))

    def test_does_the_rest_in_later_turns(self) -> None:
        """At least one step each."""
        self.clock.tick = SLICE
        self.work.do(self.task("a", 3))
        seen = [len(self.done)]
        while len(self.work):
            self.clock.rightNow += SLICE
            self.clock.turn()
            seen.append(len(self.done))
        self.assertEqual(seen, [1, 2, 3, 3])

    def test_tasks_take_turns(self) -> None:
        for name in "ab":
            self.work.later(self.task(name, 2))
        self.assertEqual(self.done, [])
        self.clock.advance(0)
        self.assertEqual((self.done, self.passes, len(self.work)), ([*"abab"], 1, 0))

    def test_the_slice_of_a_connection_is_shorter_the_more_there_is_to_do(self) -> None:
        """Or the connections that have input in the same turn would take a slice each."""
        shares = [self.work.share]
        self.work.later(self.task("a", 1))
        shares.append(self.work.share)
        self.work.wait(0.0, lambda: None)
        shares.append(self.work.share)
        self.clock.advance(0)
        shares.append(self.work.share)
        self.assertEqual(shares, [SLICE, SLICE / 2, SLICE / 3, SLICE])

    def test_the_connection_of_the_lowest_rank_comes_first(self) -> None:
        """Whenever it came."""
        for name, rank in (("c", 3.0), ("a", 1.0), ("d", 3.0), ("b", 2.0)):
            self.work.wait(rank, lambda name=name: self.done.append(name))  # type: ignore[misc]
        self.clock.advance(0)
        self.assertEqual(self.done, [*"abcd"])

    def test_is_crowded_when_a_slice_of_a_turn_is_spent(self) -> None:
        """Until the next turn."""
        seen = []
        for seconds in (SLICE / 2, SLICE / 2, SLICE / 100):
            self.work.spend(seconds)
            seen.append(self.work.crowded)
        self.clock.advance(0)
        self.assertEqual([*seen, self.work.crowded], [False, False, True, False])

    def test_nobody_waits_for_a_slice_that_is_not_used_up(self) -> None:
        """There is no timer."""
        self.work.spend(SLICE / 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_exception_ends_its_task_only(self) -> None:
        def failing() -> Iterator[None]:
            yield
            raise ValueError("bad")

        self.work.later(failing())
        self.work.later(self.task("a", 3))
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.done, [*"aaa"])

    def test_finish_does_all_that_is_left(self) -> None:
        """Also tasks that a step adds."""

        def adding() -> Iterator[None]:
            self.work.later(self.task("b", 1))
            yield

        self.work.later(adding())
        self.work.later(self.task("a", 2))
        self.work.finish()
        self.assertEqual((sorted(self.done), len(self.work), self.clock.getDelayedCalls()), ([*"aab"], 0, []))

    def test_steps_over_many_items(self) -> None:
        taken: list[int] = []
        steps = in_steps(range(2 * STEP + 1), taken.append)
        sizes = [len(taken) for _ in steps]
        self.assertEqual((sizes, taken), ([STEP, 2 * STEP], [*range(2 * STEP + 1)]))
