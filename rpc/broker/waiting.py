"""The messages that wait in a queue, in order: by priority, then by when they came. Pure: no queue, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING

from rpc.broker.message import Message

if TYPE_CHECKING:
    from rpc.broker.consumer import Consumer
    from rpc.broker.queue import Queue

_by_position = attrgetter("position")


class Entry:
    """One message in one queue, from its arrival until it is settled.

    :ivar position: its place in the queue: a number that only grows.
    :ivar expires: when it is too old, by the broker's clock; ``None``: never.
    :ivar returns: how often it came back without being settled.
    :ivar consumer: who has it; ``None`` while it waits, or was got by ``basic.get``.
    """

    __slots__ = ("consumer", "expires", "message", "position", "queue", "redelivered", "returns")

    def __init__(self, queue: Queue, message: Message, position: int, expires: float | None) -> None:
        self.queue = queue
        self.message = message
        self.position = position
        self.expires = expires
        self.redelivered = False
        self.returns = 0
        self.consumer: Consumer | None = None


class Waiting:
    """Entries in the order in which they are delivered.

    :ivar count: how many there are.
    :ivar size: bytes of their bodies.
    """

    __slots__ = ("_lanes", "count", "size")

    def __init__(self, priorities: int) -> None:
        """:param priorities: the highest priority that is told from others; 0: none is."""
        self.count = 0
        self.size = 0
        self._lanes: list[deque[Entry]] = [deque() for _ in range(priorities + 1)]  # the highest priority first

    def _lane(self, entry: Entry) -> deque[Entry]:
        return self._lanes[max(0, len(self._lanes) - 1 - entry.message.priority)]

    def append(self, entry: Entry) -> None:
        """Add one that has just come."""
        self.count += 1
        self.size += len(entry.message.body)
        (self._lanes[0] if len(self._lanes) == 1 else self._lane(entry)).append(entry)

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Add some that were here before, each to its old place."""
        lanes: dict[int, list[Entry]] = {}
        for entry in entries:
            self.count += 1
            self.size += len(entry.message.body)
            lanes.setdefault(len(self._lanes) - 1 - min(entry.message.priority, len(self._lanes) - 1), []).append(entry)
        for number, returned in lanes.items():
            returned.sort(key=_by_position)
            lane = self._lanes[number]
            if not lane or returned[-1].position < lane[0].position:
                lane.extendleft(reversed(returned))
            else:
                self._lanes[number] = deque(merge(lane, returned, key=_by_position))

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
        for lane in self._lanes:
            lane.clear()
        self.count = self.size = 0
        return entries

    def __iter__(self) -> Iterator[Entry]:
        for lane in self._lanes:
            yield from lane
