"""Replies of calls that have run, so that a request that comes again is answered and not run again.

The option ``deduplicate`` asks for this. Redelivered requests are looked up without it (``last_replies.py``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from rpc.worker.last_replies import Answered
from rpc.worker.service import Deduplicate

ENTRY_SIZE = 200
"""Bytes that an entry takes beside its reply."""


class RecentReplies:
    """The last replies of a service, bounded in number, bytes and time. Time is an argument."""

    __slots__ = ("_answered", "_bounds", "_size")

    def __init__(self, bounds: Deduplicate) -> None:
        self._bounds = bounds
        self._answered: OrderedDict[Hashable, Answered] = OrderedDict()
        self._size = 0

    def add(self, identity: Hashable, body: bytes | None, now: float, cancelled: bool = False) -> None:
        """Note how the call `identity` was answered. Without an identity it cannot be found again."""
        if identity is None:
            return
        if body is not None and len(body) + ENTRY_SIZE > self._bounds.size:
            body = None  # it would push all others out
        self._forget(identity)
        self._answered[identity] = Answered(body, now + self._bounds.seconds, cancelled)
        self._size += _size(body)
        while self._answered and self._is_over(now):
            self._forget(next(iter(self._answered)))

    def find(self, identity: Hashable, now: float) -> Answered | None:
        """Return how the call `identity` was answered, or ``None``."""
        found = self._answered.get(identity)
        return found if found is not None and found.until > now else None

    def _is_over(self, now: float) -> bool:
        bounds, answered = self._bounds, self._answered
        if len(answered) > bounds.count or self._size > bounds.size:
            return True
        return answered[next(iter(answered))].until <= now

    def _forget(self, identity: Hashable) -> None:
        known = self._answered.pop(identity, None)
        if known is not None:
            self._size -= _size(known.body)

    def __len__(self) -> int:
        return len(self._answered)


def _size(body: bytes | None) -> int:
    return ENTRY_SIZE + len(body or b"")
