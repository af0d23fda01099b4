"""Fields called ``read``, ``write`` or ``validate``, as permissions often are.

A struct's value of such a field hides the method of this name, and the generated code calls the methods of inner
structs on their values. Here it calls them on their classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rpc import idl
from rpc.compiler.hashed_types import Definitions, helper_structs

NAMES: Final = frozenset({"read", "write", "validate"})

_READ: Final = re.compile(r"^(\s+)(\S+) = ([\w.]+)\(\)\n\1\2\.read\(iprot\)$", re.MULTILINE)
_WRITE: Final = re.compile(r"^(\s+)(\S+)\.write\((\w*oprot)\)$", re.MULTILINE)
_VALIDATE: Final = re.compile(r"^(\s+)self\.validate\(\)$", re.MULTILINE)


def has_method_fields(definitions: Definitions) -> bool:
    """Return whether a struct of an output, or the arguments of a method, have such a field."""
    structs = [struct["fields"] for struct in definitions["structs"].values()]
    structs += [fields for service in definitions["services"].values() for _, fields in helper_structs(service)]
    return any(field["name"] in NAMES for fields in structs for field in fields)


def call_by_class(text: str) -> str:
    """Return a generated module's text with the methods of structs called on their classes."""
    text = _READ.sub(r"\1\2 = \3()\n\1\3.read(\2, iprot)", text)
    text = _WRITE.sub(r"\1type(\2).write(\2, \3)", text)
    return _VALIDATE.sub(r"\1type(self).validate(self)", text)


def methods_of(fields: Iterable[idl.Field]) -> frozenset[str]:
    """Return the methods of a struct that none of its fields hides."""
    return NAMES - {field.name for field in fields}
