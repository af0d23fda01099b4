"""The last calls that have run, for redelivered requests.

A worker whose channel is lost does not know which of its last acks the broker has read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Any, Final

import attrs

SECONDS = 300.0
"""How long a call is remembered. Its redelivery may come minutes later, from the end of a long queue."""

MOST_UNACKED = 10_000
"""Calls that are kept apart after losses of the channel."""

BYTES = 8 * 1024 * 1024
"""Replies that are kept, together. A larger share than one entry's is not kept; the call is."""


@attrs.frozen
class Answered:
    """A call that was run.

    :ivar body: its reply; ``None`` when there was none to send, or it is not kept.
    :ivar size: bytes of a reply that is too large to be kept; 0 for others.
    :ivar until: seconds of the clock until which the entry is kept.
    :ivar cancelled: whether its handler was cancelled, so that a further attempt of the caller runs.
    """

    body: bytes | None
    until: float
    cancelled: bool = False
    size: int = 0


CANCELLED: Final = object()
"""Instead of a reply: the handler was cancelled."""


class LastReplies:
    """The last calls of one service. Time is an argument.

    :ivar note: notes that a call has run. Its argument is a tuple: the message id (encoded, or ``None``), the request's
        body, and the reply, ``None`` or :data:`CANCELLED`. For a body over :attr:`largest` bytes give the ``hash()`` of
        a request, and the size of a reply. This is the deque's own method and keeps no object of ours: every call is
        noted, hardly any is looked up, and a tuple kept for each call cost one tenth of a call's time.
    :ivar largest: bytes.
    """

    __slots__ = ("_last", "_unacked", "largest", "note")

    def __init__(self, prefetch: int) -> None:
        """:param prefetch: of the service's consumers together: no more acks can be lost with a channel."""
        self._last: deque[Any] = deque(maxlen=3 * prefetch)
        self._unacked: dict[Hashable, Answered] = {}
        self.note = self._last.extend
        self.largest = BYTES // 2 // max(prefetch, MOST_UNACKED // 50)

    def find(self, identity: tuple[bytes, int] | None, now: float) -> Answered | None:
        """Return how the call `identity` was answered (see ``Request.identity``), or ``None``."""
        if identity is None:
            return None
        if identity[0] in self._last:  # a first look, which hashes no body
            for known, reply in self._newest_first():
                if known == identity:
                    return _answered(reply, now + SECONDS)
        found = self._unacked.get(identity)
        return found if found is not None and found.until > now else None

    def keep_unacked(self, now: float) -> None:
        """Keep the last calls apart, for :data:`SECONDS`: the channel is lost, and newer calls must not push them out.

        The oldest are dropped first: their replies beyond :data:`BYTES`, whole entries beyond :data:`MOST_UNACKED`.
        """
        kept: dict[Hashable, Answered] = {}
        size = 0
        found = [(known, _answered(reply, now + SECONDS)) for known, reply in self._newest_first()]
        for known, answered in [*found, *reversed(self._unacked.items())]:
            if known is None or known in kept or answered.until <= now or len(kept) == MOST_UNACKED:
                continue
            size += len(answered.body or b"")
            kept[known] = answered if size <= BYTES else attrs.evolve(answered, body=None)
        self._unacked = dict(reversed(kept.items()))
        self._last.clear()

    def _newest_first(self) -> Iterator[tuple[Hashable, Any]]:
        values = list(self._last)
        for place in range(len(values) - 3, -1, -3):
            message_id, body, reply = values[place : place + 3]
            yield (None if message_id is None else (message_id, _hash(body))), reply

    def __len__(self) -> int:
        return len(self._last) // 3 + len(self._unacked)


def _hash(body: bytes | int) -> int:
    return body if isinstance(body, int) else hash(body)


def _answered(reply: Any, until: float) -> Answered:
    if reply is CANCELLED:
        return Answered(None, until, cancelled=True)
    return Answered(None, until, size=reply) if isinstance(reply, int) else Answered(reply, until)
