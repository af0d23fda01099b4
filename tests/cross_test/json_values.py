"""Values as JSON, for peers in other languages: see ``node/values.js``. The types are those of ``idl.json``."""

from __future__ import annotations

import base64
import struct
from types import ModuleType
from typing import Any

from thrift.Thrift import TApplicationException

from rpc import idl
from rpc.frozen import FrozenDict
from tests.cross_test.values import Answer, ApplicationError, Returns, Struct, Undeclared


class Types:
    """The types of a service's values.

    :param stub: compiled, with ``idl.json``.
    :param module: the classes of its structs.
    """

    def __init__(self, stub: ModuleType, module: ModuleType) -> None:
        service = idl.load(stub)
        assert service is not None
        self.service = service
        self._structs = service.interface.structs
        self._module = module

    def arguments_to_json(self, method: str, values: tuple[Any, ...]) -> list[Any]:
        """Return the arguments of a call, in the order of the IDL."""
        fields = self.service.methods[method].arguments
        return [self.to_json(value, field.type) for value, field in zip(values, fields, strict=True)]

    def arguments_from_json(self, method: str, values: list[Any]) -> tuple[Any, ...]:
        """Return the arguments that a handler got."""
        fields = self.service.methods[method].arguments
        return tuple(self.from_json(value, field.type) for value, field in zip(values, fields, strict=True))

    def answer_to_json(self, method: str, answer: Answer) -> tuple[str, Any]:
        """Return the result of a handler, or its exception."""
        if isinstance(answer, Returns):
            known = self.service.methods.get(method)
            returns = None if known is None else known.returns
            return "returns", None if returns is None else self.to_json(answer.value, returns)
        error = answer.error
        if error is Undeclared:
            return "raises", {"undeclared": True}
        if isinstance(error, ApplicationError):
            return "raises", {"application": [error.type, error.message]}
        return "raises", self._struct_to_json(error)

    def outcome_from_json(self, method: str, said: dict[str, Any]) -> tuple[str, Any]:
        """Return the outcome of a call: its result, or the error that it raised."""
        if "returns" in said:
            returns = self.service.methods[method].returns
            return "returns", None if returns is None else self.from_json(said["returns"], returns)
        error = said["raises"]
        if "application" in error:
            return "raises", TApplicationException(*error["application"])
        if "error" in error:
            return "raises", error["error"]
        keys = [key for key, struct in self._structs.items() if struct.name == error.get("struct")]
        return "raises", self.from_json(error, idl.StructType(keys[0])) if keys else error

    def to_json(self, value: Any, kind: idl.Type) -> Any:
        """Return the JSON of a value that a case has."""
        if value is None:
            return None
        if isinstance(kind, (idl.ListType, idl.SetType)):
            return [self.to_json(item, kind.element) for item in value]
        if isinstance(kind, idl.MapType):
            pairs = [[self.to_json(key, kind.key), self.to_json(item, kind.value)] for key, item in value.items()]
            return {"map": pairs}
        if isinstance(kind, idl.StructType):
            return self._struct_to_json(value)
        if isinstance(kind, idl.EnumType):
            return value
        if kind.name == "i64":
            return {"i64": str(value)}
        if kind.name == "double":
            return {"double": struct.pack("!d", value).hex()}
        return {"binary": base64.b64encode(value).decode()} if kind.name == "binary" else value

    def from_json(self, value: Any, kind: idl.Type) -> Any:
        """Return the Python value, or the JSON itself where it is not of the type."""
        try:
            return self._from_json(value, kind)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            return f"{value!r} is no {kind}: {error!r}"

    def _from_json(self, value: Any, kind: idl.Type) -> Any:
        if value is None:
            return None
        if isinstance(kind, (idl.ListType, idl.SetType)):
            items = [self._from_json(item, kind.element) for item in value]
            return items if isinstance(kind, idl.ListType) else set(map(_hashable, items))
        if isinstance(kind, idl.MapType):
            return {
                _hashable(self._key_from_json(key, kind.key)): self._from_json(item, kind.value)
                for key, item in value["map"]
            }
        if isinstance(kind, idl.StructType):
            return self._struct_from_json(value["fields"], kind)
        if isinstance(kind, idl.EnumType):
            return _number(value)
        return _base(value, kind.name)

    def _key_from_json(self, key: Any, kind: idl.Type) -> Any:
        """Return the key of a map, which JavaScript has as text."""
        if isinstance(kind, idl.EnumType):
            return int(key)
        if not isinstance(kind, idl.BaseType):
            raise ValueError("JavaScript has no such keys")
        if kind.name == "bool":
            return {"true": True, "false": False}[key]
        return key if kind.name == "string" else float(key) if kind.name == "double" else int(key)

    def _struct_to_json(self, value: Struct) -> Any:
        (fields,) = (struct.fields for struct in self._structs.values() if struct.name == value.name)
        kinds = {field.name: field.type for field in fields}
        return {"struct": value.name, "fields": {name: self.to_json(item, kinds[name]) for name, item in value.fields}}

    def _struct_from_json(self, values: dict[str, Any], kind: idl.StructType) -> Any:
        description = self._structs[kind.name]
        fields = {field.name: self._from_json(values.get(field.name), field.type) for field in description.fields}
        return getattr(self._module, description.name)(**fields)


def _number(value: Any) -> int:
    double = _double(value)
    return int(double) if double.is_integer() else double  # type: ignore[return-value]  # it then differs


def _double(value: Any) -> float:
    (double,) = struct.unpack("!d", bytes.fromhex(value["double"]))
    return float(double)


def _base(value: Any, name: str) -> Any:
    if name in ("bool", "string"):
        return value
    if name == "binary":
        return base64.b64decode(value["binary"])
    if name == "double":
        return _double(value)
    return int(value["i64"]) if name == "i64" else _number(value)


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    if isinstance(value, (set, frozenset)):
        return frozenset(value)
    return FrozenDict(value.items()) if isinstance(value, dict) else value
