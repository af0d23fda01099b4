"""Replies of calls that have run, so that a request that comes again is answered and not run again.

With the option ``deduplicate`` every request is looked up. Without it only redelivered requests and copies are: a
worker whose channel is lost does not know which of its last acks the broker has taken.
"""

from __future__ import annotations

from collections.abc import Hashable

import attrs

from rpc.worker.service import Deduplicate

ENTRY_SIZE = 200
"""Bytes that an entry takes beside its reply."""


@attrs.frozen
class Answered:
    """A call that was run.

    :ivar body: its reply; ``None`` when there was none to send, or it is not kept.
    :ivar until: seconds of the clock until which the entry is kept.
    :ivar cancelled: whether its handler was cancelled, so that a further attempt of the caller runs.
    """

    body: bytes | None
    until: float
    cancelled: bool = False


_Entry = tuple[bytes | None, float, bool]
"""The fields of :class:`Answered`: a tuple is cheaper to make, and every call makes one."""


class RecentReplies:
    """The last replies of a service, bounded in number, bytes and time. Time is an argument."""

    __slots__ = ("_answered", "_bounds", "_size", "_unacked")

    def __init__(self, bounds: Deduplicate) -> None:
        self._bounds = bounds
        self._answered: dict[Hashable, _Entry] = {}
        self._unacked: dict[Hashable, _Entry] = {}
        self._size = 0

    def add(self, identity: Hashable, body: bytes | None, now: float, cancelled: bool = False) -> None:
        """Note how the call `identity` was answered. Without an identity it cannot be found again."""
        if identity is None:
            return
        bounds, answered = self._bounds, self._answered
        if body is not None and len(body) + ENTRY_SIZE > bounds.size:
            body = None  # it would displace all others
        known = answered.pop(identity, None)
        if known is not None:
            self._size -= len(known[0] or b"")
        answered[identity] = (body, now + bounds.seconds, cancelled)
        if self._unacked:
            self._unacked.pop(identity, None)
        self._size += len(body or b"")
        while answered and (
            len(answered) > bounds.count
            or self._size + len(answered) * ENTRY_SIZE > bounds.size
            or answered[next(iter(answered))][1] <= now
        ):
            self._size -= len(answered.pop(next(iter(answered)))[0] or b"")

    def find(self, identity: Hashable, now: float) -> Answered | None:
        """Return how the call `identity` was answered, or ``None``."""
        found = self._answered.get(identity) or self._unacked.get(identity)
        return Answered(*found) if found is not None and found[1] > now else None

    def keep_unacked(self, count: int, now: float) -> None:
        """Keep the last `count` entries apart for their time: the broker may not have taken their acks.

        A redelivery can come minutes later, from the end of a long queue, when newer calls have displaced them.
        """
        self._unacked = {identity: entry for identity, entry in self._unacked.items() if entry[1] > now}
        for identity in list(self._answered)[-count:]:
            self._unacked.pop(identity, None)  # the newest stand last
            self._unacked[identity] = self._answered[identity]
        size = sum(len(body or b"") + ENTRY_SIZE for body, _, _ in self._unacked.values())
        while len(self._unacked) > max(count, self._bounds.count) or size > self._bounds.size:
            body, _, _ = self._unacked.pop(next(iter(self._unacked)))
            size -= len(body or b"") + ENTRY_SIZE

    def clear(self) -> None:
        """Forget everything."""
        self._answered.clear()
        self._unacked.clear()
        self._size = 0

    def __len__(self) -> int:
        return len(self._answered.keys() | self._unacked.keys())
