"""Types with a name that every service's module defines or imports for itself, such as ``Client``.

There the name is that of the service's. The generated code of the module means the type in most places. So it names the
type by its module: ``_idl_shop_ttypes.Client``.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Final

from rpc.compiler.literals import insert
from rpc.compiler.references import alias

OWN: Final = frozenset({"Client", "Iface", "Processor"})
"""The classes of a service's module."""

NAMES: Final = OWN | {"Interface", "TProcessor", "TTwisted", "defer", "implementer"}
"""The names: they are defined after the types are imported with ``*``."""


def qualify_types(text: str, package: str, names: Collection[str]) -> str:
    """Return the text of a service's module with some types of its package named by their module.

    :param names: the names of the types.
    :raises SyntaxError: the text is not Python.
    """
    prefix = f"{alias(f'{package}.ttypes')}."
    parts = [part for statement in ast.parse(text).body for part in _of_types(statement)]
    found = [name for part in parts for name in _names_in(part, frozenset(names))]
    return insert(text, [(name.lineno, name.col_offset, prefix) for name in found])


def _names_in(node: ast.AST, names: frozenset[str]) -> Iterator[ast.Name]:
    """Yield the uses of some names. In a function a parameter of the name is meant."""
    if isinstance(node, ast.Name) and node.id in names:
        yield node
    if isinstance(node, ast.FunctionDef):
        for default in node.args.defaults:
            yield from _names_in(default, names)
        names -= {parameter.arg for parameter in node.args.args}
    for child in node.body if isinstance(node, ast.FunctionDef) else ast.iter_child_nodes(node):
        yield from _names_in(child, names)


def _of_types(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the parts of a statement where such a name is that of a type."""
    if isinstance(statement, ast.Assign):
        yield statement.value
    elif isinstance(statement, ast.ClassDef) and statement.name not in OWN:
        yield from statement.body
    elif isinstance(statement, ast.ClassDef):
        for node in ast.walk(statement):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                yield node.type
            elif isinstance(node, ast.arguments):
                yield from node.defaults
