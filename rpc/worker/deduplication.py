"""What a worker remembers of recent calls, so that one that is sent again is not run again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs

from rpc.worker.service import Deduplicate

Item = TypeVar("Item")

ENTRY_SIZE = 200
"""Bytes that an entry takes beside its reply."""


@attrs.frozen
class Answered:
    """A call that was run.

    :ivar body: its reply; ``None`` when there was none to send.
    """

    body: bytes | None
    until: float


class RecentReplies(Generic[Item]):
    """Calls in progress, and the replies of those before them. Time is an argument."""

    def __init__(self, bounds: Deduplicate) -> None:
        self._bounds = bounds
        self._running: dict[Hashable, list[Item]] = {}  # the first is the one that is run
        self._answered: OrderedDict[Hashable, Answered] = OrderedDict()
        self._size = 0

    def begin(self, key: Hashable, item: Item, now: float) -> bool | Answered:
        """Ask whether the call `key` is to be run, for `item`.

        :return: ``True`` when nobody has; it is in progress now, and to be ended by :meth:`end`. ``False`` when it is
            in progress: `item` is what :meth:`end` will return. Or how it was answered.
        """
        answered = self._answered.get(key)
        if answered is not None and answered.until > now:
            return answered
        if key in self._running:
            self._running[key].append(item)
            return False
        self._running[key] = [item]
        return True

    def in_progress(self, key: Hashable) -> Item:
        """Return the item for which the call `key` is being run."""
        return self._running[key][0]

    def end(self, key: Hashable, body: bytes | None, now: float, *, keep: bool = True) -> list[Item]:
        """Note the reply of a call that was run.

        :param keep: whether to answer from it later.
        :return: the items of those who asked meanwhile.
        """
        joined = self._running.pop(key)[1:]
        if keep:
            self._forget(key)
            self._answered[key] = Answered(body, now + self._bounds.seconds)
            self._size += _size(body)
        self._shrink(now)
        return joined

    def knows(self, key: Hashable, now: float) -> bool:
        """Whether the call `key` is in progress, or was answered."""
        answered = self._answered.get(key)
        return key in self._running or (answered is not None and answered.until > now)

    def _shrink(self, now: float) -> None:
        bounds, answered = self._bounds, self._answered
        while answered:
            key = next(iter(answered))
            if len(answered) <= bounds.count and self._size <= bounds.size and answered[key].until > now:
                return
            self._forget(key)

    def _forget(self, key: Hashable) -> None:
        answered = self._answered.pop(key, None)
        if answered is not None:
            self._size -= _size(answered.body)

    def __len__(self) -> int:
        return len(self._answered) + len(self._running)


def _size(body: bytes | None) -> int:
    return ENTRY_SIZE + len(body or b"")
