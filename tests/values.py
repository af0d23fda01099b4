"""Values of generated structs for hypothesis, made from the types in the Thrift compiler's output."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

from hypothesis import strategies as st
from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TType

import generated
from rpc import idl

_BASE: dict[int, st.SearchStrategy[Any]] = {
    TType.BOOL: st.booleans(),
    TType.BYTE: st.integers(-(2**7), 2**7 - 1),
    TType.I16: st.integers(-(2**15), 2**15 - 1),
    TType.I32: st.integers(-(2**31), 2**31 - 1),
    TType.I64: st.integers(-(2**63), 2**63 - 1),
    TType.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),  # Thrift for Python writes no JSON of them
}

MOST_NESTED = 2
"""How often a struct that holds itself may do so."""


def generated_modules() -> list[ModuleType]:
    """Every module under ``generated/``."""
    found = pkgutil.walk_packages(generated.__path__, "generated.")
    return [importlib.import_module(module.name) for module in found]


def generated_structs() -> list[type]:
    """Every struct, exception, arguments and result under ``generated/``."""
    return [
        value
        for module in generated_modules()
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "thrift_spec")
    ]


def fields_of(struct: type) -> list[tuple[Any, ...]]:
    """The fields of the generated class `struct`: number, ``TType``, name, details of the type, default."""
    return [field for field in struct.thrift_spec if field is not None]  # type: ignore[attr-defined]


def structs(struct: type, *, sound: bool = False, outer: tuple[type, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of the generated class `struct`.

    Any of its fields may be unset that has no default to be read instead. Of `sound` values, any may be unset that is
    not ``required``, and a union has one field. Thrift's own code and ours both send such values.

    :param outer: the structs that this one is in.
    """
    fields = fields_of(struct)
    values = {field[2]: field_values(field, sound=sound, outer=(*outer, struct)) for field in fields}
    if sound and idl.is_union(struct):
        return st.one_of(*(st.builds(struct, **{name: value}) for name, value in values.items()))
    if sound:
        optional = [field[2] for field in fields if field[2] not in _required(struct)]
    else:
        optional = [field[2] for field in fields if field[4] is None]
    return st.builds(struct, **(values | {name: st.none() | values[name] for name in optional}))


def field_values(field: tuple[Any, ...], *, sound: bool, outer: tuple[type, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of a field of a generated class."""
    return _values(field[1], field[3], sound, outer)


def _values(ttype: int, details: Any, sound: bool, outer: tuple[type, ...]) -> st.SearchStrategy[Any]:
    if ttype == TType.STRUCT:
        nested = outer.count(details[0])
        return structs(details[0], sound=sound, outer=outer) if nested < MOST_NESTED else st.nothing()
    if ttype == TType.STRING:
        return st.binary(max_size=40) if details == "BINARY" else st.text(max_size=40)
    if ttype not in (TType.LIST, TType.SET, TType.MAP):
        return _BASE[ttype]
    items = _values(details[0], details[1], sound, outer)
    values = _values(details[2], details[3], sound, outer) if ttype == TType.MAP else items
    most = 0 if items.is_empty or values.is_empty else 5
    if ttype == TType.MAP:
        return st.dictionaries(items, values, max_size=most)
    return (st.lists if ttype == TType.LIST else st.sets)(items, max_size=most)


@cache
def _required(struct: type) -> frozenset[str]:
    """The names of the ``required`` fields: those whose absence ``validate()`` minds. Nothing else knows them."""
    names = {field[2] for field in fields_of(struct)}

    def lacks(name: str) -> bool:
        fields: dict[str, Any] = {other: None if other == name else True for other in names}
        try:
            struct(**fields).validate()
        except TProtocolException:
            return True
        return False

    return frozenset(filter(lacks, names))
