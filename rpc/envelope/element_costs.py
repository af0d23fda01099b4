"""The cost of decoding a value, by its type: the unit is an element, of 40 bytes and 0.4 microseconds at most.

The numbers were measured with ``tools/decoding`` on Python 3.11. They are bounds, so most values cost less.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from thrift.Thrift import TType

from rpc.envelope.described_fields import described_fields
from rpc.envelope.json_types import BITS
from rpc.generated_classes import INNER

NUMBER: Final = 1
TEXT: Final = 3
"""Of a string, beside its bytes: an empty one takes 49 bytes, and one with U+FFFD is decoded twice."""

UUID: Final = 4
"""Python makes it from its bytes or text, and keeps an object with a number of 128 bits."""

BYTES: Final = 40
"""Bytes in Python's memory that count as an element."""

CONTAINER: Final = 6
STRUCT: Final = 8
"""Beside its fields. Each has a place in the object, even when it was not sent."""

NUMBER_IN_PYTHON: Final = 5
TEXT_IN_PYTHON: Final = 6
UUID_IN_PYTHON: Final = 8
CONTAINER_IN_PYTHON: Final = 10
STRUCT_IN_PYTHON: Final = 12

HASHED: Final = 5
"""Of each value in a set or key, once for each set or key around it: the values in it are hashed anew for each."""

DEEPEST_HASHED: Final = 64

COMPARED: Final = 1 / 256
"""Of each pair of keys without a keyed hash. A peer can choose numbers for which a ``dict`` is searched long: Python
does not key their hashes. 87,000 keys took 4 s, and 16,000 take the default limit.
"""

COMPARED_IN_SET: Final = 1 / 2048
"""A ``set`` of numbers searches neighbours first (``LINEAR_PROBES`` of CPython), so fewer numbers can be chosen so."""

COMPARED_UUIDS: Final = 1 / 4
"""UUIDs can be chosen to have one hash, and are then compared by a function in Python."""

PER_BYTE_OF_KEYS: Final = 60
"""Elements of one byte of a message with such keys: 16 KB of them, the default limit, take 50 ms."""

_TYPES: Final = (*INNER, *BITS, TType.BOOL, TType.DOUBLE, TType.STRING, TType.UUID)

_KEYED: Final = (TType.STRING, TType.STRUCT, TType.BOOL)
"""Types whose hashes a peer cannot choose, and the type with two values."""


class Cost:
    """The cost of the values of one type.

    :ivar ttype: the type, as ``TType``.
    :ivar each: elements of a value without the values inside it.
    :ivar fields: of a struct, by number.
    :ivar key: of a map.
    :ivar item: the elements of a list or set, the values of a map.
    :ivar text: whether it is a ``string``, which may take four bytes a character.
    :ivar compared: elements of a pair of keys.
    :ivar hashed: elements of each value in a key.
    """

    __slots__ = ("compared", "each", "fields", "hashed", "item", "key", "text", "ttype")

    def __init__(self, ttype: int, each: int, text: bool = False) -> None:
        self.ttype = ttype
        self.each = each
        self.text = text
        self.compared = 0.0
        self.hashed = 0
        self.fields: dict[int, Cost] = {}
        self.key = self.item = self  # of an unknown container: no element has its type, or the same cost


class MessageCost:
    """The cost of messages with one struct.

    :ivar struct: the cost of the struct.
    :ivar unknown: the cost of a value of a type, for fields that the struct does not have; they are skipped.
    :ivar per_byte: elements of one byte, at most. A message with few bytes needs no count.
    """

    __slots__ = ("per_byte", "struct", "unknown")

    def __init__(self, struct: Cost, unknown: dict[int, Cost], per_byte: int) -> None:
        self.struct = struct
        self.unknown = unknown
        self.per_byte = per_byte


@cache
def message_cost(struct_class: type, in_python: bool) -> MessageCost:
    """Return the cost of messages with a generated struct.

    :param in_python: whether Thrift's C extension does not read it.
    """
    builder = _Builder(in_python)
    struct = builder.struct(struct_class)
    per_byte = max(cost.each for cost in (*builder.structs.values(), *builder.unknown.values()))
    if builder.has_keys:
        per_byte = max(per_byte, PER_BYTE_OF_KEYS)
    if builder.has_hashed:
        per_byte += HASHED * DEEPEST_HASHED
    return MessageCost(struct, builder.unknown, per_byte)


class _Builder:
    """Makes the costs of a class and of all that is in it.

    :ivar structs: those made, by class: a struct may contain itself.
    :ivar has_hashed: whether values in sets and keys are hashed in Python.
    :ivar has_keys: whether a peer can choose the hashes of elements of sets, or of keys.
    """

    def __init__(self, in_python: bool) -> None:
        self._in_python = in_python
        self._number = NUMBER_IN_PYTHON if in_python else NUMBER
        self._uuid = UUID_IN_PYTHON if in_python else UUID
        self._text = TEXT_IN_PYTHON if in_python else TEXT
        self._container = CONTAINER_IN_PYTHON if in_python else CONTAINER
        self._struct = STRUCT_IN_PYTHON if in_python else STRUCT
        self.structs: dict[type, Cost] = {}
        self.has_keys = False
        self.has_hashed = False
        self.unknown = {ttype: self._unknown(ttype) for ttype in _TYPES}

    def struct(self, struct_class: type) -> Cost:
        """Return the cost of a generated class."""
        cost = self.structs.get(struct_class)
        if cost is None:
            fields = described_fields(struct_class)
            cost = self.structs[struct_class] = Cost(TType.STRUCT, self._struct + len(fields))
            for number, ttype, _, details, *default in fields:
                cost.fields[number] = self._cost(ttype, details)
                cost.each += sum(map(_of_default, default))
        return cost

    def _cost(self, ttype: int, details: Any) -> Cost:
        if ttype == TType.STRUCT:
            return self.struct(details[0])
        if ttype == TType.STRING:
            return Cost(ttype, self._text, details != "BINARY")
        if ttype not in INNER:
            return Cost(ttype, self._uuid if ttype == TType.UUID else self._number)
        cost = Cost(ttype, self._container)
        cost.key = self._cost(details[0], details[1])
        cost.item = self._cost(details[2], details[3]) if ttype == TType.MAP else cost.key
        if ttype != TType.LIST:
            if self._in_python or cost.key.ttype in INNER:
                cost.hashed = HASHED
                self.has_hashed = True
            cost.compared = _compared(ttype, cost.key.ttype)
            self.has_keys = self.has_keys or cost.compared > 0
        return cost

    def _unknown(self, ttype: int) -> Cost:
        if ttype == TType.STRUCT:
            return Cost(ttype, self._struct)
        if ttype == TType.STRING:
            return Cost(ttype, self._text)
        return Cost(ttype, self._container if ttype in INNER else self._number)


def _of_default(value: Any) -> int:
    """Return the elements in the default value of a field: each struct gets its own."""
    if isinstance(value, dict):
        return CONTAINER + sum(_of_default(key) + _of_default(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return CONTAINER + sum(map(_of_default, value))
    if hasattr(value, "thrift_spec"):
        return STRUCT + sum(map(_of_default, vars(value).values()))
    return 0 if value is None else NUMBER


def _compared(ttype: int, key_type: int) -> float:
    """Return the elements of each pair of keys of a map or set. Those of containers are looked up in a dict, too: see
    :func:`rpc.frozen_reader.check_hashes`.
    """
    if key_type in _KEYED:
        return 0.0
    if key_type == TType.UUID:
        return COMPARED_UUIDS
    return COMPARED if ttype == TType.MAP or key_type in INNER else COMPARED_IN_SET
