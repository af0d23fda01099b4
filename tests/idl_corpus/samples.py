"""Values of the IDL's types, made from their description in ``idl.json``: independent of the generated classes."""

from __future__ import annotations

import uuid
from typing import Any

from rpc.frozen import FrozenDict
from rpc.idl import (
    BaseType,
    EnumType,
    Interface,
    ListType,
    MapType,
    MethodDescription,
    SetType,
    StructType,
    Type,
    python_name,
)

DEEPEST = 4
"""How deep a sample is; optional fields of a struct further inside are unset, and containers are empty."""

_BASE: dict[str, tuple[Any, ...]] = {
    "bool": (True, False),
    "i8": (-128, 127, 3),
    "i16": (-(2**15), 12, 2**15 - 1),
    "i32": (2**31 - 1, -5, 70000),
    "i64": (-(2**63), 9, 2**53 + 1),
    "double": (0.5, -1e300, 3.0),
    "string": ("", "Grüße 🐇", 'a "quoted" \\ line\n'),
    "binary": (b"", b"\x00\xff\x80", b"bytes"),
    "uuid": (uuid.UUID(int=7), uuid.UUID(int=2**128 - 1)),
}


class Samples:
    """Makes values of the types of one ``idl.json``; each one differs from the one before."""

    def __init__(self, interface: Interface) -> None:
        self._interface = interface
        self._count = 0

    def make(self, kind: Type, depth: int = 0, hashed: bool = False) -> Any:
        """Return a value of a type.

        :param hashed: the value is in a set, or a key of a map.
        """
        self._count += 1
        match kind:
            case BaseType(name):
                return _BASE[name][self._count % len(_BASE[name])]
            case EnumType(name):
                members = list(self._interface.enums[name].members.values())
                return members[self._count % len(members)]
            case ListType(element):
                return (tuple if hashed else list)(self._several(element, depth, hashed))
            case SetType(element):
                return (frozenset if hashed else set)(self._several(element, depth, True))
            case MapType(key, value):
                keys = self._several(key, depth, True)
                return (FrozenDict if hashed else dict)((one, self.make(value, depth + 1, hashed)) for one in keys)
            case StructType(name):
                return self._struct(name, depth)

    def has_key_without_json(self, method: MethodDescription) -> bool:
        """Return whether a type of a method has a map whose keys are structs, lists, sets or maps."""
        pending = [field.type for field in (*method.arguments, *method.throws)]
        pending += [] if method.returns is None else [method.returns]
        seen: set[str] = set()
        while pending:
            match pending.pop():
                case ListType(element) | SetType(element):
                    pending.append(element)
                case MapType(BaseType() | EnumType(), value):
                    pending.append(value)
                case MapType():
                    return True
                case StructType(name) if name not in seen:
                    seen.add(name)
                    pending += [field.type for field in self._interface.structs[name].fields]
        return False

    def _several(self, kind: Type, depth: int, hashed: bool) -> list[Any]:
        return [self.make(kind, depth + 1, hashed) for _ in range(2 if depth < DEEPEST else 0)]

    def _struct(self, name: str, depth: int) -> Any:
        description = self._interface.structs[name]
        fields = list(description.fields)
        if description.kind == "union":
            fields = [fields[self._count % len(fields)]] if depth < DEEPEST else fields[:1]
        elif depth >= DEEPEST:
            fields = [field for field in fields if field.requiredness == "required" or field.has_default]
        content = {python_name(field.name): self.make(field.type, depth + 1) for field in fields}
        return self._interface.struct_class(name)(**content)
