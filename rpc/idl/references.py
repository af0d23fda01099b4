"""The structs and enums that types name. Each must be described, so that no reader of a description looks in vain."""

from __future__ import annotations

from collections.abc import Iterator

from rpc.idl.descriptions import Field, Interface, ServiceDescription
from rpc.idl.types import EnumType, ListType, MapType, SetType, StructType, Type


def check_references(interface: Interface) -> None:
    """Check that every struct and enum that a type names is described.

    :raises KeyError: one is not.
    """
    for kind in _types(interface):
        for named in _named(kind):
            if isinstance(named, StructType):
                interface.structs[named.name]
            else:
                interface.enums[named.name]


def types_of(interface: Interface, service: ServiceDescription) -> tuple[list[str], list[str]]:
    """Return the keys of the structs and of the enums that a service's methods need, also within others."""
    structs: dict[str, None] = {}
    enums: dict[str, None] = {}
    pending = list(_types_of_methods(service))
    while pending:
        for named in _named(pending.pop()):
            if isinstance(named, EnumType):
                enums[named.name] = None
            elif named.name not in structs:
                structs[named.name] = None
                pending += _types_of(interface.structs[named.name].fields)
    return list(structs), list(enums)


def _types(interface: Interface) -> Iterator[Type]:
    yield from (constant.type for constant in interface.constants.values())
    for struct in interface.structs.values():
        yield from _types_of(struct.fields)
    for service in interface.services.values():
        yield from _types_of_methods(service)


def _types_of_methods(service: ServiceDescription) -> Iterator[Type]:
    for method in service.methods.values():
        yield from _types_of(method.arguments)
        yield from _types_of(method.throws)
        if method.returns is not None:
            yield method.returns


def _types_of(fields: tuple[Field, ...]) -> Iterator[Type]:
    return (field.type for field in fields)


def _named(kind: Type) -> Iterator[StructType | EnumType]:
    match kind:
        case ListType(element) | SetType(element):
            yield from _named(element)
        case MapType(key, value):
            yield from _named(key)
            yield from _named(value)
        case StructType() | EnumType():
            yield kind
