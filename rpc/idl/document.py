"""``idl.json``, which ``thrift-rpc compile`` writes at the root of its output, read as descriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

import attrs

from rpc.idl.descriptions import (
    ConstantDescription,
    EnumDescription,
    Field,
    Interface,
    MethodDescription,
    ServiceDescription,
    StructDescription,
)
from rpc.idl.references import check_references
from rpc.idl.types import BASE_TYPES, BaseType, EnumType, ListType, MapType, SetType, StructType, Type

FILE_NAME: Final = "idl.json"

FORMAT: Final = 1
"""The version of the content. A file with another one is refused."""


MOST_NESTED: Final = 64
"""Types in one another, at most: lists, sets and maps. Descriptions are walked by functions that call themselves."""

MOST_METHODS: Final = 100_000
"""Methods of all services, at most. A service has all that it inherits, so services of a few bytes may have many."""

T = TypeVar("T")


def read(text: str, root: str = "") -> Interface:
    """Return the descriptions in the text of an ``idl.json``.

    :param root: the importable name of the package that holds the file; ``""`` when unknown.
    :raises ValueError: as :func:`parse`; or the text is not JSON.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError(f"{FILE_NAME} of {root} is nested too deeply: compile the IDL again") from None
    return parse(document, root)


def parse(document: Mapping[str, Any], root: str = "") -> Interface:
    """Turn the content of ``idl.json`` into descriptions.

    :param root: as in :func:`read`.
    :raises ValueError: the content has another format, a type that this version does not know, or is damaged.
    """
    try:
        return _parse(document, root)
    except (KeyError, TypeError, AttributeError, RecursionError) as damage:
        raise ValueError(f"{FILE_NAME} of {root} is damaged ({damage!r}): compile the IDL again") from damage


def _parse(document: Mapping[str, Any], root: str) -> Interface:
    if document.get("format") != FORMAT:
        raise ValueError(f"{FILE_NAME} of {root} has format {document.get('format')}, not {FORMAT}: compile again")
    interface = Interface(root)
    for key, struct in document["structs"].items():
        interface.structs[key] = _struct(key, struct)
    for key, enum in document["enums"].items():
        interface.enums[key] = _enum(key, enum)
    for key, constant in document["constants"].items():
        package, name = _split(key)
        interface.constants[key] = ConstantDescription(
            name, f"{package}.constants", _type(constant["type"]), _value(constant, "doc", str)
        )
    services = _Services(interface, document["services"])
    for key in document["services"]:
        services.add(key)
    check_references(interface)
    return interface


def _value(item: Mapping[str, Any], name: str, kind: type[T], choices: tuple[T, ...] = ()) -> T:
    """Return a value of a JSON object. Raises ``TypeError`` for one of another type, or that is no choice."""
    value = item[name]
    if type(value) is not kind or (choices and value not in choices):
        raise TypeError(f"{name} is {str(value)[:60]!r}")
    return value


def _struct(key: str, struct: Mapping[str, Any]) -> StructDescription:
    package, name = _split(key)
    return StructDescription(
        name,
        f"{package}.ttypes",
        _value(struct, "kind", str, ("struct", "union", "exception")),
        _value(struct, "doc", str),
        _fields(struct["fields"]),
        _annotations(struct),
    )


def _enum(key: str, enum: Mapping[str, Any]) -> EnumDescription:
    package, name = _split(key)
    members = {_value(member, "name", str): _value(member, "value", int) for member in enum["members"]}
    docs = {member["name"]: _value(member, "doc", str) for member in enum["members"] if member["doc"]}
    return EnumDescription(
        name, f"{package}.ttypes", _value(enum, "doc", str), MappingProxyType(members), MappingProxyType(docs)
    )


@attrs.define
class _Services:
    """Adds services to an interface, each after the one that it extends.

    :ivar methods: how many those have that were added, with inherited ones.
    """

    interface: Interface
    items: Mapping[str, Any]
    methods: int = 0

    def add(self, key: str) -> ServiceDescription:
        """Return a service, which is added unless it is there."""
        if key in self.interface.services:
            return self.interface.services[key]
        service = self.items[key]
        extends = None if service["extends"] is None else _value(service, "extends", str)
        inherited = {} if extends is None else self.add(extends).methods
        self.methods += len(inherited) + len(service["methods"])
        if self.methods > MOST_METHODS:
            raise ValueError(f"{FILE_NAME} has more than {MOST_METHODS} methods, with those that services inherit")
        methods = {_value(method, "name", str): _method(method) for method in service["methods"]}
        description = ServiceDescription(
            _split(key)[1],
            key,
            _value(service, "doc", str),
            extends,
            MappingProxyType({**inherited, **methods}),
            _annotations(service),
            self.interface,
        )
        self.interface.services[key] = description
        return description


def _method(method: Mapping[str, Any]) -> MethodDescription:
    return MethodDescription(
        method["name"],
        _value(method, "doc", str),
        _fields(method["arguments"]),
        None if method["returns"] is None else _type(method["returns"]),
        _exceptions(method["throws"]),
        _value(method, "oneway", bool),
        _annotations(method),
    )


def _split(key: str) -> tuple[str, str]:
    package, _, name = key.rpartition(".")
    return package, name


def _annotations(item: Mapping[str, Any]) -> Mapping[str, str]:
    annotations = _value(item, "annotations", dict)
    return MappingProxyType({name: _value(annotations, name, str) for name in annotations})


def _fields(items: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    return tuple(
        Field(
            _value(item, "id", int),
            _value(item, "name", str),
            _type(item["type"]),
            _value(item, "requiredness", str, ("required", "optional", "default")),
            _value(item, "has_default", bool),
            _value(item, "doc", str),
            item.get("default"),
        )
        for item in items
    )


def _exceptions(items: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    fields = _fields(items)
    for field in fields:
        if not isinstance(field.type, StructType):
            raise TypeError(f"{field.name} is thrown")
    return fields


def _type(item: str | Mapping[str, Any], depth: int = 1) -> Type:
    if isinstance(item, str):
        if item not in BASE_TYPES:
            raise ValueError(f"{FILE_NAME} names the type {item!r}, which this version does not know")
        return BaseType(item)
    if depth > MOST_NESTED:
        raise ValueError(f"{FILE_NAME} has a type that is nested deeper than {MOST_NESTED}")
    ((kind, content),) = item.items()
    if kind == "list":
        return ListType(_type(content, depth + 1))
    if kind == "set":
        return SetType(_type(content, depth + 1))
    if kind == "map":
        key, value = _value(item, kind, list)
        return MapType(_type(key, depth + 1), _type(value, depth + 1))
    if kind == "struct":
        return StructType(_value(item, kind, str))
    if kind == "enum":
        return EnumType(_value(item, kind, str))
    raise ValueError(f"{FILE_NAME} names the type {kind!r}, which this version does not know")
