"""Values of generated structs for hypothesis, made from what the Thrift compiler wrote down of their types."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from hypothesis import strategies as st
from thrift.Thrift import TType

import generated

_BASE: dict[int, st.SearchStrategy[Any]] = {
    TType.BOOL: st.booleans(),
    TType.BYTE: st.integers(-(2**7), 2**7 - 1),
    TType.I16: st.integers(-(2**15), 2**15 - 1),
    TType.I32: st.integers(-(2**31), 2**31 - 1),
    TType.I64: st.integers(-(2**63), 2**63 - 1),
    TType.DOUBLE: st.floats(allow_nan=False),
}


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


def structs(struct: type) -> st.SearchStrategy[Any]:
    """Values of the generated class `struct`; any of its fields may be unset that has no default to be read instead."""
    fields = [field for field in struct.thrift_spec if field is not None]  # type: ignore[attr-defined]
    values = {field[2]: _values(field[1], field[3]) for field in fields}
    optional = {field[2]: st.none() | values[field[2]] for field in fields if field[4] is None}
    return st.builds(struct, **(values | optional))


def _values(ttype: int, arguments: Any) -> st.SearchStrategy[Any]:
    if ttype == TType.STRUCT:
        return structs(arguments[0])
    if ttype == TType.STRING:
        return st.binary(max_size=40) if arguments == "BINARY" else st.text(max_size=40)
    if ttype == TType.LIST:
        return st.lists(_values(arguments[0], arguments[1]), max_size=5)
    if ttype == TType.SET:
        return st.sets(_values(arguments[0], arguments[1]), max_size=5)
    if ttype == TType.MAP:
        return st.dictionaries(_values(arguments[0], arguments[1]), _values(arguments[2], arguments[3]), max_size=5)
    return _BASE[ttype]
