"""Round-robin over the consumers of a queue that can take a message. Pure, but for a consumer's own answer."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Candidate(Protocol):
    """A consumer, as far as the choice of the next one needs it."""

    priority: int
    in_rotation: bool

    def can_take(self) -> bool:
        """Whether it can be given another message now."""


T = TypeVar("T", bound=Candidate)
K = TypeVar("K")
V = TypeVar("V")


def rotate_past(order: dict[K, V], key: K) -> None:
    """Move every item up to and including `key` behind the others, in their order."""
    for each in [*order]:
        order[each] = order.pop(each)
        if each == key:
            return


class RoundRobin(Generic[T]):
    """Consumers in rotation. Those of a higher priority come first (RabbitMQ extension: consumer priorities).

    A consumer that cannot take a message leaves the rotation: its ``in_rotation`` is False, until :meth:`add`.
    Every step takes the same time, however many there are: a peer may have thousands of consumers.
    """

    __slots__ = ("_lanes", "_priorities")

    def __init__(self) -> None:
        self._lanes: dict[int, OrderedDict[T, None]] = {}  # by priority; none is empty
        self._priorities: list[int] = []  # of the lanes, negative: the highest first

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def add(self, candidate: T) -> None:
        """Put a consumer behind the others of its priority."""
        candidate.in_rotation = True
        lane = self._lanes.get(candidate.priority)
        if lane is None:
            lane = self._lanes[candidate.priority] = OrderedDict()
            insort(self._priorities, -candidate.priority)
        lane[candidate] = None

    def remove(self, candidate: T) -> None:
        """Take a consumer out of the rotation; does nothing when it is not in it."""
        if candidate.in_rotation:
            self._take_out(candidate, self._lanes[candidate.priority])

    def next(self) -> T | None:
        """Return the next consumer that can take a message, and put it behind the others; ``None``: none can."""
        while self._priorities:
            lane = self._lanes[-self._priorities[0]]
            candidate = next(iter(lane))
            if candidate.can_take():
                lane.move_to_end(candidate)
                return candidate
            self._take_out(candidate, lane)
        return None

    def _take_out(self, candidate: T, lane: OrderedDict[T, None]) -> None:
        candidate.in_rotation = False
        del lane[candidate]
        if not lane:
            del self._lanes[candidate.priority]
            del self._priorities[bisect_left(self._priorities, -candidate.priority)]
