"""Python's plain values for the types of an IDL: a mapping for a struct, and a name for a member of an enum.

A program without a compiled stub has no classes before it has the description.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rpc.errors import InvalidRequest
from rpc.frozen import freeze
from rpc.idl import BaseType, EnumType, Interface, ListType, MapType, SetType, StructType, Type, python_name

SHOWN: Final = 60
"""Characters of a name that an error quotes."""


def from_plain(interface: Interface, kind: Type, value: Any, where: str) -> Any:
    """Return a value as the stub takes it. A value that is not plain, or fits no type, stays as it is.

    :param where: its name, with which errors begin.
    :raises InvalidRequest: a struct has no such field, or an enum no such member.
    """
    if not _has_names(kind):
        return value

    def inner(kind: Type, value: Any, step: str = "") -> Any:
        return from_plain(interface, kind, value, f"{where}{step}")

    match kind:
        case EnumType(name) if isinstance(value, str):
            members = interface.enums[name].members
            if value not in members:
                raise InvalidRequest(f"{where}: {name} has no member {value[:SHOWN]!r}, but {', '.join(members)}")
            return members[value]
        case StructType(name) if isinstance(value, Mapping):
            return _struct(interface, name, value, where)
        case ListType(element) if isinstance(value, list | tuple):
            return [inner(element, item, f"[{number}]") for number, item in enumerate(value)]
        case SetType(element) if isinstance(value, set | frozenset | list | tuple):
            return {freeze(inner(element, item)) for item in value}
        case MapType(key, content) if isinstance(value, Mapping):
            return {freeze(inner(key, one)): inner(content, item, f"[{one!r:.{SHOWN}}]") for one, item in value.items()}
    return value


def _has_names(kind: Type) -> bool:
    """Return whether a struct or enum is in a type."""
    match kind:
        case BaseType():
            return False
        case ListType(element) | SetType(element):
            return _has_names(element)
        case MapType(key, value):
            return _has_names(key) or _has_names(value)
    return True


def _struct(interface: Interface, name: str, value: Mapping[Any, Any], where: str) -> Any:
    fields = {field.name: field for field in interface.structs[name].fields}
    unknown = next((key for key in value if key not in fields), None)
    if unknown is not None:
        known = ", ".join(fields) or "none"
        raise InvalidRequest(f"{where}: {name} has no field {str(unknown)[:SHOWN]!r}; its fields: {known}")
    content = {
        python_name(key): from_plain(interface, fields[key].type, item, f"{where}.{key}") for key, item in value.items()
    }
    return interface.struct_class(name)(**content)
