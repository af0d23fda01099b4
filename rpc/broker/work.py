"""Long work of a broker, cut into steps: each turn of the reactor does a slice of it, and serves the others between.

Work is long when its effort grows with what a peer has made: a million messages to drop or to requeue, a read with
thousands of requests. Nothing may take more of one turn than a slice, and the largest step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

from rpc import log
from rpc.broker.timer import Timer
from rpc.interfaces import IClock

SLICE: Final = 0.02
"""Seconds that long work may take of one turn of the reactor."""

STEP: Final = 1000
"""Messages that one step drops, settles or requeues."""

Steps: TypeAlias = "Iterator[None]"
"""A task: each ``next`` is one step."""

T = TypeVar("T")


class Work:
    """The tasks of one broker that are not finished. They take turns, a step each."""

    __slots__ = ("_clock", "_tasks", "_timer")

    def __init__(self, clock: IClock, run_pass: Callable[[Callable[[], None]], None]) -> None:
        """:param run_pass: runs a function as a pass of the broker."""
        self._clock = clock
        self._tasks: deque[Steps] = deque()
        self._timer = Timer(clock, lambda: run_pass(self._turn))

    def __len__(self) -> int:
        return len(self._tasks)

    def do(self, task: Steps) -> None:
        """Do a task now, as far as it fits a slice, and the rest in later turns."""
        end = self.slice_end()
        while _step(task):
            if self._clock.seconds() >= end:
                self.later(task)
                return

    def later(self, task: Steps) -> None:
        """Do a task from the reactor's next turn on."""
        self._tasks.append(task)
        self._timer.start_by(self._clock.seconds())

    def slice_end(self) -> float:
        """Return until when a connection may work that begins now, by the broker's clock.

        The more tasks there are, the sooner: many connections can have input in the same turn.
        """
        return self._clock.seconds() + SLICE / (1 + len(self._tasks))

    def finish(self) -> None:
        """Do all that is left: the broker ends."""
        self._timer.stop()
        while self._tasks:
            if _step(self._tasks[0]):
                self._tasks.rotate(-1)
            else:
                self._tasks.popleft()
        self._timer.stop()

    def _turn(self) -> None:
        end = self._clock.seconds() + SLICE
        while self._tasks:
            task = self._tasks.popleft()
            if _step(task):
                self._tasks.append(task)
            if self._tasks and self._clock.seconds() >= end:
                self._timer.start(0)
                return


def _step(task: Steps) -> bool:
    """Do one step; return whether another one may follow. An exception is logged, and ends the task."""
    try:
        next(task)
    except StopIteration:
        return False
    except Exception:
        log.err(None, "in the embedded broker")
        return False
    return True


def in_steps(items: Iterable[T], function: Callable[[T], None]) -> Steps:
    """Call a function for each item, :data:`STEP` of them at a time."""
    left = STEP
    for item in items:
        function(item)
        left -= 1
        if not left:
            left = STEP
            yield
