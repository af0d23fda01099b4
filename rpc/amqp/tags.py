"""A set of delivery tags that costs memory by its gaps, not by its tags.

Delivery tags ascend by one (AMQP 0-9-1, section 1.1, delivery-tag). Behind one request that does not end, all others
settle: their tags are a few runs without gaps, however many tags there are.
"""

from __future__ import annotations

from collections.abc import Iterable


class TagRuns:
    """Tags as runs: each run is known by its first and by its last tag.

    :ivar last_of: the last tag of each run by its first tag; to be read only. It is looked at once a call, where a
        method would cost more than the look.
    """

    __slots__ = ("_first_of", "last_of")

    def __init__(self) -> None:
        self.last_of: dict[int, int] = {}
        self._first_of: dict[int, int] = {}  # by the last tag of a run

    def update(self, tags: Iterable[int]) -> None:
        """Add `tags`, none of which may be in the set."""
        last_of, first_of = self.last_of, self._first_of
        for tag in tags:
            first = first_of.pop(tag - 1, tag)
            last = last_of.pop(tag + 1, tag)
            last_of[first] = last
            first_of[last] = first

    def take_run(self, first: int) -> int:
        """Remove the run that begins with `first`, which must exist, and return its last tag."""
        last = self.last_of.pop(first)
        del self._first_of[last]
        return last

    def __len__(self) -> int:
        """The number of runs."""
        return len(self.last_of)
