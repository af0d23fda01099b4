"""Thrift values as JSON and back, by the IDL's types: what the command line takes and shows.

JSON has fewer types than Thrift. A struct is an object of the fields that are set, a map an object, a list or set an
array, binary its base64 text, an enum its name (its number is taken as well), a double that is no number the text
``NaN``, ``Infinity`` or ``-Infinity``. The keys of an object are text: keys of other types stand there as their JSON.
"""

from __future__ import annotations

import base64
import json
import math
import uuid
from collections.abc import Callable, Hashable
from functools import partial
from importlib import import_module
from typing import Any, Final

import attrs

from rpc.errors import InvalidRequest
from rpc.idl import BaseType, EnumType, Interface, ListType, MapType, SetType, StructType, Type

SHOWN: Final = 60
"""Characters of a wrong value that an error quotes."""


def describe(kind: Type) -> str:
    """The type as the IDL writes it, such as ``map<string, calculator.Work>``."""
    match kind:
        case ListType(element):
            return f"list<{describe(element)}>"
        case SetType(element):
            return f"set<{describe(element)}>"
        case MapType(key, value):
            return f"map<{describe(key)}, {describe(value)}>"
        case _:
            return kind.name


@attrs.frozen
class Values:
    """Converts values of the types of `interface`.

    Every error is an :class:`~rpc.errors.InvalidRequest` that says where the value stands, what its type is, what that
    takes, and what came instead.
    """

    interface: Interface

    def argument(self, kind: Type, text: str, where: str) -> Any:
        """Return the value of an argument on the command line.

        Where a text is asked for (string, binary, uuid, the name of an enum) it is taken as it stands, unless it begins
        with a quotation mark; everything else is JSON.
        """
        try:
            if text.startswith('"'):
                return self.from_json(kind, _parse(kind, text, where), where)
            return self._from_text(kind, text, where)
        except RecursionError:
            raise InvalidRequest(f"{where}: nested too deeply") from None

    def from_json(self, kind: Type, value: object, where: str) -> Any:
        """Return the value that the stubs take for a parsed JSON value."""
        match kind:
            case BaseType(name):
                expected, convert = _BASE[name]
                try:
                    return convert(value)
                except (ValueError, OverflowError):
                    raise _unfit(kind, expected, value, where) from None
            case EnumType(name):
                return self._enum_from_json(kind, value, where)
            case ListType(element):
                return self._array(kind, element, value, where)
            case SetType(element):
                items = self._array(kind, element, value, where)
                return {_hashable(element, item, f"{where}[{number}]") for number, item in enumerate(items)}
            case MapType(key, content):
                return {
                    _hashable(key, self._from_text(key, text, f"{where}, key {text!r}"), where): self.from_json(
                        content, item, f"{where}[{text!r}]"
                    )
                    for text, item in _instance(dict, kind, "an object", value, where).items()
                }
            case StructType(name):
                return self._struct_from_json(kind, value, where)

    def to_json(self, kind: Type, value: Any) -> Any:
        """Return what JSON shows of a value of the stubs."""
        match kind:
            case BaseType("binary"):
                return base64.b64encode(value).decode()
            case BaseType("uuid"):
                return str(value)
            case BaseType("double"):
                return value if math.isfinite(value) else _NOT_NUMBERS_TEXT.get(value, "NaN")
            case BaseType():
                return value
            case EnumType(name):
                members = self.interface.enums[name].members.items()
                return next((member for member, number in members if number == value), value)
            case ListType(element):
                return [self.to_json(element, item) for item in value]
            case SetType(element):
                return sorted((self.to_json(element, item) for item in value), key=_dump)
            case MapType(key, content):
                return {self._to_text(key, item): self.to_json(content, value[item]) for item in value}
            case StructType(name):
                fields = ((field, getattr(value, field.name)) for field in self.interface.structs[name].fields)
                return {field.name: self.to_json(field.type, item) for field, item in fields if item is not None}

    def struct_class(self, kind: StructType) -> type:
        """Return the generated class of a struct, union or exception."""
        module, name = self.interface.struct_path(kind.name)
        found: type = getattr(import_module(module), name)
        return found

    def _from_text(self, kind: Type, text: str, where: str) -> Any:
        return self.from_json(kind, text if _is_text(kind) else _parse(kind, text, where), where)

    def _to_text(self, kind: Type, value: Any) -> str:
        shown = self.to_json(kind, value)
        return shown if isinstance(shown, str) else _dump(shown)

    def _array(self, kind: Type, element: Type, value: object, where: str) -> list[Any]:
        items = _instance(list, kind, "an array", value, where)
        return [self.from_json(element, item, f"{where}[{number}]") for number, item in enumerate(items)]

    def _enum_from_json(self, kind: EnumType, value: object, where: str) -> int:
        members = self.interface.enums[kind.name].members
        for member, number in members.items():
            if value in (member, str(number)) or (value == number and type(value) is int):
                return number
        expected = "one of " + ", ".join(f"{member} ({number})" for member, number in members.items())
        raise _unfit(kind, expected, value, where)

    def _struct_from_json(self, kind: StructType, value: object, where: str) -> Any:
        description = self.interface.structs[kind.name]
        fields = {field.name: field for field in description.fields}
        given = {
            name: item
            for name, item in _instance(dict, kind, "an object", value, where).items()
            if item is not None  # no Thrift value is null: the field is unset
        }
        unknown = next((name for name in given if name not in fields), None)
        if unknown is not None:
            known = ", ".join(f"{name} ({describe(field.type)})" for name, field in fields.items()) or "none"
            raise InvalidRequest(f"{where}: {kind.name} has no field {unknown!r}; its fields: {known}")
        for name, field in fields.items():
            if name not in given and field.requiredness == "required" and not field.has_default:
                raise InvalidRequest(f"{where}: {kind.name} needs the field {name} ({describe(field.type)})")
        if description.kind == "union" and len(given) != 1:
            raise InvalidRequest(f"{where}: {kind.name} is a union: set one of {', '.join(fields)}, not {len(given)}")
        content = {name: self.from_json(fields[name].type, item, f"{where}.{name}") for name, item in given.items()}
        return self.struct_class(kind)(**content)


def _is_text(kind: Type) -> bool:
    return isinstance(kind, EnumType) or kind in (BaseType("string"), BaseType("binary"), BaseType("uuid"))


def _parse(kind: Type, text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        if isinstance(kind, BaseType) and not text.startswith('"'):
            return text  # which does not fit either, and the error will say what does
        raise InvalidRequest(f"{where}: {describe(kind)} is written as JSON, not {_shown(text)} ({error})") from None


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else _dump(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _unfit(kind: Type, expected: str, value: object, where: str) -> InvalidRequest:
    return InvalidRequest(f"{where}: {describe(kind)} takes {expected}, not {_shown(value)}")


def _instance(wanted: type, kind: Type, expected: str, value: object, where: str) -> Any:
    if not isinstance(value, wanted):
        raise _unfit(kind, expected, value, where)
    return value


def _hashable(kind: Type, value: Any, where: str) -> Hashable:
    try:
        hash(value)
    except TypeError:
        raise InvalidRequest(
            f"{where}: the stubs of Python cannot hold a {describe(kind)} in a set or as a key"
        ) from None
    hashable: Hashable = value
    return hashable


# -- base types: what each takes, in words and in code; the functions raise ValueError for what does not fit


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _whole(bits: int, value: object) -> int:
    if type(value) is not int or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError
    return value


def _double(value: object) -> float:
    if isinstance(value, str) and value in _NOT_NUMBERS:
        return _NOT_NUMBERS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return float(value)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    value.encode()  # JSON can escape half a surrogate pair, which is no Unicode text
    return value


def _binary(value: object) -> bytes:
    return base64.b64decode(_string(value), validate=True)


def _uuid(value: object) -> uuid.UUID:
    return uuid.UUID(_string(value))


def _range(bits: int) -> tuple[str, Callable[[object], Any]]:
    return f"a whole number from {-(2 ** (bits - 1))} to {2 ** (bits - 1) - 1}", partial(_whole, bits)


_NOT_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NOT_NUMBERS_TEXT: Final = {number: text for text, number in _NOT_NUMBERS.items()}

_BASE: Final[dict[str, tuple[str, Callable[[object], Any]]]] = {
    "bool": ("true or false", _bool),
    "i8": _range(8),
    "i16": _range(16),
    "i32": _range(32),
    "i64": _range(64),
    "double": ('a number, "NaN", "Infinity" or "-Infinity"', _double),
    "string": ("text", _string),
    "binary": ("base64 text", _binary),
    "uuid": ("text such as 12345678-1234-5678-1234-567812345678", _uuid),
}
