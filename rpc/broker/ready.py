"""The ready messages of a queue, in the order of delivery: by priority, then by position. Pure: no queue, no clock."""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from rpc.broker.message import Message

if TYPE_CHECKING:
    from rpc.broker.consumer import Consumer
    from rpc.broker.queue import Queue

FEW: Final = 16
"""Requeued messages that are inserted one by one. More are sorted in, with the part of the queue that they go to."""

SPARSE: Final = 500
"""Messages in that part for each requeued one, from which on those are inserted one by one all the same."""

_by_position = attrgetter("position")


class Entry:
    """One message in one queue, from its arrival until it is settled.

    :ivar position: its position in the queue, a number that only grows.
    :ivar expires: the time on the broker's clock at which it expires; ``None``: never.
    :ivar delivery_count: how often it was requeued.
    :ivar consumer: its consumer while it is unacked; ``None`` after ``basic.get``.
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
        """:param priorities: the highest priority; higher ones count as this one. 0: no priorities."""
        self.count = 0
        self.size = 0
        # the highest priority first; most lanes stay unused
        self._lanes: list[deque[Entry] | None] = [None] * (priorities + 1)

    def _lane(self, entry: Entry) -> deque[Entry]:
        number = max(0, len(self._lanes) - 1 - entry.message.priority)
        lane = self._lanes[number]
        if lane is None:
            lane = self._lanes[number] = deque()
        return lane

    def append(self, entry: Entry) -> None:
        """Add a new message."""
        self.count += 1
        self.size += len(entry.message.body)
        self._lane(entry).append(entry)

    def requeue(self, entries: Iterable[Entry]) -> None:
        """Put requeued messages back at their old positions (RabbitMQ: "Consumer Acknowledgements", Negative Acks)."""
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
            else:
                _sort_in(lane, returned)

    def first(self) -> Entry | None:
        """Return the next entry, or ``None``."""
        for lane in self._lanes:
            if lane:
                return lane[0]
        return None

    def pop(self) -> Entry:
        """Take out the next entry; there must be one."""
        for lane in self._lanes:
            if lane:
                entry = lane.popleft()
                self.count -= 1
                self.size -= len(entry.message.body)
                return entry
        raise IndexError("no message is ready")

    def clear(self) -> Iterator[Entry]:
        """Take out all, and return them."""
        lanes = [lane for lane in self._lanes if lane]
        self._lanes = [None] * len(self._lanes)
        self.count = self.size = 0
        return (lane.popleft() for lane in lanes for _ in range(len(lane)))  # each is free as soon as it is used

    def __iter__(self) -> Iterator[Entry]:
        for lane in self._lanes:
            yield from lane or ()


def _sort_in(lane: deque[Entry], returned: list[Entry]) -> None:
    """Put requeued messages, which are sorted, to their places among those that are ready.

    The effort is that of the part of the lane between the first and the last of them. Rotating a deque moves blocks
    of memory, so the length of the lane matters little.
    """
    start = bisect(lane, returned[0].position, key=_by_position)
    between = bisect(lane, returned[-1].position, key=_by_position) - start
    if len(returned) <= FEW or between > SPARSE * len(returned):
        for entry in returned:
            lane.insert(bisect(lane, entry.position, key=_by_position), entry)
        return
    lane.rotate(-start)
    part = [lane.popleft() for _ in range(between)]
    lane.extendleft(sorted(part + returned, key=_by_position, reverse=True))
    lane.rotate(start)
