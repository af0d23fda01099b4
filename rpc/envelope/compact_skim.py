"""Counts the elements of compact messages (Thrift specification, "Thrift Compact protocol encoding")."""

from __future__ import annotations

import re
from typing import Final

from thrift.Thrift import TType

from rpc.envelope.element_costs import Cost
from rpc.envelope.skim import SIZES, Skim

_TYPES: Final = {
    1: TType.BOOL,
    2: TType.BOOL,
    3: TType.BYTE,
    4: TType.I16,
    5: TType.I32,
    6: TType.I64,
    7: TType.DOUBLE,
    8: TType.STRING,
    9: TType.LIST,
    10: TType.SET,
    11: TType.MAP,
    12: TType.STRUCT,
    13: TType.UUID,
}
"""The types by their numbers in the compact protocol."""

_FIELD_SIZES: Final = {TType.BOOL: 0, TType.BYTE: 1, TType.DOUBLE: 8, TType.UUID: 16}
"""Bytes of the value of a field. That of a ``bool`` is in the field's type."""

_VARINTS: Final = frozenset((TType.I16, TType.I32, TType.I64))

_VARINT: Final = re.compile(rb"[\x80-\xff]{0,9}[\x00-\x7f]")

_LONGEST: Final = 10
"""Bytes of a varint."""

_CONTINUED: Final = bytes(range(128, 256))
"""The bytes of a varint but the last one."""


class CompactSkim(Skim):
    """Counts the elements of one message in the compact protocol."""

    def _varint(self, at: int) -> tuple[int, int]:
        """Return an unsigned number, and where it ends."""
        byte = self._body[at]
        if byte < 128:
            return byte, at + 1
        number = shift = 0
        end = self._after_varint(at)
        for place in range(at, end):
            number |= (self._body[place] & 127) << shift
            shift += 7
        return number, end

    def _after_varint(self, at: int) -> int:
        if self._body[at] < 128:
            return at + 1
        found = _VARINT.match(self._body, at)
        if found is None:
            raise ValueError("a varint is too long, or ends after the message")
        return found.end()

    def _after_varints(self, at: int, count: int) -> int:
        """Return where `count` varints end. Each chunk holds as many whole ones as it has last bytes."""
        most = at + count * _LONGEST
        while count:
            chunk = self._body[at : at + count]
            at += len(chunk)
            count -= len(chunk.translate(None, _CONTINUED))
            if not chunk or at > most:
                raise ValueError("a varint is too long, or ends after the message")
        return at

    def _struct(self, cost: Cost, at: int, hashed: int) -> int:
        self._take(cost.each + hashed)
        body, fields, unknown = self._body, cost.fields, self._unknown
        number = 0
        while True:
            head = body[at]
            at += 1
            if head & 15 == TType.STOP:
                return at
            if head > 15:
                number += head >> 4
            else:
                zigzag = body[at]
                at += 1
                if zigzag > 127:
                    zigzag, at = self._varint(at - 1)
                    zigzag &= 0xFFFF
                number = zigzag >> 1 ^ -(zigzag & 1)
            if number > 32767:  # an i16, as the decoder has it
                number -= 65536
            ttype = _TYPES[head & 15]
            field = fields.get(number)
            if field is None or field.ttype != ttype:
                field = unknown[ttype]
            size = _FIELD_SIZES.get(ttype)
            if size is not None:
                self._take(field.each + hashed)
                at += size
            else:
                at = self._value(ttype, field, at, hashed)

    def _value(self, ttype: int, cost: Cost, at: int, hashed: int) -> int:
        if ttype == TType.STRUCT:
            return self._struct(cost, at, hashed)
        if ttype == TType.STRING:
            length, at = self._varint(at)
            return self._text(cost, at, length, hashed)
        self._take(cost.each + hashed)
        if ttype in _VARINTS:
            return self._after_varint(at)
        if ttype == TType.MAP:
            return self._pairs(cost, at, hashed)
        if ttype in SIZES:
            return at + SIZES[ttype]
        head = self._body[at]
        count = head >> 4
        at += 1
        if count == 15:
            count, at = self._varint(at)
        self._check_count(at, count)
        self._keys(cost, count)
        return self._elements(_TYPES[head & 15], cost.key, count, at, hashed + cost.hashed) if count else at

    def _elements(self, ttype: int, expected: Cost, count: int, at: int, hashed: int) -> int:
        """Count the elements of a list or set."""
        cost = self._of_type(ttype, expected)
        size = SIZES.get(ttype)
        if size is not None:
            self._take(count * (cost.each + hashed))
            if ttype in _VARINTS:
                return self._after_varints(at, count)
            return at + count * size
        for _ in range(count):
            at = self._value(ttype, cost, at, hashed)
        return at

    def _pairs(self, cost: Cost, at: int, hashed: int) -> int:
        """Count the keys and values of a map."""
        count, at = self._varint(at)
        if not count:
            return at
        head = self._body[at]
        at += 1
        self._check_count(at, count)
        self._keys(cost, count)
        key_type, item_type = _TYPES[head >> 4], _TYPES[head & 15]
        key, item = self._of_type(key_type, cost.key), self._of_type(item_type, cost.item)
        hashed_key = hashed + cost.hashed
        for _ in range(count):
            at = self._value(key_type, key, at, hashed_key)
            at = self._value(item_type, item, at, hashed)
        return at
