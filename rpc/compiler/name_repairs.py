"""Repairs generated modules whose IDL has names that the Thrift compiler does not handle."""

from __future__ import annotations

import re
from typing import Final

from rpc.compiler.hashed_types import Definitions
from rpc.compiler.literals import rename_arguments
from rpc.compiler.references import ANCHOR
from rpc.idl import RENAMED, python_name

_STAR: Final = "from .ttypes import *\n"
_CATCHES: Final = re.compile(r"^(\s+)except Exception:$", re.MULTILINE)

_KEYWORD: Final = f"({'|'.join(sorted(RENAMED))})"
_KEPT: Final = (
    re.compile(rf"^(    \(-?\d+, TType\.\w+, '){_KEYWORD}()(?=', )", re.MULTILINE),  # a thrift_spec
    re.compile(rf"(\.__setattr__\('){_KEYWORD}()(?=', )"),  # the __init__ of an immutable struct
    re.compile(rf"^(\s+except (?:\w+\.)*){_KEYWORD}( as )", re.MULTILINE),  # a Processor
    re.compile(rf"^(\s+except [\w.]+ as ){_KEYWORD}(:)$", re.MULTILINE),
    re.compile(rf"^(\s+result\.){_KEYWORD}( = )", re.MULTILINE),
    re.compile(rf"^(\s+if self\.){_KEYWORD}( is None:)$", re.MULTILINE),  # validate
    re.compile(rf"^(\s+result\.\w+ = ){_KEYWORD}()$", re.MULTILINE),
)
"""The places where the compiler (0.24) keeps a keyword as a name: text before it, keyword, text after it."""

_KEPT_CONSTANT: Final = re.compile(rf"^(){_KEYWORD}( = )", re.MULTILINE)


def rename_keywords(text: str, module: str) -> str:
    """Append an underscore to keywords where the compiler has left it out.

    The accelerated protocols read and write the attributes that the ``thrift_spec`` names.

    :param module: the module's name in its package.
    :raises SyntaxError: the text is not Python.
    """
    for pattern in (*_KEPT, *([_KEPT_CONSTANT] if module == "constants" else [])):
        text = pattern.sub(lambda found: f"{found[1]}{python_name(found[2])}{found[3]}", text)
    return rename_arguments(text)


def types_of(package: str, definitions: Definitions) -> set[str]:
    """Return the names of the structs and enums of a package."""
    keys = [key.rpartition(".") for section in ("structs", "enums") for key in definitions[section]]
    return {name for home, _, name in keys if home == package}


def repair_names(text: str, package: str, definitions: Definitions) -> str:
    """Let a module use types whose names begin with an underscore, or are ``Exception``.

    The compiler imports the types of the package with ``*``, which leaves out the former. It catches ``Exception``
    where the IDL may have a struct of this name.
    """
    names = types_of(package, definitions)
    hidden = sorted(name for name in names if name.startswith("_"))
    if hidden:
        text = text.replace(_STAR, f"{_STAR}from .ttypes import {', '.join(hidden)}\n")
    if "Exception" in names:
        text, count = _CATCHES.subn(r"\1except _idl_builtins.Exception:", text)
        if count:
            text = text.replace(ANCHOR, f"{ANCHOR}import builtins as _idl_builtins\n", 1)
    return text
