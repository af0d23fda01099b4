"""Literals of generated modules, for constants and defaults, that the compiler writes wrongly.

It writes ``set(([1, 2], ))`` and ``{[1, 2]: "a"}``, which Python cannot evaluate: :func:`freeze_literals`. It writes
``Message(**{"from": "a"})`` where it has called the field ``from_``: :func:`rename_arguments`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from rpc.idl import RENAMED

FREEZE: Final = "_idl_freeze"
"""The name of :func:`rpc.frozen.freeze` in generated modules."""

Insertion = tuple[int, int, str]
"""Row (from 1), column in bytes, and text."""


def freeze_literals(text: str) -> str:
    """Return a generated module's text with the elements of sets, and the keys of maps, made hashable.

    Each that is a list, set or map becomes an argument of :func:`rpc.frozen.freeze`.

    :raises SyntaxError: the text is not Python.
    """
    insertions: list[Insertion] = []
    for node in ast.walk(ast.parse(text)):
        for hashed in _hashed(node):
            if _is_container(hashed) and hashed.end_lineno is not None and hashed.end_col_offset is not None:
                insertions.append((hashed.lineno, hashed.col_offset, f"{FREEZE}("))
                insertions.append((hashed.end_lineno, hashed.end_col_offset, ")"))
    return insert(text, insertions)


def rename_arguments(text: str) -> str:
    """Return a generated module's text with the keywords of Python renamed that are arguments of structs.

    :raises SyntaxError: the text is not Python.
    """
    if not any(f'"{name}": ' in text for name in RENAMED):
        return text
    return insert(
        text,
        [
            (key.end_lineno, key.end_col_offset - 1, "_")
            for node in ast.walk(ast.parse(text))
            for key in _arguments(node)
            if key.value in RENAMED and key.end_lineno is not None and key.end_col_offset is not None
        ],
    )


def insert(text: str, insertions: Iterable[Insertion]) -> str:
    """Return the text with other text inserted at some places, as ``ast`` names them."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]  # ast counts bytes
    for row, column, inserted in sorted(insertions, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + inserted.encode() + line[column:]
    return b"".join(lines).decode()


def _arguments(node: ast.AST) -> Iterator[ast.Constant]:
    """Yield the keys of ``Name(**{key: value})``."""
    if isinstance(node, ast.Call):
        for argument in node.keywords:
            if argument.arg is None and isinstance(argument.value, ast.Dict):
                yield from (key for key in argument.value.keys if isinstance(key, ast.Constant))


def _hashed(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the elements of a set, or the keys of a map."""
    if isinstance(node, ast.Dict):
        yield from (key for key in node.keys if key is not None)
    elif _is_set(node) and isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Tuple):
        yield from node.args[0].elts


def _is_container(node: ast.expr) -> bool:
    return isinstance(node, ast.List | ast.Dict) or _is_set(node)


def _is_set(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "set"
