"""Refuses fields and arguments without a number above 0; the Thrift compiler only warns of them.

It numbers them from -1 downwards, also where 0 or less is written (Thrift's IDL reference, "Field ID"). The Python
stubs leave them out of ``thrift_spec``. Thrift's accelerated protocols then do not send them, and every handler is
called with ``None``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rpc.compiler.source import Source
from rpc.errors import CompileError


def check(source: Source, definitions: dict[str, dict[str, Any]]) -> None:
    """Check the fields of all structs and methods of one file.

    :param definitions: as :meth:`rpc.compiler.idl_xml.Programs.definitions` returns them.
    :raises CompileError: some have no number above 0; the message has a line for each.
    """
    refusals = [
        f"{source.locate(*scope, name)}: {noun} {name}: has no number above 0, and would never be sent; write "
        "<number>: before its type"
        for noun, name, scope in _unnumbered(definitions)
    ]
    if refusals:
        raise CompileError("\n".join(refusals))


def _unnumbered(definitions: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the noun, the name and the scope of each field without a number above 0."""
    for key, struct in definitions["structs"].items():
        for field in struct["fields"]:
            if field["id"] <= 0:
                yield "field", field["name"], (f"{struct['kind']} {key.rpartition('.')[2]}",)
    for key, service in definitions["services"].items():
        for method in service["methods"]:
            scope = f"service {key.rpartition('.')[2]}", f"{method['name']} ("
            for argument in method["arguments"]:
                if argument["id"] <= 0:
                    yield "argument", argument["name"], scope
            for error in method["throws"]:
                if error["id"] <= 0:
                    yield "exception", error["name"], (*scope, "throws")
