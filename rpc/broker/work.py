"""Long work of a broker, cut into steps: each turn of the reactor does a slice of it, and serves the others between.

Work is long when its effort grows with what a peer has made: a million messages to drop or to requeue, a read with
thousands of requests. Nothing may take more of one turn than a slice, and the largest step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Final, TypeAlias, TypeVar

from rpc import log
from rpc.broker.timer import Timer
from rpc.interfaces import IClock

SLICE: Final = 0.02
"""Seconds that long work may take of one turn of the reactor."""

STEP: Final = 1000
"""Messages that one step drops, settles or requeues; consumers whose end it tells."""

Steps: TypeAlias = "Iterator[None]"
"""A task: each ``next`` is one step."""

T = TypeVar("T")


class Work:
    """The work of one broker that is not finished: tasks, and connections whose input waits.

    Tasks take turns, a step each. Of the connections, the one that has taken the least time lately comes first: so the
    few requests of one do not wait for the many of others, however many those are.

    :ivar crowded: whether connections have taken a slice of this turn already. New input waits then.
    :ivar share: seconds that a connection may read now: the fewer, the more there is to do in the same turn.
    """

    __slots__ = ("_clock", "_numbers", "_spent", "_tasks", "_timer", "_waiting", "crowded", "share")

    def __init__(self, clock: IClock, run_pass: Callable[[Callable[[], None]], None]) -> None:
        """:param run_pass: runs a function as a pass of the broker."""
        self.crowded = False
        self.share = SLICE
        self._spent = 0.0  # seconds, of connections and dead letters; begins anew after each crowded turn
        self._clock = clock
        self._tasks: deque[Steps] = deque()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []  # a heap
        self._numbers = count()
        self._timer = Timer(clock, lambda: run_pass(self._turn))

    def __len__(self) -> int:
        return len(self._tasks) + len(self._waiting)

    # -- tasks

    def do(self, task: Steps) -> None:
        """Do a task now, as far as it fits a slice, and the rest in later turns."""
        end = self._clock.seconds() + SLICE
        while _step(task):
            if self._clock.seconds() >= end:
                self.later(task)
                return

    def later(self, task: Steps) -> None:
        """Do a task from the reactor's next turn on."""
        self._tasks.append(task)
        self._wake()

    # -- connections

    def spend(self, seconds: float) -> None:
        """Count the time of a read, or of dead letters. Above a slice, new input waits for the next turn."""
        self._spent += seconds
        if self._spent > SLICE and not self.crowded:
            self.crowded = True
            self._wake()

    def wait(self, rank: float, resume: Callable[[], None]) -> None:
        """Call a function in a later turn.

        :param rank: of its connection (:meth:`rpc.broker.usage.Usage.rank`); the lowest comes first.
        """
        heappush(self._waiting, (rank, next(self._numbers), resume))
        self._wake()

    # -- turns

    def finish(self) -> None:
        """Do all tasks that are left: the broker ends."""
        while self._tasks:
            self._step_one()
        self._waiting.clear()
        self._timer.stop()

    def _wake(self) -> None:
        self.share = SLICE / (1 + len(self))
        self._timer.start_by(self._clock.seconds())

    def _turn(self) -> None:
        self.crowded, self._spent = False, 0.0
        end = self._clock.seconds() + SLICE
        while self._waiting or self._tasks:
            if self._waiting:
                heappop(self._waiting)[2]()
            if self._tasks:
                self._step_one()
            if len(self) and self._clock.seconds() >= end:
                self._wake()
                return
        self.share = SLICE

    def _step_one(self) -> None:
        task = self._tasks.popleft()
        if _step(task):
            self._tasks.append(task)


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
