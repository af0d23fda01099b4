"""The messages that wait in a queue, in order: by priority, then by when they came. Pure: no queue, no clock."""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from rpc.broker.message import Message

if TYPE_CHECKING:
    from rpc.broker.consumer import Consumer
    from rpc.broker.queue import Queue

FEW: Final = 16
"""So many are put to their places one by one, and more by going through all."""

_by_position = attrgetter("position")


class Entry:
    """One message in one queue, from its arrival until it is settled.

    :ivar position: its place in the queue: a number that only grows.
    :ivar expires: when it is too old, by the broker's clock; ``None``: never.
    :ivar delivery_count: how often it came back without being settled.
    :ivar consumer: who has it; ``None`` while it waits, or was got by ``basic.get``.
    """

    __slots__ = ("consumer", "delivery_count", "expires", "message", "position", "queue", "redelivered")

    def __init__(self, queue: Queue, message: Message, position: int, expires: float | None) -> None:
        self.queue = queue
        self.message = message
        self.position = position
        self.expires = expires
        self.redelivered = False
        self.delivery_count = 0
        self.consumer: Consumer | None = None


class ReadyMessages:
    """Entries in the order in which they are delivered.

    :ivar count: how many there are.
    :ivar size: bytes of their bodies.
    """

    __slots__ = ("_lanes", "count", "size")

    def __init__(self, priorities: int) -> None:
        """:param priorities: the highest priority that is told from others; 0: none is."""
        self.count = 0
        self.size = 0
        # The highest priority first. Most are never used, and cost nothing then.
        self._lanes: list[deque[Entry] | None] = [None] * (priorities + 1)

    def _lane(self, entry: Entry) -> deque[Entry]:
        number = max(0, len(self._lanes) - 1 - entry.message.priority)
        lane = self._lanes[number]
        if lane is None:
            lane = self._lanes[number] = deque()
        return lane

    def append(self, entry: Entry) -> None:
        """Add one that has just come."""
        self.count += 1
        self.size += len(entry.message.body)
        self._lane(entry).append(entry)

    def requeue(self, entries: Iterable[Entry]) -> None:
        """Add some that were here before, each to its old place."""
        by_lane: dict[int, list[Entry]] = {}
        for entry in entries:
            self.count += 1
            self.size += len(entry.message.body)
            by_lane.setdefault(id(self._lane(entry)), []).append(entry)
        for returned in by_lane.values():
            returned.sort(key=_by_position)
            lane = self._lane(returned[0])
            if not lane or returned[-1].position < lane[0].position:
                lane.extendleft(reversed(returned))
            elif len(returned) <= FEW:
                for entry in returned:
                    lane.insert(bisect(lane, entry.position, key=_by_position), entry)
            else:
                merged = [*merge(lane, returned, key=_by_position)]
                lane.clear()
                lane.extend(merged)

    def first(self) -> Entry | None:
        """Return the next one."""
        for lane in self._lanes:
            if lane:
                return lane[0]
        return None

    def pop(self) -> Entry:
        """Take out the next one; there must be one."""
        for lane in self._lanes:
            if lane:
                entry = lane.popleft()
                self.count -= 1
                self.size -= len(entry.message.body)
                return entry
        raise IndexError("nothing waits")

    def clear(self) -> list[Entry]:
        """Take out all."""
        entries = [*self]
        self._lanes = [None] * len(self._lanes)
        self.count = self.size = 0
        return entries

    def __iter__(self) -> Iterator[Entry]:
        for lane in self._lanes:
            yield from lane or ()
