"""Counts the elements of binary messages (Thrift specification, "Thrift Binary protocol encoding")."""

from __future__ import annotations

import re
from struct import Struct
from typing import Final

from thrift.Thrift import TType

from rpc.envelope.element_costs import Cost
from rpc.envelope.skim import SIZES, Skim

_NUMBERS: Final = re.compile(
    rb"(?:[\x02\x03].{3}|\x06.{4}|\x08.{6}|[\x04\x0a].{10}|\x10.{18}){0,256}",
    re.DOTALL,
)
"""Fields of a fixed size, one after another: type, number, value. ``re`` skips them; the bound is for its memory."""

_MEAN_FIELD: Final = 7
"""Bytes of such a field, of an i32."""

_field_number = Struct("!h")
_length = Struct("!i")
_list_head = Struct("!bi")
_map_head = Struct("!bbi")


class BinarySkim(Skim):
    """Counts the elements of one message in the binary protocol."""

    def _struct(self, cost: Cost, at: int, hashed: int) -> int:
        self._take(cost.each + hashed)
        body, fields, unknown = self._body, cost.fields, self._unknown
        while True:
            end = _NUMBERS.match(body, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if end != at:
                self._take(-((at - end) // _MEAN_FIELD) * (unknown[TType.I32].each + hashed))
                at = end
            ttype = body[at]
            if ttype == TType.STOP:
                return at + 1
            if ttype in SIZES:
                if end + 3 + SIZES[ttype] > self._size:
                    raise EOFError("a field ends after the message")
                continue
            (number,) = _field_number.unpack_from(body, at + 1)
            field = fields.get(number)
            if field is None or field.ttype != ttype:
                field = unknown[ttype]
            at = self._value(ttype, field, at + 3, hashed)

    def _value(self, ttype: int, cost: Cost, at: int, hashed: int) -> int:
        if ttype == TType.STRUCT:
            return self._struct(cost, at, hashed)
        body = self._body
        if ttype == TType.STRING:
            return self._text(cost, at + 4, _length.unpack_from(body, at)[0], hashed)
        self._take(cost.each + hashed)
        if ttype == TType.MAP:
            key_type, item_type, count = _map_head.unpack_from(body, at)
            return self._pairs(key_type, item_type, count, cost, at + 6, hashed)
        element_type, count = _list_head.unpack_from(body, at)
        at += 5
        self._check_count(at, count)
        self._keys(cost, count)
        return self._elements(element_type, cost.key, count, at, hashed + cost.hashed) if count else at

    def _elements(self, ttype: int, expected: Cost, count: int, at: int, hashed: int) -> int:
        """Count the elements of a list or set."""
        cost = self._of_type(ttype, expected)
        size = SIZES.get(ttype)
        if size is not None:
            end = at + count * size
            if end > self._size:
                raise EOFError("a container ends after the message")
            self._take(count * (cost.each + hashed))
            return end
        for _ in range(count):
            at = self._value(ttype, cost, at, hashed)
        return at

    def _pairs(self, key_type: int, item_type: int, count: int, cost: Cost, at: int, hashed: int) -> int:
        """Count the keys and values of a map."""
        self._check_count(at, count)
        if not count:
            return at
        self._keys(cost, count)
        key, item = self._of_type(key_type, cost.key), self._of_type(item_type, cost.item)
        key_size, item_size = SIZES.get(key_type), SIZES.get(item_type)
        hashed_key = hashed + cost.hashed
        if key_size is not None and item_size is not None:
            end = at + count * (key_size + item_size)
            if end > self._size:
                raise EOFError("a map ends after the message")
            self._take(count * (key.each + hashed_key + item.each + hashed))
            return end
        for _ in range(count):
            at = self._one(key_type, key_size, key, at, hashed_key)
            at = self._one(item_type, item_size, item, at, hashed)
        return at

    def _one(self, ttype: int, size: int | None, cost: Cost, at: int, hashed: int) -> int:
        if size is None:
            return self._value(ttype, cost, at, hashed)
        self._take(cost.each + hashed)
        return at + size
