"""The names that no stub can have, and the text of a refusal."""

from __future__ import annotations

import keyword
from collections.abc import Collection
from typing import Final

from rpc.compiler.source import Source
from rpc.idl import RENAMED, python_name

STRUCT_ATTRIBUTES: Final = frozenset({"self", "thrift_spec"})
"""Names in the class of every struct that no field can have."""

# fmt: off
GLOBALS: Final = frozenset({
    "TApplicationException", "TException", "TFrozenDict", "TMessageType", "TProtocolException", "TTransport", "TType",
    "all_structs", "fix_spec", "logging", "sys", "TypeError", "classmethod", "float", "hash",
    "isinstance", "len", "object", "range", "repr", "set", "super",
})
# fmt: on
"""Names that the generated modules import or take from Python, and that are not repaired."""

# fmt: off
TYPE_FILES: Final = frozenset({
    "_Any", "_Callable", "_ClassVar", "_Coroutine", "_Deferred", "_Final", "_FrozenDict", "_Interface", "_UUID",
    "_builtins", "_implementer",
})
# fmt: on
"""Names that the ``.pyi`` files import; names of modules begin with ``_idl_`` there."""

STUB_USES: Final = "the stubs use this name themselves"


def refuse(source: Source, noun: str, name: str, why: str, *scope: str) -> str:
    """Return a refusal. A name without a scope is found by its keyword: ``struct Work``."""
    place = source.locate(*scope, name) if scope else source.locate(f"{noun} {name}")
    return f"{place}: {noun} {name}: {why}; rename it"


def never(name: str) -> str:
    """Return why no class of a stub can have the name; empty if it can."""
    if is_keyword(name):
        return "it is a Python keyword"
    if name.startswith("__"):
        return "Python changes a name that begins with __ inside of a class"
    return taken_by_stubs(name, TYPE_FILES)


def is_keyword(name: str) -> bool:
    """Return whether Python cannot have the name as an identifier, and the Thrift compiler does not rename it."""
    return (keyword.iskeyword(name) and name not in RENAMED) or name == "__debug__"


def clashes(name: str, siblings: Collection[str]) -> str:
    """Return why the name is refused beside its siblings; empty if it is not."""
    is_taken = name in RENAMED and python_name(name) in siblings
    return f"its name in Python, {python_name(name)}, is that of another one" if is_taken else ""


def taken_by_stubs(name: str, names: frozenset[str]) -> str:
    """Return why the name is refused if it is one of `names`, or an alias of a module; empty if it is not."""
    return STUB_USES if name in names or name.startswith("_idl_") else ""


def not_global(name: str) -> str:
    """Return why no stub can have a type or constant of this name; empty if it can."""
    return "it is a Python keyword" if is_keyword(name) else taken_by_stubs(name, GLOBALS | TYPE_FILES)


def name_in(key: str) -> str:
    """Return the name in a key of the definitions."""
    return key.rpartition(".")[2]
