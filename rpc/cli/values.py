"""Thrift values as JSON and back, by the IDL's types: the arguments and results of the command line.

JSON has fewer types than Thrift. A struct is an object of the fields that are set. A map is an object; keys that are
not text are written as the text of their JSON. A list or set is an array. An enum is its name; a number is accepted,
too. Binary is base64 text. A double that is not finite is the text ``NaN``, ``Infinity`` or ``-Infinity``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Hashable
from typing import Any, Final

import attrs

from rpc.cli.json_text import Object, TooLarge, dump, parse
from rpc.errors import InvalidRequest
from rpc.frozen import freeze
from rpc.idl import BaseType, EnumType, Interface, ListType, MapType, SetType, StructType, Type, python_name
from rpc.idl.base_values import BASE_VALUES, double_to_json

_WHOLE: Final = re.compile(r"-?[0-9]{1,10}")

SHOWN: Final = 60
"""Characters of a wrong value, or of a key, that an error quotes."""


def describe(kind: Type) -> str:
    """Return the type as the IDL writes it, such as ``map<string, calculator.Work>``."""
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

    Every error is an :class:`~rpc.errors.InvalidRequest`. It names the path of the value, its type, the JSON that the
    type takes, and the JSON that was given.
    """

    interface: Interface

    def argument(self, kind: Type, text: str, where: str) -> Any:
        """Return the value of an argument on the command line.

        Types that are text in JSON (string, binary, uuid, the name of an enum) take the word as it is. Every other word
        is JSON, and so is a word that begins with a quotation mark.

        :param where: the name of the argument, with which errors begin.
        :raises InvalidRequest: the word does not fit the type.
        """
        try:
            if text.startswith('"'):
                return self.from_json(kind, _parse(kind, text, where), where)
            return self._from_text(kind, text, where)
        except RecursionError:
            raise InvalidRequest(f"{where}: nested too deeply") from None

    def from_json(self, kind: Type, value: object, where: str) -> Any:
        """Return the value that the stubs take for a parsed JSON value.

        :param where: the path of the value, such as ``numbers.values[1]``.
        :raises InvalidRequest: the value does not fit the type.
        """
        match kind:
            case BaseType(name):
                base = BASE_VALUES[name]
                try:
                    return base.convert(value)
                except (ValueError, OverflowError):
                    raise _unfit(kind, base.expected, value, where) from None
            case EnumType():
                return self._enum_from_json(kind, value, where)
            case ListType(element):
                return self._array(kind, element, value, where)
            case SetType(element):
                items = self._array(kind, element, value, where)
                return {_hashable(element, item, f"{where}[{number}]") for number, item in enumerate(items)}
            case MapType(key, content):
                return self._map_from_json(kind, key, content, value, where)
            case StructType():
                return self._struct_from_json(kind, value, where)

    def to_json(self, kind: Type, value: Any) -> Any:
        """Return a value of the stubs as the standard library's ``json`` takes it."""
        match kind:
            case BaseType("binary"):
                return base64.b64encode(value).decode()
            case BaseType("uuid"):
                return str(value)
            case BaseType("double"):
                return double_to_json(value)
            case BaseType():
                return value
            case EnumType(name):
                members = self.interface.enums[name].members.items()
                return next((member for member, number in members if number == value), value)
            case ListType(element):
                return [self.to_json(element, item) for item in value]
            case SetType(element):
                return sorted((self.to_json(element, item) for item in value), key=dump)
            case MapType(key, content):
                return {self._to_text(key, item): self.to_json(content, value[item]) for item in value}
            case StructType(name):
                fields = (
                    (field, getattr(value, python_name(field.name))) for field in self.interface.structs[name].fields
                )
                return {field.name: self.to_json(field.type, item) for field, item in fields if item is not None}

    def _from_text(self, kind: Type, text: str, where: str) -> Any:
        return self.from_json(kind, text if is_text(kind) else _parse(kind, text, where), where)

    def _to_text(self, kind: Type, value: Any) -> str:
        shown = self.to_json(kind, value)
        return shown if isinstance(shown, str) else dump(shown)

    def _array(self, kind: Type, element: Type, value: object, where: str) -> list[Any]:
        items = _instance(list, kind, "an array", value, where)
        return [self.from_json(element, item, f"{where}[{number}]") for number, item in enumerate(items)]

    def _map_from_json(self, kind: Type, key: Type, content: Type, value: object, where: str) -> dict[Any, Any]:
        texts: dict[Hashable, str] = {}
        made: dict[Hashable, Any] = {}
        for text, item in _object(kind, value, where).items():
            converted = _hashable(key, self._from_text(key, text, f"{where}, key {_shown(text)}"), where)
            if converted in texts:
                both = f"{_shown(texts[converted])} and {_shown(text)}"
                raise InvalidRequest(f"{where}: the keys {both} are the same {describe(key)}")
            texts[converted] = text
            made[converted] = self.from_json(content, item, f"{where}[{_shown(text)}]")
        return made

    def _enum_from_json(self, kind: EnumType, value: object, where: str) -> int:
        members = self.interface.enums[kind.name].members
        for member, number in members.items():
            if value == member:
                return number
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        try:  # a newer IDL may have a member of this number, and numbers without a name are shown as numbers
            taken: int = BASE_VALUES["i32"].convert(value)
        except ValueError:
            shown = ", ".join(f"{member} ({number})" for member, number in members.items())
            raise _unfit(kind, f"one of {shown}, or a number of 32 bits", value, where) from None
        return taken

    def _struct_from_json(self, kind: StructType, value: object, where: str) -> Any:
        description = self.interface.structs[kind.name]
        fields = {field.name: field for field in description.fields}
        given = {
            name: item
            for name, item in _object(kind, value, where).items()
            if item is not None  # no Thrift value is null: the field is unset
        }
        unknown = next((name for name in given if name not in fields), None)
        if unknown is not None:
            known = ", ".join(f"{name} ({describe(field.type)})" for name, field in fields.items()) or "none"
            raise InvalidRequest(f"{where}: {kind.name} has no field {_shown(unknown)}; its fields: {known}")
        for name, field in fields.items():
            if name not in given and field.requiredness == "required" and not field.has_default:
                raise InvalidRequest(f"{where}: {kind.name} needs the field {name} ({describe(field.type)})")
        if description.kind == "union" and len(given) != 1:
            raise InvalidRequest(f"{where}: {kind.name} is a union: set one of {', '.join(fields)}, not {len(given)}")
        content = {
            python_name(name): self.from_json(fields[name].type, item, f"{where}.{name}")
            for name, item in given.items()
        }
        return self.interface.struct_class(kind.name)(**content)


def is_text(kind: Type) -> bool:
    """Return whether values of a type are text in JSON."""
    return isinstance(kind, EnumType) or kind in (BaseType("string"), BaseType("binary"), BaseType("uuid"))


def _parse(kind: Type, text: str, where: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        if isinstance(kind, BaseType) and not text.startswith('"'):
            return text  # it does not fit either, and the error names the JSON that does
        raise InvalidRequest(f"{where}: {describe(kind)} is written as JSON, not {_shown(text)} ({error})") from None


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else value.text if isinstance(value, TooLarge) else dump(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _unfit(kind: Type, expected: str, value: object, where: str) -> InvalidRequest:
    return InvalidRequest(f"{where}: {describe(kind)} takes {expected}, not {_shown(value)}")


def _instance(wanted: type, kind: Type, expected: str, value: object, where: str) -> Any:
    if not isinstance(value, wanted):
        raise _unfit(kind, expected, value, where)
    return value


def _object(kind: Type, value: object, where: str) -> dict[str, Any]:
    found: dict[str, Any] = _instance(dict, kind, "an object", value, where)
    if isinstance(found, Object) and found.repeated is not None:
        raise InvalidRequest(f"{where}: the key {_shown(found.repeated)} is given twice")
    return found


def _hashable(kind: Type, value: Any, where: str) -> Hashable:
    value = freeze(value)
    try:
        hash(value)
    except TypeError:  # a struct of stubs that an earlier version compiled
        raise InvalidRequest(
            f"{where}: the stubs cannot hold a {describe(kind)} in a set or as a key; compile the IDL again"
        ) from None
    hashable: Hashable = value
    return hashable
