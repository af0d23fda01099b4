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

    def test_the_slice_of_a_connection_is_shorter_the_more_tasks_there_are(self) -> None:
        """Or the connections that have input in the same turn would take a slice each."""
        ends = []
        for _ in range(3):
            ends.append(self.work.slice_end() - self.clock.rightNow)
            self.work.later(self.task("a", 1))
        self.assertEqual(ends, [SLICE, SLICE / 2, SLICE / 3])

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
        """Also what a step adds."""

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
