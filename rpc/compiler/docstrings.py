"""The doc comments of an IDL as docstrings of the ``.pyi`` files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rpc import idl

_ENDING: Final = re.compile(r'"(?="|\Z)')
"""A quotation mark before another one, or at the end."""


def method_doc(method: idl.MethodDescription, interface: idl.Interface) -> str:
    """Return the method's doc comment with the exceptions that it throws, and a note for a oneway method."""
    lines = [method.doc] if method.doc else []
    notes = [f":raises {_struct_name(error, interface)}: as ``{error.name}`` of the IDL." for error in method.throws]
    if method.oneway:
        notes.append("Oneway: there is no answer.")
    if lines and notes:
        lines.append("")
    return "\n".join([*lines, *notes])


def _struct_name(field: idl.Field, interface: idl.Interface) -> str:
    return interface.structs[field.type.name].name if isinstance(field.type, idl.StructType) else field.name


def docstring(doc: str, indent: int) -> Iterator[str]:
    """Yield the lines of a docstring; none without a doc comment."""
    if not doc:
        return
    blank = " " * indent
    first, *others = escaped(doc).split("\n")
    if not others:
        yield f'{blank}"""{first}"""'
        return
    yield f'{blank}"""{first}'
    yield from (f"{blank}{line}".rstrip() for line in others)
    yield f'{blank}"""'


def escaped(doc: str) -> str:
    """Return a doc comment as the inside of a docstring, which no quotation mark in it can end."""
    return _ENDING.sub('\\"', doc.replace("\\", "\\\\")).replace("\0", "\\0")
