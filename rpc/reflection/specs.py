"""The ``thrift_spec`` of a class, from the fields of its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from thrift.Thrift import TType

from rpc.idl import BaseType, EnumType, Field, ListType, MapType, SetType, StructType, Type, python_name

Entry = tuple[Any, ...]
"""Number, ``TType``, name, details of the type, default."""

_BASE: Final = {
    "bool": (TType.BOOL, None),
    "i8": (TType.BYTE, None),
    "i16": (TType.I16, None),
    "i32": (TType.I32, None),
    "i64": (TType.I64, None),
    "double": (TType.DOUBLE, None),
    "string": (TType.STRING, "UTF8"),
    "binary": (TType.STRING, "BINARY"),
    "uuid": (TType.UUID, None),
}


def spec_length(fields: Sequence[Field]) -> int:
    """Return how many entries the ``thrift_spec`` of the fields has."""
    numbers = [field.id for field in fields]
    return max(max(numbers, default=-1) + 1, 0) + max(-min(numbers, default=0), 0)


def make_spec(
    fields: Sequence[Field], defaults: Mapping[str, Callable[[], Any]], struct_class: Callable[[str], type]
) -> tuple[Entry | None, ...]:
    """Return the ``thrift_spec`` of the fields. An entry's index is its number, a negative one from the end.

    :param defaults: makes the default of a field, by the field's name in Python.
    :param struct_class: returns the class of a struct, by its key.
    """
    spec: list[Entry | None] = [None] * spec_length(fields)
    for field in fields:
        name = python_name(field.name)
        ttype, details = type_entry(field.type, struct_class)
        default = defaults[name]() if name in defaults else None
        spec[field.id] = (field.id, ttype, name, details, default)
    return tuple(spec)


def type_entry(kind: Type, struct_class: Callable[[str], type]) -> tuple[int, Any]:
    """Return the ``TType`` and the details of a type. Thrift's ``fix_spec`` completes the details of structs."""
    match kind:
        case BaseType(name):
            return _BASE[name]
        case EnumType():
            return TType.I32, None
        case ListType(element):
            return TType.LIST, (*type_entry(element, struct_class), False)
        case SetType(element):
            return TType.SET, (*type_entry(element, struct_class), False)
        case MapType(key, value):
            return TType.MAP, (*type_entry(key, struct_class), *type_entry(value, struct_class), False)
        case StructType(name):
            return TType.STRUCT, [struct_class(name), None]
