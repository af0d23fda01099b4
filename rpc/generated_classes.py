"""What a class that the Thrift compiler made for a struct tells of itself."""

from __future__ import annotations

from typing import Any, Final

from thrift.Thrift import TType

INNER: Final = frozenset((TType.STRUCT, TType.LIST, TType.SET, TType.MAP))
"""Types with values inside."""

TYPE_NAMES: Final[dict[int, str]] = {}
"""Thrift's types as the IDL writes them."""

for _name, _value in vars(TType).items():
    if isinstance(_value, int):
        TYPE_NAMES.setdefault(_value, _name.lower())


def is_immutable(struct: type) -> bool:
    """Return whether a generated class is an exception, or a struct annotated ``python.immutable``.

    The ``read`` of such a class is a class method that returns an instance.
    """
    return hasattr(struct.read, "__self__")  # type: ignore[attr-defined]


def fields_of(struct: type) -> list[tuple[Any, ...]]:
    """Return the fields of a generated class: number, ``TType``, name, details of the type, default."""
    return [field for field in getattr(struct, "thrift_spec", None) or () if field is not None]


def types_in(struct: type) -> list[tuple[int, Any]]:
    """Return the structs and base types in a struct's fields and their containers: ``TType`` and details."""
    found: list[tuple[int, Any]] = []

    def visit(ttype: int, details: Any) -> None:
        if ttype in (TType.LIST, TType.SET):
            visit(details[0], details[1])
        elif ttype == TType.MAP:
            visit(details[0], details[1])
            visit(details[2], details[3])
        else:
            found.append((ttype, details))

    for field in fields_of(struct):
        visit(field[1], field[3])
    return found
