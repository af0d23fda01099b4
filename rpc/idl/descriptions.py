"""Descriptions of the IDL's definitions: structs, enums, constants and services."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import attrs

from rpc.idl.python_names import python_name
from rpc.idl.types import Type


@attrs.frozen
class Field:
    """A field of a struct, or an argument or exception of a method.

    :ivar requiredness: ``"required"``, ``"optional"`` or ``"default"`` (written neither way).
    :ivar has_default: whether the IDL gives the field a default value.
    :ivar default: the default value as JSON (:mod:`rpc.reflection.defaults`); ``None`` when there is none, or when an
        earlier version has written the file.
    """

    id: int
    name: str
    type: Type
    requiredness: str
    has_default: bool
    doc: str
    default: Any = attrs.field(default=None, eq=False)


@attrs.frozen
class StructDescription:
    """A struct, union or exception of the IDL.

    :ivar kind: ``"struct"``, ``"union"`` or ``"exception"``.
    :ivar module: the module of its class, below :attr:`Interface.root`, such as ``calculator.ttypes``.
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
    :ivar docs: doc comment by member's name; a member without one is left out.
    """

    name: str
    module: str
    doc: str
    members: Mapping[str, int]
    docs: Mapping[str, str]


@attrs.frozen
class ConstantDescription:
    """A constant of the IDL, without its value."""

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

    :ivar module: its stub, below the root, such as ``calculator.Calculator``.
    :ivar extends: the key of the service it extends in :attr:`Interface.services`, or ``None``.
    :ivar methods: by name, inherited ones first.
    :ivar interface: the definitions that were compiled with it, for the types of its methods.
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
    """The content of one ``idl.json``. A key is the Python package below the root, a dot and the name in the IDL.

    :ivar root: the importable name of the package that holds the file, such as ``generated``; ``""`` when unknown.
    :ivar classes: the classes of structs that are made at run time, by key; all others are imported.
    """

    root: str
    structs: dict[str, StructDescription] = attrs.field(factory=dict, init=False)
    enums: dict[str, EnumDescription] = attrs.field(factory=dict, init=False)
    constants: dict[str, ConstantDescription] = attrs.field(factory=dict, init=False)
    services: dict[str, ServiceDescription] = attrs.field(factory=dict, init=False)
    classes: dict[str, type] = attrs.field(factory=dict, init=False, repr=False)

    def struct_path(self, name: str) -> tuple[str, str]:
        """Return the module of a struct's class, and the class's name.

        :raises KeyError: no struct has this key.
        """
        description = self.structs[name]
        module = f"{self.root}.{description.module}" if self.root else description.module
        return module, python_name(description.name)

    def struct_class(self, name: str) -> type:
        """Return a struct's class. Its module is imported.

        :raises KeyError: no struct has this key.
        """
        made = self.classes.get(name)
        if made is not None:
            return made
        module, class_name = self.struct_path(name)
        found: type = getattr(import_module(module), class_name)
        return found
