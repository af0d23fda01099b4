"""Counts the elements of messages in JSON: before it is parsed by its characters, and then by the types of the struct.

Python's parser makes objects of all that is there, also of fields that the struct does not have.
"""

from __future__ import annotations

import re
from typing import Any, Final

from thrift.Thrift import TType

from rpc.envelope.element_costs import BYTES, Cost, MessageCost
from rpc.envelope.skim import FOUR_BYTES
from rpc.errors import TooManyElements
from rpc.generated_classes import INNER

_TEXT: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
"""A string. Its content is no JSON."""

_TWO_BYTES: Final = re.compile(rb"[\xc4-\xef]")
"""Finds a character that makes Python take two bytes for each of its text (PEP 393)."""

_LATER_BYTES: Final = bytes(range(128, 192))
"""The bytes of a character but the first one, in UTF-8."""


def parsing_elements(body: bytes, most: int) -> int:
    """Return the cost of parsing a message, in elements; more than `most` when it is not worth a closer look."""
    texts = _text_elements(body)
    found = _tokens(body)
    if texts + found <= most:
        return texts + found
    quotes = body.count(b'"') - body.count(b'\\"')
    if texts + quotes // 2 > most:
        return texts + quotes // 2
    return texts + _tokens(_TEXT.sub(b'""', body))


def _tokens(body: bytes) -> int:
    """Return the cost of the values and objects in a message; characters of its texts may be among them."""
    containers = body.count(b"[") + body.count(b"{")
    return 2 * containers + body.count(b",") + body.count(b":") + body.count(b'"') // 4


def _text_elements(body: bytes) -> int:
    """Return the cost of the message as text, and of the texts that are parsed from it."""
    width, characters = 1, len(body)
    if not body.isascii():
        width = 4 if FOUR_BYTES.search(body) else 2 if _TWO_BYTES.search(body) else 1
        characters = len(body.translate(None, _LATER_BYTES))
    escaped = width
    elements = 0
    if b"\\u" in body:
        escaped = max(2, width)
        if b"\\ud" in body or b"\\uD" in body:  # surrogates, which are checked one by one
            escaped = 4
            elements = body.count(b"\\")
    return elements + (width + escaped) * characters // BYTES


class JSONSkim:
    """Counts the elements of one parsed message, up to a limit.

    :param cost: the cost of its struct.
    :param most: elements, at most.
    :param left: those of them that parsing has not used.
    """

    def __init__(self, cost: MessageCost, most: int, left: int) -> None:
        self._struct_cost = cost.struct
        self._most = most
        self._left = left

    def check(self, parsed: Any) -> None:
        """Count the elements of the struct. A value of another form than its type is left to the reader, to refuse.

        :raises TooManyElements: there are more than the limit.
        """
        self._count(self._struct_cost, parsed, 0)

    def _count(self, cost: Cost, value: Any, hashed: int) -> None:
        """:param hashed: elements that each value costs more, because it is in sets or keys."""
        self._take(cost.each + hashed)
        if cost.ttype == TType.STRUCT and type(value) is tuple:
            self._fields(cost.fields, value, hashed)
        elif cost.ttype == TType.MAP and type(value) is list and type(value[-1]) is tuple:
            self._keys(cost, len(value[-1]))
            for key, item in value[-1]:
                self._count(cost.key, key, hashed + cost.hashed)
                self._count(cost.item, item, hashed)
        elif cost.ttype in (TType.LIST, TType.SET) and type(value) is list:
            count = max(0, len(value) - 2)  # beside type and size; one without them is refused by the reader
            self._keys(cost, count)
            hashed += cost.hashed
            if cost.key.ttype in INNER:
                for element in value[2:]:
                    self._count(cost.key, element, hashed)
            else:
                self._take(count * (cost.key.each + hashed))

    def _fields(self, fields: dict[int, Cost], pairs: Any, hashed: int) -> None:
        for number, field in pairs:
            cost = fields.get(int(number))
            if cost is not None and type(field) is tuple:
                for _, value in field:
                    self._count(cost, value, hashed)

    def _keys(self, cost: Cost, count: int) -> None:
        """Count the cost of comparing `count` elements of a set, or keys, with one another."""
        self._take(int(count * count * cost.compared))

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooManyElements(self._most)
