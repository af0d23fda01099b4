"""Names of the IDL as Python has them."""

from __future__ import annotations

from typing import Final

RENAMED: Final = frozenset(
    {"False", "None", "True", "and", "as", "assert", "break", "class", "continue", "def", "del", "elif", "else"}
    | {"except", "exec", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not"}
    | {"or", "pass", "print", "raise", "return", "try", "while", "with", "yield"}
)
"""The keywords of Python that the Thrift compiler knows, some of them of Python 2.

Up to 0.19 it refuses an IDL with such a name; 0.24 appends an underscore to it. So a name of an IDL that was compiled
tells what the compiler did.
"""


def python_name(name: str) -> str:
    """Return the name in Python of a definition of the IDL: ``from_`` for ``from``."""
    return f"{name}_" if name in RENAMED else name
