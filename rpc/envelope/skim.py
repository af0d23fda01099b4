"""Counts the elements of a message before it is decoded, in time proportional to their number or less.

Thrift's compiled decoder cannot be stopped, so a message is refused before it begins. Small messages cannot have too
many elements, and are not skimmed: see ``per_byte`` in ``element_costs.py``.
"""

from __future__ import annotations

import re
from typing import Final

from thrift.Thrift import TType

from rpc.envelope.codec import malformed
from rpc.envelope.element_costs import BYTES, Cost, MessageCost
from rpc.errors import TooManyElements

FOUR_BYTES: Final = re.compile(rb"[\xf0-\xf4]")
"""Finds bytes that may begin a character of four bytes."""

SIZES: Final = {
    TType.BOOL: 1,
    TType.BYTE: 1,
    TType.I16: 2,
    TType.I32: 4,
    TType.I64: 8,
    TType.DOUBLE: 8,
    TType.UUID: 16,
}
"""Bytes of a value in the binary protocol (Thrift specification, "Thrift Binary protocol encoding")."""


def check_elements(skim_class: type[Skim], body: bytes, start: int, cost: MessageCost, most: int) -> None:
    """Count the elements of a message whose struct begins at `start`.

    :raises TooManyElements: there are more than `most`.
    :raises MalformedMessage: the bytes are no struct.
    """
    try:
        skim_class(body, cost, most).check(start)
    except TooManyElements:
        raise
    except Exception as error:  # of reading past the end, of a type that is none, of too deep nesting
        raise malformed("struct", error) from error


class Skim:
    """Counts the elements of one message in binary or compact, up to a limit.

    :param body: the message.
    :param cost: the cost of its struct.
    :param most: elements, at most.
    """

    def __init__(self, body: bytes, cost: MessageCost, most: int) -> None:
        self._body = body
        self._size = len(body)
        self._cost = cost
        self._unknown = cost.unknown
        self._most = most
        self._left = most
        self._wide = FOUR_BYTES.search(body) is not None

    def check(self, start: int) -> None:
        """Count the elements of the struct that begins at `start`.

        :raises TooManyElements: there are more than the limit.
        :raises Exception: the bytes are no struct; of the classes of ``IndexError``, ``ValueError``, ``struct.error``.
        """
        self._struct(self._cost.struct, start, 0)

    def _struct(self, cost: Cost, at: int, hashed: int) -> int:
        """Count a struct, and return where it ends.

        :param hashed: elements that each value costs more, because it is in sets or keys.
        """
        raise NotImplementedError

    def _value(self, ttype: int, cost: Cost, at: int, hashed: int) -> int:
        """Count a string, struct or container, and return where it ends."""
        raise NotImplementedError

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooManyElements(self._most)

    def _text(self, cost: Cost, at: int, length: int, hashed: int) -> int:
        """Count a string of `length` bytes."""
        end = at + length
        if length < 0 or end > self._size:
            raise EOFError("a string ends after the message")
        width = 1
        if cost.text:  # as text in Python takes, whose characters are all of the width of the widest one (PEP 393)
            width = 4 if self._wide and FOUR_BYTES.search(self._body, at, end) is not None else 2
        self._take(cost.each + hashed + length * width // BYTES)
        return end

    def _keys(self, cost: Cost, count: int) -> None:
        """Count the cost of comparing `count` elements of a set, or keys, with one another."""
        if cost.compared:
            self._take(int(count * count * cost.compared))

    def _check_count(self, at: int, count: int) -> None:
        """Refuse a container with more elements than bytes are left: each takes at least one."""
        if count < 0 or at + count > self._size:
            raise EOFError("a container ends after the message")

    def _of_type(self, ttype: int, expected: Cost) -> Cost:
        """Return the cost of elements of a type that was sent: `expected`, if it is of that type."""
        if ttype == expected.ttype:
            return expected
        return self._unknown[ttype]
