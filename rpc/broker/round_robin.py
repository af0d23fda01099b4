"""Round-robin over the consumers of a queue that can take a message. Pure, but for a consumer's own answer."""

from __future__ import annotations

from collections import deque
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
    """

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        self._lanes: list[deque[T]] = []  # one a priority, the highest first; none is empty

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def add(self, candidate: T) -> None:
        """Put a consumer behind the others of its priority."""
        candidate.in_rotation = True
        for place, lane in enumerate(self._lanes):
            if lane[0].priority == candidate.priority:
                lane.append(candidate)
                return
            if lane[0].priority < candidate.priority:
                self._lanes.insert(place, deque([candidate]))
                return
        self._lanes.append(deque([candidate]))

    def remove(self, candidate: T) -> None:
        """Take a consumer out of the rotation; does nothing when it is not in it."""
        if not candidate.in_rotation:
            return
        candidate.in_rotation = False
        for place, lane in enumerate(self._lanes):
            if candidate in lane:
                lane.remove(candidate)
                if not lane:
                    del self._lanes[place]
                return

    def next(self) -> T | None:
        """Return the next consumer that can take a message, and put it behind the others; ``None``: none can."""
        while self._lanes:
            lane = self._lanes[0]
            candidate = lane[0]
            if candidate.can_take():
                if len(lane) > 1:
                    lane.rotate(-1)
                return candidate
            lane.popleft()
            candidate.in_rotation = False
            if not lane:
                del self._lanes[0]
        return None
