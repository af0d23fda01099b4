"""Values from Thrift's JSON: Python's compiled ``json`` parses it, then one walk over the specification checks it.

A JSON object is a tuple of pairs here, and an array is a list. So a key that is repeated is not lost, and an empty
object costs nothing.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from json import JSONDecoder
from math import isinf
from typing import Any, Final
from uuid import UUID

from thrift.Thrift import TType

from rpc.envelope.described_fields import described_fields
from rpc.envelope.json_types import BITS, INFINITY, MINUS_INFINITY, NAN, TAGS
from rpc.envelope.limits import CONTAINER_LIMIT, NESTING_LIMIT, NUMBER_LIMIT
from rpc.frozen import FrozenDict
from rpc.frozen_reader import check_hashes
from rpc.generated_classes import INNER

Read = Callable[[Any], Any]
"""Returns a value of a base type from parsed JSON; raises ``ValueError`` or another error when it does not fit."""

ReadInner = Callable[[Any, int], Any]
"""The same for structs and containers. The number is that of the structs around it."""

_KNOWN_TAGS: Final = frozenset(TAGS.values())

_FIELD_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,4})")

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

_match_base64: Final = re.compile(r"[A-Za-z0-9+/]*").fullmatch
"""Finds other characters, which ``a2b_base64`` skips."""

_NOT_FINITE: Final = {text: float(text) for text in (NAN, INFINITY, MINUS_INFINITY)}

_structs: dict[type, ReadInner] = {}
"""The readers of structs, each made once."""


def _whole(text: str) -> int | float:
    """Return a number without fraction. ``-0`` is a double: Thrift writes -0.0 so, and an int has no such zero."""
    if len(text) > NUMBER_LIMIT:
        raise ValueError(f"a number of {len(text)} digits; at most {NUMBER_LIMIT} are allowed")
    return int(text) or (-0.0 if text[0] == "-" else 0)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON; Thrift writes it in quotation marks")


parser: Final = JSONDecoder(
    object_pairs_hook=tuple,
    parse_int=_whole,
    parse_constant=_no_constant,
    strict=False,  # Thrift for Python does not escape control characters
)


def struct_reader(struct_class: type) -> ReadInner:
    """Return the reader of a generated struct."""
    known = _structs.get(struct_class)
    if known is not None:
        return known
    fields: dict[str, _Field] = {}
    described = described_fields(struct_class)

    def read(pairs: Any, depth: int) -> Any:
        if type(pairs) is not tuple:
            raise ValueError(f"{_shown(pairs)} is no struct")
        depth += 1
        if depth > NESTING_LIMIT:
            raise ValueError(f"more than {NESTING_LIMIT} structs are in one another")
        values = {}
        for number, field in pairs:
            if type(field) is not tuple:
                raise ValueError(f"field {number[:20]} is no object of a type and a value")
            ((tag, value),) = field
            expected, name, read_base, read_inner = fields.get(number) or _skipped(number)
            if tag == expected:
                values[name] = read_base(value) if read_inner is None else read_inner(value, depth)
            elif tag not in _KNOWN_TAGS:
                raise ValueError(f"{_shown(tag)} is no type of Thrift")
        return struct_class(**values)

    _structs[struct_class] = read  # before its fields are known: a struct may contain itself
    try:
        for number, ttype, name, details, *_ in described:
            base, inner = _base_reader(ttype, details), _inner_reader(ttype, details)
            fields[str(number)] = (TAGS.get(ttype, ""), name, base, inner)
    except BaseException:
        del _structs[struct_class]  # otherwise the next use would read a part of the fields
        raise
    return read


_Field = tuple[str, str, Read, ReadInner | None]
"""A field's type, its name, and its reader: the second one if there is one."""


def _skipped(number: str) -> _Field:
    """Return an entry for a field of another version of the IDL. No type fits it, so it is skipped."""
    if _FIELD_NUMBER.fullmatch(number) is None:
        raise ValueError(f"{_shown(number)} is no field number")
    return "", "", _unknown, None


def _base_reader(ttype: int, details: Any) -> Read:
    if ttype in BITS:
        return _integer(BITS[ttype])
    if ttype == TType.STRING:
        return _binary if details == "BINARY" else _string
    return _BASE.get(ttype, _unknown)


def _inner_reader(ttype: int, details: Any) -> ReadInner | None:
    """Return the reader of a struct or container; ``None`` for base types."""
    if ttype == TType.STRUCT:
        return struct_reader(details[0])
    if ttype == TType.LIST:
        return _elements(details, tuple if details[2] else list)
    if ttype == TType.SET:
        make: Callable[[Any], Any] = frozenset if details[2] else set
        return _elements(details, _checked(make) if details[0] in INNER else make)
    if ttype == TType.MAP:
        return _map(*details)
    return None


# -- base types


def _shown(value: Any) -> str:
    """Return a value for an error message, cut; of an array or object its kind."""
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, (tuple, list)):
        return "an object" if isinstance(value, tuple) else "an array"
    return repr(value)[:40]


def _integer(bits: int) -> Read:
    least, most = -(1 << bits - 1), (1 << bits - 1) - 1

    def read(value: Any) -> int:
        if type(value) is int and least <= value <= most:
            return value
        raise ValueError(f"{_shown(value)} is no i{bits}")

    return read


def _bool(value: Any) -> bool:
    if type(value) is int and 0 <= value <= 1:
        return value == 1
    raise ValueError(f"{_shown(value)} is no bool, which is 1 or 0")


def _double(value: Any) -> float:
    if type(value) is float and not isinf(value):
        return value
    if type(value) is int:
        return float(value)
    if type(value) is str and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    raise ValueError(f"{_shown(value)} is no double")


def _string(value: Any) -> str:
    if type(value) is str:
        return value
    raise ValueError(f"{_shown(value)} is no string")


def _binary(value: Any) -> bytes:
    if type(value) is not str:
        raise ValueError(f"{_shown(value)} is no base64")
    size = len(value)
    if size % 4 == 0 and _match_base64(value) is not None:
        return a2b_base64(value)
    # Thrift's C++ and Java leave the padding out. The last group alone may be written in several ways.
    last = (size - 1) // 4 * 4 if size else 0
    data = a2b_base64(value[last:] + "=" * (-size % 4))
    encoded = b2a_base64(data, newline=False).decode()
    if _match_base64(value, 0, last) is None or value[last:] not in (encoded, encoded.rstrip("=")):
        raise ValueError(f"{_shown(value)} is no base64")
    return a2b_base64(value + "=" * (-size % 4))


def _uuid(value: Any) -> UUID:
    read = UUID(value)
    if str(read) != value.lower():
        raise ValueError(f"{_shown(value)} is no UUID")
    return read


def _unknown(value: Any) -> Any:
    raise ValueError("the field has a type that JSON does not know")


_BASE: dict[int, Read] = {TType.BOOL: _bool, TType.DOUBLE: _double, TType.UUID: _uuid}


# -- containers


def _check_size(size: Any, found: int) -> None:
    if type(size) is not int or size != found:
        raise ValueError(f"a container of {found} elements says that it has {_shown(size)}")
    if size > CONTAINER_LIMIT:
        raise ValueError(f"a container of {size} elements; at most {CONTAINER_LIMIT} are allowed")


def _elements(details: Any, container: Callable[[Any], Any]) -> ReadInner:
    ttype, inner, *_ = details
    expected, read_base, read_inner = TAGS.get(ttype, ""), _base_reader(ttype, inner), _inner_reader(ttype, inner)

    def read(value: Any, depth: int) -> Any:
        if type(value) is not list:
            raise ValueError(f"{_shown(value)} is no list or set")
        tag, size, *elements = value
        _check_size(size, len(elements))
        if elements and tag != expected:
            raise ValueError(f"a container of {_shown(tag)} instead of {expected}")
        if read_inner is None:
            return container(map(read_base, elements))
        return container([read_inner(element, depth) for element in elements])

    return read


def _checked(make: Callable[[Any], Any]) -> Callable[[list[Any]], Any]:
    """Return a function that makes a set of structs or containers: a peer may have chosen some of one hash."""

    def make_checked(elements: list[Any]) -> Any:
        check_hashes(elements)
        return make(elements)

    return make_checked


def _map(key_type: int, key_details: Any, value_type: int, value_details: Any, immutable: bool) -> ReadInner:
    expected = [TAGS.get(key_type, ""), TAGS.get(value_type, "")]
    read_key, read_base = _key_reader(key_type, key_details), _base_reader(value_type, value_details)
    read_inner = _inner_reader(value_type, value_details)

    def read(value: Any, depth: int) -> Any:
        if type(value) is not list:
            raise ValueError(f"{_shown(value)} is no map")
        key_tag, value_tag, size, pairs = value
        if type(pairs) is not tuple:
            raise ValueError("a map without an object of its keys and values")
        _check_size(size, len(pairs))
        if pairs and [key_tag, value_tag] != expected:
            raise ValueError(f"a map of {_shown(key_tag)} and {_shown(value_tag)} instead of {' and '.join(expected)}")
        if read_inner is None:
            found = {read_key(key): read_base(item) for key, item in pairs}
        else:
            found = {read_key(key): read_inner(item, depth) for key, item in pairs}
        return FrozenDict(found) if immutable else found

    return read


def _key_reader(ttype: int, details: Any) -> Read:
    """Return the reader of keys, which are strings in JSON."""
    if ttype in INNER:
        return _unknown
    read = _base_reader(ttype, details)
    if ttype == TType.BOOL or ttype in BITS:
        return lambda key: read(_whole_key(key))
    if ttype == TType.DOUBLE:
        return lambda key: read(float(key) if _NUMBER.fullmatch(key) else key)
    return read


def _whole_key(key: str) -> int:
    number = int(key[:NUMBER_LIMIT])
    if int.__repr__(number) != key:  # int() also takes blanks, signs, underscores and other scripts' digits
        raise ValueError(f"{_shown(key)} is no whole number")
    return number
