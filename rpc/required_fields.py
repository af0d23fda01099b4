"""Checks the ``required`` fields, which Thrift's accelerated decoders do not check.

Only ``validate()`` of a generated struct knows its required fields, and it ignores inner structs. So a check is made
for each type once. Most types contain no required field, and need none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TType

Check = Callable[[Any], None]
"""Raises ``TProtocolException`` when a required field of a value, or of a struct inside it, is unset."""


@cache
def required_fields_check(struct: type) -> Check | None:
    """Return the check for values of the generated class `struct`; ``None`` when no field in it is required."""
    return _struct_check(struct) if _contains_required(struct, set()) else None


def _contains_required(struct: type, seen: set[type]) -> bool:
    if struct in seen:
        return False
    seen.add(struct)
    return _requires(struct) or any(_contains_required(inner, seen) for inner in _structs_in(struct))


def _requires(struct: type) -> bool:
    """Whether the struct itself has a required field, with a default or without."""
    unset = {field[2]: None for field in _fields(struct)}
    try:
        struct.validate(struct(**unset))  # type: ignore[attr-defined]  # a field may be called validate
    except TProtocolException:
        return True
    return False


def _structs_in(struct: type) -> list[type]:
    found: list[type] = []

    def visit(ttype: int, arguments: Any) -> None:
        if ttype == TType.STRUCT:
            found.append(arguments[0])
        elif ttype in (TType.LIST, TType.SET):
            visit(arguments[0], arguments[1])
        elif ttype == TType.MAP:
            visit(arguments[0], arguments[1])
            visit(arguments[2], arguments[3])

    for field in _fields(struct):
        visit(field[1], field[3])
    return found


def _fields(struct: type) -> list[tuple[Any, ...]]:
    return [field for field in getattr(struct, "thrift_spec", None) or () if field is not None]


def _struct_check(struct: type) -> Check:
    validate = struct.validate  # type: ignore[attr-defined]

    def check(value: Any) -> None:
        validate(value)
        for name, check_field in members():
            field = getattr(value, name)
            if field is not None:
                check_field(field)

    @cache  # on first use: a struct may contain itself
    def members() -> list[tuple[str, Check]]:
        checks = [(field[2], _value_check(field[1], field[3])) for field in _fields(struct)]
        return [(name, check) for name, check in checks if check is not None]

    return check


def _value_check(ttype: int, arguments: Any) -> Check | None:
    if ttype == TType.STRUCT:
        return required_fields_check(arguments[0])
    if ttype in (TType.LIST, TType.SET):
        return _each(_value_check(arguments[0], arguments[1]))
    if ttype == TType.MAP:
        return _items(_value_check(arguments[0], arguments[1]), _value_check(arguments[2], arguments[3]))
    return None


def _each(check: Check | None) -> Check | None:
    if check is None:
        return None

    def check_each(values: Any) -> None:
        for value in values:
            check(value)

    return check_each


def _items(check_key: Check | None, check_value: Check | None) -> Check | None:
    keys, values = _each(check_key), _each(check_value)
    if keys is None and values is None:
        return None

    def check_items(mapping: Any) -> None:
        if keys is not None:
            keys(mapping.keys())
        if values is not None:
            values(mapping.values())

    return check_items
