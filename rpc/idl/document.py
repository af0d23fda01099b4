"""``idl.json``, which ``thrift-rpc compile`` writes at the root of its output, read as descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from rpc.idl.descriptions import (
    ConstantDescription,
    EnumDescription,
    Field,
    Interface,
    MethodDescription,
    ServiceDescription,
    StructDescription,
)
from rpc.idl.types import BASE_TYPES, BaseType, EnumType, ListType, MapType, SetType, StructType, Type

FILE_NAME: Final = "idl.json"

FORMAT: Final = 1
"""The version of the content. A file with another one is refused."""


def parse(document: Mapping[str, Any], root: str = "") -> Interface:
    """Turn the content of ``idl.json`` into descriptions.

    :param root: the importable name of the package that holds the file; ``""`` when unknown.
    :raises ValueError: the content has another format, or a type that this version does not know.
    :raises KeyError, TypeError, AttributeError: the content is damaged.
    """
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
            name, f"{package}.constants", _type(constant["type"]), constant["doc"]
        )
    for key in document["services"]:
        _add_service(interface, document["services"], key)
    return interface


def _struct(key: str, struct: Mapping[str, Any]) -> StructDescription:
    package, name = _split(key)
    return StructDescription(
        name, f"{package}.ttypes", struct["kind"], struct["doc"], _fields(struct["fields"]), _annotations(struct)
    )


def _enum(key: str, enum: Mapping[str, Any]) -> EnumDescription:
    package, name = _split(key)
    members = {member["name"]: member["value"] for member in enum["members"]}
    docs = {member["name"]: member["doc"] for member in enum["members"] if member["doc"]}
    return EnumDescription(name, f"{package}.ttypes", enum["doc"], MappingProxyType(members), MappingProxyType(docs))


def _add_service(interface: Interface, services: Mapping[str, Any], key: str) -> ServiceDescription:
    if key in interface.services:
        return interface.services[key]
    service = services[key]
    methods: dict[str, MethodDescription] = {}
    if service["extends"] is not None:
        methods.update(_add_service(interface, services, service["extends"]).methods)
    methods.update({method["name"]: _method(method) for method in service["methods"]})
    description = ServiceDescription(
        _split(key)[1],
        key,
        service["doc"],
        service["extends"],
        MappingProxyType(methods),
        _annotations(service),
        interface,
    )
    interface.services[key] = description
    return description


def _method(method: Mapping[str, Any]) -> MethodDescription:
    return MethodDescription(
        method["name"],
        method["doc"],
        _fields(method["arguments"]),
        None if method["returns"] is None else _type(method["returns"]),
        _fields(method["throws"]),
        method["oneway"],
        _annotations(method),
    )


def _split(key: str) -> tuple[str, str]:
    package, _, name = key.rpartition(".")
    return package, name


def _annotations(item: Mapping[str, Any]) -> Mapping[str, str]:
    return MappingProxyType(dict(item["annotations"]))


def _fields(items: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    return tuple(
        Field(
            item["id"],
            item["name"],
            _type(item["type"]),
            item["requiredness"],
            item["has_default"],
            item["doc"],
        )
        for item in items
    )


def _type(item: str | Mapping[str, Any]) -> Type:
    if isinstance(item, str):
        if item not in BASE_TYPES:
            raise ValueError(f"{FILE_NAME} names the type {item!r}, which this version does not know")
        return BaseType(item)
    ((kind, content),) = item.items()
    if kind == "list":
        return ListType(_type(content))
    if kind == "set":
        return SetType(_type(content))
    if kind == "map":
        return MapType(_type(content[0]), _type(content[1]))
    if kind == "struct":
        return StructType(content)
    if kind == "enum":
        return EnumType(content)
    raise ValueError(f"{FILE_NAME} names the type {kind!r}, which this version does not know")
