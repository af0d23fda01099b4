"""Fields, arguments and exceptions without a number above 0.

Thrift numbers them from -1 downwards, also where 0 or less is written (its IDL reference, "Field ID"), and its plain
protocols send them. The compiler leaves out the ``thrift_spec`` of such a struct, from which Thrift's accelerated
protocols would then read and write nothing. So it is written here; :func:`rpc.generated_structs.is_accelerated` tells
that the accelerated protocols do not know such numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rpc.compiler.hashed_types import Definitions, structs_in
from rpc.compiler.references import alias
from rpc.compiler.source import Source
from rpc.idl import python_name

COMPLETE: Final = "_idl_complete_spec"
"""The name of :func:`rpc.generated_structs.complete_spec` in generated modules."""

OF_THE_COMPILER: Final = re.compile(
    r"No field key specified for |Nonpositive value \(-?\d+\) not allowed as a field key"
)
"""The compiler's own warnings of such fields."""

_TTYPES: Final = {
    "bool": "BOOL",
    "i8": "BYTE",
    "i16": "I16",
    "i32": "I32",
    "i64": "I64",
    "double": "DOUBLE",
    "string": "STRING",
    "binary": "STRING",
    "uuid": "UUID",
    "enum": "I32",
    "struct": "STRUCT",
    "list": "LIST",
    "set": "SET",
    "map": "MAP",
}


def warnings(source: Source, definitions: Definitions) -> list[str]:
    """Return a warning for each field, argument and exception without a number, in one file."""
    return [
        f"{source.locate(*scope, field['name'])}: {noun} {field['name']} has no number above 0: Thrift gives it "
        f"{field['id']}, and another one when fields before it are added or removed; write <number>: before its type"
        for noun, field, scope in _unnumbered(definitions)
    ]


def _unnumbered(definitions: Definitions) -> Iterator[tuple[str, dict[str, Any], tuple[str, ...]]]:
    """Yield the noun, the field and its scope."""
    for key, struct in definitions["structs"].items():
        yield from _in("field", struct["fields"], f"{struct['kind']} {key.rpartition('.')[2]}")
    for key, service in definitions["services"].items():
        for method in service["methods"]:
            scope = f"service {key.rpartition('.')[2]}", f"{method['name']} ("
            yield from _in("argument", method["arguments"], *scope)
            yield from _in("exception", method["throws"], *scope, "throws")


def _in(
    noun: str, fields: Sequence[dict[str, Any]], *scope: str
) -> Iterator[tuple[str, dict[str, Any], tuple[str, ...]]]:
    yield from ((noun, field, scope) for field in fields if field["id"] <= 0)


def is_unnumbered(fields: Sequence[dict[str, Any]]) -> bool:
    """Return whether one of the fields has a number below 0; 0 is the number of a result."""
    return any(field["id"] < 0 for field in fields)


def write_spec(text: str, name: str, fields: Sequence[dict[str, Any]], package: str) -> tuple[str, set[str]]:
    """Return a module's text with the ``thrift_spec`` of a struct, and the modules that it uses.

    :param name: the name of the struct's class.
    :param package: the module's package.
    """
    entries = "".join(f"    {_entry(field, package)},\n" for field in sorted(fields, key=lambda field: field["id"]))
    spec = f"\n{name}.thrift_spec = {COMPLETE}(\n    {name},\n{entries})\n"
    text = text.replace(f"\n{name}.thrift_spec = ()\n", spec)
    used = {f"{key.rpartition('.')[0]}.ttypes" for key in structs_in(field["type"] for field in fields)}
    return text, used - {f"{package}.ttypes"}


def _entry(field: dict[str, Any], package: str) -> str:
    kind = field["type"]
    return f"({field['id']}, {_ttype(kind)}, {python_name(field['name'])!r}, {_details(kind, package)})"


def _ttype(kind: Any) -> str:
    return f"TType.{_TTYPES[kind if isinstance(kind, str) else next(iter(kind))]}"


def _details(kind: Any, package: str) -> str:
    """Return the details of a type, as the compiler writes them in a ``thrift_spec``."""
    if isinstance(kind, str):
        return {"string": "'UTF8'", "binary": "'BINARY'"}.get(kind, "None")
    ((constructor, content),) = kind.items()
    if constructor == "enum":
        return "None"
    if constructor == "struct":
        home, _, name = content.rpartition(".")
        prefix = "" if home == package else f"{alias(f'{home}.ttypes')}."
        return f"[{prefix}{python_name(name)}, None]"
    inner = content if isinstance(content, list) else [content]
    return f"({', '.join(f'{_ttype(part)}, {_details(part, package)}' for part in inner)}, False)"
