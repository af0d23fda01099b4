"""Makes the imports between generated modules relative, so that the output works under any package name.

The Thrift compiler writes ``import shared.ttypes`` and ``shared.ttypes.SharedStruct``. Its option ``package_prefix``
skips files without ``namespace py``, and an argument with the name of a namespace hides the module. Here each use
becomes an alias that no IDL name equals: ``from ..shared import ttypes as _idl_shared_ttypes``.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from typing import Final

ANCHOR: Final = "import sys\n"
"""The line of the compiler's header that our imports follow."""


def alias(module: str) -> str:
    """Return the alias of a generated module (dotted, below the output's root) in the others."""
    return f"_idl_{module.replace('_', '__').replace('.', '_')}"


def import_line(module: str, package: str) -> str:
    """Return the line that imports a module into a module of a package; both dotted, below the output's root."""
    home, _, name = module.rpartition(".")
    if home == package:
        return f"from . import {name} as {alias(module)}"
    dots = "." * (package.count(".") + 2)
    return f"from {dots}{home} import {name} as {alias(module)}"


def make_relative(text: str, package: str, modules: frozenset[str]) -> str:
    """Return a generated module's text with its imports of, and references to, other generated modules rewritten.

    Types of the module's own package become bare names, since every generated module imports all names of its
    ``ttypes``. Strings and comments stay as they are.

    :param package: the module's package, below the output's root.
    :param modules: every module of the output, dotted, below its root.
    :raises SyntaxError: the text is not Python.
    """
    lines = [line for line in text.splitlines(keepends=True) if not _imports_one_of(line, modules)]
    used: dict[str, None] = {}
    edits: list[tuple[int, int, int, str]] = []
    own_types = f"{package}.ttypes"
    for row, start, end, chain in _chains("".join(lines)):
        module = _longest_prefix(chain, modules)
        if module is None:
            continue
        name = chain[len(module) + 1 :]
        if module != own_types:
            used[module] = None
            name = f"{alias(module)}.{name}" if name else alias(module)
        edits.append((row, start, end, name))
    for row, start, end, name in reversed(edits):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + name + line[end:]
    imports = "".join(f"{import_line(module, package)}\n" for module in sorted(used))
    return "".join(lines).replace(ANCHOR, ANCHOR + imports, 1)


def _imports_one_of(line: str, modules: frozenset[str]) -> bool:
    return line.startswith("import ") and line.removeprefix("import ").strip() in modules


def _longest_prefix(chain: str, modules: frozenset[str]) -> str | None:
    parts = chain.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in modules:
            return prefix
    return None


def _chains(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Yield each ``name.name…``: row (from 1), first and last column, text."""
    chain: list[tokenize.TokenInfo] = []
    after_dot = False
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and (not chain or after_dot):
                chain.append(token)
                after_dot = False
                continue
            if token.string == "." and chain and not after_dot:
                after_dot = True
                continue
            if len(chain) > 1:
                row, start = chain[0].start
                yield row, start, chain[-1].end[1], ".".join(part.string for part in chain)
            chain = [token] if token.type == tokenize.NAME else []
            after_dot = False
    except tokenize.TokenError as error:
        raise SyntaxError(str(error)) from error
