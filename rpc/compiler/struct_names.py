"""Refuses names of structs and of their fields that make broken stubs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from rpc.compiler.name_rules import STRUCT_ATTRIBUTES, clashes, name_in, never, not_global, refuse
from rpc.compiler.source import Source

_EXCEPTION_FIELDS: Final = frozenset({"args", "with_traceback", "add_note"})
"""Names in Python's exceptions."""

_IMMUTABLE_FIELDS: Final = frozenset(
    {"cls", "iprot", "fname", "ftype", "fid", "TType", "TTransport", "TFrozenDict", "sys"}
    | {"isinstance", "range", "set", "super"}
)
"""Names in ``read`` and ``__init__`` of an immutable struct, where fields are local variables."""

_TEMPORARY: Final = re.compile(r"_(?:size|etype|ktype|vtype|i|elem|key|val)\d+")
"""Local variables of ``read`` for containers."""


def check_structs(source: Source, package: str, definitions: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield a refusal for each struct, union, exception and field with a name that breaks the stubs.

    :param package: the Python package of the stubs, below the output's root.
    :param definitions: as :meth:`rpc.compiler.idl_xml.Programs.definitions` returns them.
    """
    helpers = {
        f"{method['name']}_{suffix}": method["name"]
        for service in definitions["services"].values()
        for method in service["methods"]
        for suffix in ("args", "result")
    }
    for key, struct in definitions["structs"].items():
        name = name_in(key)
        why = not_global(name)
        if not why and name in helpers:
            why = f"the stub's class for {helpers[name]} has this name"
        if not why and name.startswith("__"):
            why = "Python changes a name that begins with __ inside of a class"
        if why:
            yield refuse(source, struct["kind"], name, why)
        yield from _fields(source, struct, name, {name_in(used) for used in _used(struct, package)})


def _used(struct: dict[str, Any], package: str) -> Iterator[str]:
    """Yield the keys of the structs in the types of a struct's fields that its module knows by their bare names."""
    pending = [field["type"] for field in struct["fields"]]
    while pending:
        kind = pending.pop()
        if isinstance(kind, dict):
            ((constructor, content),) = kind.items()
            if constructor == "struct":
                yield from [content] if content.rpartition(".")[0] == package else []
            elif constructor != "enum":
                pending += content if isinstance(content, list) else [content]


def _is_immutable(struct: dict[str, Any]) -> bool:
    """Return whether the generated class is immutable: exceptions are, and other structs by an annotation."""
    return bool(struct["annotations"].get("python.immutable", str(struct["kind"] == "exception").lower()) != "false")


def _fields(source: Source, struct: dict[str, Any], owner: str, used: set[str]) -> Iterator[str]:
    siblings = {field["name"] for field in struct["fields"]}
    variables = _IMMUTABLE_FIELDS | {owner} | used if _is_immutable(struct) else frozenset()
    for field in struct["fields"]:
        name = field["name"]
        why = never(name) or clashes(name, siblings)
        if not why and (name in STRUCT_ATTRIBUTES | variables or (variables and _TEMPORARY.fullmatch(name))):
            why = "the stub's class uses this name itself"
        if not why and struct["kind"] == "exception" and name in _EXCEPTION_FIELDS:
            why = "Python's exceptions use this name themselves"
        if why:
            yield refuse(source, "field", name, why, f"{struct['kind']} {owner}")
