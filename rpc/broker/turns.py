"""Whose turn it is: the consumers of a queue that can take messages. Pure but for what a consumer says of its room."""

from __future__ import annotations

from collections import deque
from typing import Protocol, TypeVar


class Taker(Protocol):
    """A consumer, as far as its turn hangs on it."""

    priority: int
    queued: bool

    def has_room(self) -> bool:
        """Whether it can be given another message now."""


T = TypeVar("T", bound=Taker)


class Turns(list[deque[T]]):
    """Consumers in turn, those of a higher priority (RabbitMQ extension: consumer priorities) before all others.

    Who is found to have no room is dropped, with ``queued`` set to False, and comes again by :meth:`add`.
    """

    def add(self, taker: T) -> None:
        """Let a consumer have its turn after the others of its priority."""
        taker.queued = True
        for place, lane in enumerate(self):
            if lane[0].priority == taker.priority:
                lane.append(taker)
                return
            if lane[0].priority < taker.priority:
                self.insert(place, deque([taker]))
                return
        self.append(deque([taker]))

    def drop(self, taker: T) -> None:
        """Let a consumer have no more turns. One that has none is no error."""
        if not taker.queued:
            return
        taker.queued = False
        for place, lane in enumerate(self):
            if taker in lane:
                lane.remove(taker)
                if not lane:
                    del self[place]
                return

    def next(self) -> T | None:
        """Return the consumer whose turn it is, and have it wait for its next one; ``None``: nobody has room."""
        while self:
            lane = self[0]
            taker = lane[0]
            if taker.has_room():
                if len(lane) > 1:
                    lane.rotate(-1)
                return taker
            lane.popleft()
            taker.queued = False
            if not lane:
                del self[0]
        return None
