"""What the IDL says of a stub: methods, types, annotations and doc comments.

The modules that the Thrift compiler makes keep neither annotations nor enum names nor which string is text, so
``thrift-rpc compile`` writes ``idl.json`` at the root of its output. Options (``timeout_ms``, ``idempotent``),
reflection and the command line read it through :func:`load`. Everything here is data: nothing imports a stub.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any, Final, TypeAlias

import attrs

FILE_NAME: Final = "idl.json"
FORMAT: Final = 1

BASE_TYPES: Final = frozenset({"bool", "i8", "i16", "i32", "i64", "double", "string", "binary", "uuid"})


@attrs.frozen
class BaseType:
    """One of Thrift's own types.

    :ivar name: as the IDL writes it, ``byte`` as ``i8``.
    """

    name: str


@attrs.frozen
class ListType:
    """``list<element>``."""

    element: Type


@attrs.frozen
class SetType:
    """``set<element>``."""

    element: Type


@attrs.frozen
class MapType:
    """``map<key, value>``."""

    key: Type
    value: Type


@attrs.frozen
class StructType:
    """A struct, union or exception.

    :ivar name: the key in :attr:`Interface.structs`: Python package below the output's root, a dot, the name.
    """

    name: str


@attrs.frozen
class EnumType:
    """An enum; on the wire and in Python an ``int``.

    :ivar name: the key in :attr:`Interface.enums`.
    """

    name: str


Type: TypeAlias = BaseType | ListType | SetType | MapType | StructType | EnumType
"""What a value may be. Typedefs are resolved."""


@attrs.frozen
class Field:
    """A field of a struct, or an argument or exception of a method.

    :ivar requiredness: ``"required"``, ``"optional"`` or ``"default"`` (written neither way).
    :ivar has_default: whether the IDL gives a value for when none is set.
    """

    id: int
    name: str
    type: Type
    requiredness: str
    has_default: bool
    doc: str


@attrs.frozen
class StructDescription:
    """A struct, union or exception of the IDL.

    :ivar kind: ``"struct"``, ``"union"`` or ``"exception"``.
    :ivar module: where its class is, below :attr:`Interface.root`, such as ``calculator.ttypes``.
    """

    name: str
    module: str
    kind: str
    doc: str
    fields: tuple[Field, ...]
    annotations: Mapping[str, str]


@attrs.frozen
class EnumDescription:
    """An enum of the IDL.

    :ivar members: number by name, in the IDL's order.
    :ivar docs: doc comment by member's name; only those that have one.
    """

    name: str
    module: str
    doc: str
    members: Mapping[str, int]
    docs: Mapping[str, str]


@attrs.frozen
class ConstantDescription:
    """A constant of the IDL: what it is, not its value."""

    name: str
    module: str
    type: Type
    doc: str


@attrs.frozen
class MethodDescription:
    """A method of a service.

    :ivar returns: ``None`` for ``void``.
    :ivar annotations: the text of each, by name: ``{"timeout_ms": "5000"}``.
    """

    name: str
    doc: str
    arguments: tuple[Field, ...]
    returns: Type | None
    throws: tuple[Field, ...]
    oneway: bool
    annotations: Mapping[str, str]


@attrs.frozen
class ServiceDescription:
    """A service of the IDL.

    :ivar module: where its stub is, below the root, such as ``calculator.Calculator``.
    :ivar extends: the key of the service it extends in :attr:`Interface.services`, or ``None``.
    :ivar methods: by name, inherited ones first.
    :ivar interface: all that was compiled with it, for the types that its methods name.
    """

    name: str
    module: str
    doc: str
    extends: str | None
    methods: Mapping[str, MethodDescription]
    annotations: Mapping[str, str]
    interface: Interface = attrs.field(repr=False, eq=False)


@attrs.frozen(eq=False)
class Interface:
    """Everything of one ``idl.json``. Keys are the Python package below the root, a dot and the name in the IDL.

    :ivar root: the importable name of the package that holds the file, such as ``generated``; ``""`` when unknown.
    """

    root: str
    structs: dict[str, StructDescription] = attrs.field(factory=dict, init=False)
    enums: dict[str, EnumDescription] = attrs.field(factory=dict, init=False)
    constants: dict[str, ConstantDescription] = attrs.field(factory=dict, init=False)
    services: dict[str, ServiceDescription] = attrs.field(factory=dict, init=False)

    def struct_path(self, name: str) -> tuple[str, str]:
        """Say where the class of a struct is: the module to import and the name in it.

        :raises KeyError: there is no struct of this key.
        """
        description = self.structs[name]
        return f"{self.root}.{description.module}" if self.root else description.module, description.name


def load(stub: ModuleType) -> ServiceDescription | None:
    """Find what the IDL says of a stub module such as ``generated.calculator.Calculator``.

    Looks for ``idl.json`` in the packages around the module, the nearest first. ``None`` when there is none that
    lists the stub: plain output of the Thrift compiler has none, and works too.

    :raises ValueError: the file is there but was damaged, or written by a newer version.
    """
    parts = stub.__name__.split(".")
    for length in range(len(parts) - 1, 0, -1):
        root = ".".join(parts[:length])
        try:
            text = importlib.resources.files(root).joinpath(FILE_NAME).read_text("utf-8")
        except (OSError, ImportError, TypeError):
            continue
        try:
            interface = parse(json.loads(text), root)
        except (KeyError, TypeError, AttributeError) as damage:
            raise ValueError(f"{FILE_NAME} of {root} is damaged ({damage!r}): compile the IDL again") from damage
        service = interface.services.get(".".join(parts[length:]))
        if service is not None:
            return service
    return None


def parse(document: Mapping[str, Any], root: str = "") -> Interface:
    """Turn the content of ``idl.json`` into descriptions.

    :raises ValueError: the content has another format than this version reads.
    """
    if document.get("format") != FORMAT:
        raise ValueError(f"{FILE_NAME} of {root} has format {document.get('format')}, not {FORMAT}: compile again")
    interface = Interface(root)
    for key, struct in document["structs"].items():
        package, name = _split(key)
        interface.structs[key] = StructDescription(
            name, f"{package}.ttypes", struct["kind"], struct["doc"], _fields(struct["fields"]), _annotations(struct)
        )
    for key, enum in document["enums"].items():
        package, name = _split(key)
        members = {member["name"]: member["value"] for member in enum["members"]}
        docs = {member["name"]: member["doc"] for member in enum["members"] if member["doc"]}
        interface.enums[key] = EnumDescription(
            name, f"{package}.ttypes", enum["doc"], MappingProxyType(members), MappingProxyType(docs)
        )
    for key, constant in document["constants"].items():
        package, name = _split(key)
        interface.constants[key] = ConstantDescription(
            name, f"{package}.constants", _type(constant["type"]), constant["doc"]
        )
    for key in document["services"]:
        _add_service(interface, document["services"], key)
    return interface


def _add_service(interface: Interface, services: Mapping[str, Any], key: str) -> ServiceDescription:
    if key in interface.services:
        return interface.services[key]
    service = services[key]
    methods: dict[str, MethodDescription] = {}
    if service["extends"] is not None:
        methods.update(_add_service(interface, services, service["extends"]).methods)
    for method in service["methods"]:
        methods[method["name"]] = MethodDescription(
            method["name"],
            method["doc"],
            _fields(method["arguments"]),
            None if method["returns"] is None else _type(method["returns"]),
            _fields(method["throws"]),
            method["oneway"],
            _annotations(method),
        )
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
