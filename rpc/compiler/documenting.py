"""The doc comments of an IDL as docstrings of the generated modules.

The Thrift compiler pastes doc comments into docstrings without escaping them, so it never sees one: it compiles a copy
of the file without comments (:meth:`rpc.compiler.driver.ThriftCompiler.make_stubs`). They are written here, escaped,
where and as the compiler would write them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from rpc.compiler.docstrings import escaped
from rpc.compiler.hashed_types import Definitions, helper_structs
from rpc.idl import python_name

_LISTED: Final = re.compile(r"^( *- )(\w+)$")
"""A line of the compiler's docstring: a field or a parameter."""


@attrs.frozen
class _Doc:
    """The doc comments of a class or function, and those of its fields or arguments by name."""

    text: str = ""
    members: Mapping[str, str] = attrs.field(factory=dict)


_Docs = dict[tuple[str, ...], _Doc]
"""By the name of the class, or those of a class and its function."""


def document(text: str, module: str, definitions: Definitions) -> str:
    """Return the text of a generated module with the doc comments of its definitions.

    :param module: its name below the output's root.
    :raises SyntaxError: the text is not Python.
    """
    docs = {path: doc for path, doc in _docs(module, definitions) if doc.text or doc.members}
    if not docs:
        return text
    lines = text.split("\n")
    for first, last, new in sorted(_edits(lines, ast.parse(text), docs), reverse=True):
        lines[first:last] = new
    return "\n".join(lines)


def _docs(module: str, definitions: Definitions) -> Iterator[tuple[tuple[str, ...], _Doc]]:
    package, _, name = module.rpartition(".")
    if name == "ttypes":
        for section in ("structs", "enums"):
            for key, item in definitions[section].items():
                if key.rpartition(".")[0] == package:
                    yield (python_name(key.rpartition(".")[2]),), _Doc(item["doc"], _members(item.get("fields", ())))
    elif module in definitions["services"]:
        service = definitions["services"][module]
        for helper, fields in helper_structs(service):
            yield (helper,), _Doc(members=_members(fields))
        for face in ("Iface", "Client"):
            yield (face,), _Doc(service["doc"])
            for method in service["methods"]:
                yield (face, python_name(method["name"])), _Doc(method["doc"], _members(method["arguments"]))


def _members(fields: Iterable[dict[str, Any]]) -> dict[str, str]:
    docs = {field["name"]: field.get("doc", "") for field in fields}
    docs.update({python_name(name): doc for name, doc in docs.items()})
    return {name: doc for name, doc in docs.items() if doc}


def _edits(lines: list[str], tree: ast.Module, docs: _Docs) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the lines to replace: the first and the one after the last, from 0, and the new ones."""
    for cls in tree.body:
        if isinstance(cls, ast.ClassDef):
            nodes: list[tuple[tuple[str, ...], ast.ClassDef | ast.FunctionDef]] = [((cls.name,), cls)]
            nodes += [((cls.name, node.name), node) for node in cls.body if isinstance(node, ast.FunctionDef)]
            for path, node in nodes:
                if path in docs:
                    yield _edit(lines, node, docs[path])


def _edit(lines: list[str], node: ast.ClassDef | ast.FunctionDef, doc: _Doc) -> tuple[int, int, list[str]]:
    first = node.body[0]
    start = min([first.lineno, *(item.lineno for item in getattr(first, "decorator_list", ()))]) - 1
    blank = " " * first.col_offset
    comment = [f"{blank}{line}".rstrip() for line in escaped(doc.text).split("\n")] if doc.text else []
    if ast.get_docstring(node, clean=False) is None:
        return start, start, [f'{blank}"""', *comment, "", f'{blank}"""'] if comment else []
    end = first.end_lineno or first.lineno
    members = [line for row in lines[start + 1 : end - 1] for line in _member(row, doc.members, blank)]
    return start, end, [lines[start], *comment, *([""] if comment else []), *members, lines[end - 1]]


def _member(row: str, members: Mapping[str, str], blank: str) -> list[str]:
    """Return a line of the compiler's docstring with the doc comment of the field or parameter that it lists."""
    listed = _LISTED.match(row)
    if listed is None or listed[2] not in members:
        return [row]
    first, *others = escaped(members[listed[2]]).split("\n")
    return [f"{row}: {first}", *(f"{blank}{line}".rstrip() for line in others)]
