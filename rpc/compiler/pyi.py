"""The ``.pyi`` file beside each generated module: typed structs, interfaces and clients, with their doc comments.

A handler's method may return a value, a Deferred or a coroutine, so ``Iface`` declares all three (mypy-zope compares a
handler with it). ``Client`` narrows them to a Deferred. A field that is not required is ``T | None``, unless the IDL
gives it a default. Enums are ``int``, as in the stubs. In a set, and in a key of a map, a list is a ``tuple``, a set a
``frozenset`` and a map a ``FrozenDict`` (:mod:`rpc.frozen`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rpc import idl
from rpc.compiler.docstrings import docstring, method_doc
from rpc.compiler.method_fields import methods_of
from rpc.compiler.references import alias, import_line
from rpc.compiler.service_names import OWN
from rpc.idl import python_name

_PYTHON_TYPES: Final = {
    "bool": "bool",
    "i8": "int",
    "i16": "int",
    "i32": "int",
    "i64": "int",
    "double": "float",
    "string": "str",
    "binary": "bytes",
    "uuid": "_UUID",
}
# fmt: off
_BUILTINS: Final = frozenset({
    "bool", "int", "float", "str", "bytes", "list", "set", "dict", "tuple", "frozenset", "object", "Exception",
    "property", "classmethod",
})
# fmt: on


def write(interface: idl.Interface, packages: Iterable[str]) -> dict[str, str]:
    """Return the text of every ``.pyi`` file, by path (with ``/``) below the output's root.

    :param packages: the Python packages of the output, below its root; each has ``ttypes`` and ``constants``.
    """
    files: dict[str, str] = {}
    for package in sorted(set(packages)):
        folder = package.replace(".", "/")
        files[f"{folder}/ttypes.pyi"] = _TypesModule(interface, package).text()
        files[f"{folder}/constants.pyi"] = _ConstantsModule(interface, package).text()
    for service in interface.services.values():
        files[f"{service.module.replace('.', '/')}.pyi"] = _ServiceModule(interface, service).text()
    return files


class _Module:
    """One ``.pyi``. Its body is written first, since it determines the imports."""

    header: tuple[str, ...] = ()
    """The settings of type checkers, and the imports, that every file of the kind has."""

    def __init__(self, interface: idl.Interface, package: str) -> None:
        self.interface = interface
        self.package = package
        self.imports: set[str] = set()
        self.shadowed = self.names() & _BUILTINS

    def names(self) -> set[str]:
        """Return the names that the file defines at any level, or imports with ``*``."""
        raise NotImplementedError

    def body(self) -> Iterator[str]:
        """Yield the lines after the imports."""
        raise NotImplementedError

    def import_types(self) -> Iterable[str]:
        """Return the lines that import the types of the package."""
        return ()

    def text(self) -> str:
        body = list(self.body())
        lines = ["# Made by `thrift-rpc compile`; it writes over what is changed here.", *self.header]
        lines += self.import_types()
        if any("_builtins." in line for line in body):
            lines.append("import builtins as _builtins")
        if any("_UUID" in line for line in body):
            lines.append("from uuid import UUID as _UUID")
        if any("_FrozenDict[" in line for line in body):
            lines.append("from rpc.frozen import FrozenDict as _FrozenDict")
        lines += [import_line(module, self.package) for module in sorted(self.imports)]
        return "\n".join([*lines, *body]) + "\n"

    def builtin(self, name: str) -> str:
        """Return the name of a Python type; a qualified one if the file hides it, say with a field ``bytes``."""
        return f"_builtins.{name}" if name in self.shadowed else name

    def spell(self, kind: idl.Type, hashed: bool = False) -> str:
        """Return the annotation for a type, and note the module that it needs.

        :param hashed: the value is in a set, or a key of a map, where the frozen equivalents of containers arrive.
        """
        if isinstance(kind, idl.BaseType):
            name = _PYTHON_TYPES[kind.name]
            return name if name not in _BUILTINS else self.builtin(name)
        if isinstance(kind, idl.ListType):
            element = self.spell(kind.element, hashed)
            return f"{self.builtin('tuple')}[{element}, ...]" if hashed else f"{self.builtin('list')}[{element}]"
        if isinstance(kind, idl.SetType):
            return f"{self.builtin('frozenset' if hashed else 'set')}[{self.spell(kind.element, True)}]"
        if isinstance(kind, idl.MapType):
            name = "_FrozenDict" if hashed else self.builtin("dict")
            return f"{name}[{self.spell(kind.key, True)}, {self.spell(kind.value, hashed)}]"
        if isinstance(kind, idl.EnumType):
            return self.builtin("int")
        struct = self.interface.structs[kind.name]
        self.imports.add(struct.module)
        return f"{alias(struct.module)}.{python_name(struct.name)}"


class _TypesModule(_Module):
    header = ("from typing import Any as _Any, ClassVar as _ClassVar, Final as _Final",)

    def names(self) -> set[str]:
        names = {field.name for struct in self._structs() for field in struct.fields}
        names |= {name for enum in self._enums() for name in enum.members}
        return set(map(python_name, names)) | self.types()

    def types(self) -> set[str]:
        """Return the names of the structs and enums."""
        names = {struct.name for struct in self._structs()} | {enum.name for enum in self._enums()}
        return set(map(python_name, names))

    def _structs(self) -> list[idl.StructDescription]:
        return [item for item in self.interface.structs.values() if item.module == f"{self.package}.ttypes"]

    def _enums(self) -> list[idl.EnumDescription]:
        return [item for item in self.interface.enums.values() if item.module == f"{self.package}.ttypes"]

    def body(self) -> Iterator[str]:
        for enum in self._enums():
            yield from ("", f"class {python_name(enum.name)}:", *docstring(enum.doc, 4))
            for name in enum.members:
                yield f"    {python_name(name)}: _Final = {enum.members[name]}"
                yield from docstring(enum.docs.get(name, ""), 4)
            number, text, mapping = self.builtin("int"), self.builtin("str"), self.builtin("dict")
            yield f"    _VALUES_TO_NAMES: _ClassVar[{mapping}[{number}, {text}]]"
            yield f"    _NAMES_TO_VALUES: _ClassVar[{mapping}[{text}, {number}]]"
        for struct in self._structs():
            yield from self._struct(struct)

    def _struct(self, struct: idl.StructDescription) -> Iterator[str]:
        name = python_name(struct.name)
        is_exception = struct.kind == "exception"
        base = f"({self.builtin('Exception')})" if is_exception else ""
        yield from ("", f"class {name}{base}:")
        yield from docstring(struct.doc, 4)
        for field in struct.fields:
            if is_exception:
                yield f"    @{self.builtin('property')}"
                yield f"    def {python_name(field.name)}(self) -> {self._field_type(field)}:"
                yield from (*docstring(field.doc, 8), "        ...")
            else:
                yield f"    {python_name(field.name)}: {self._field_type(field)}"
                yield from docstring(field.doc, 4)
        yield "    thrift_spec: _ClassVar[_Any]"
        yield f"    def __init__({', '.join(self._parameters(struct))}) -> None: ..."
        yield from self._methods(struct, methods_of(struct.fields))

    def _methods(self, struct: idl.StructDescription, visible: frozenset[str]) -> Iterator[str]:
        """Yield the methods that no field hides."""
        if "read" in visible and struct.kind == "exception":
            yield f"    @{self.builtin('classmethod')}"
            yield f"    def read(cls, iprot: _Any) -> {python_name(struct.name)}: ..."
        elif "read" in visible:
            yield "    def read(self, iprot: _Any) -> None: ..."
        if "write" in visible:
            yield "    def write(self, oprot: _Any) -> None: ..."
        if "validate" in visible:
            yield "    def validate(self) -> None: ..."

    def _field_type(self, field: idl.Field) -> str:
        always_there = field.requiredness == "required" or field.has_default
        return self.spell(field.type) if always_there else f"{self.spell(field.type)} | None"

    def _parameters(self, struct: idl.StructDescription) -> Iterator[str]:
        """Yield the parameters. A required field after one with a default can only be given by name."""
        yield "self"
        any_left_out = keywords_only = False
        for field in struct.fields:
            needed = field.requiredness == "required" and not field.has_default
            if needed and any_left_out and not keywords_only:
                keywords_only = True
                yield "*"
            any_left_out = any_left_out or not needed
            yield f"{python_name(field.name)}: {self._field_type(field)}{'' if needed else ' = ...'}"


class _ConstantsModule(_Module):
    header = ("from typing import Final as _Final",)

    def import_types(self) -> Iterator[str]:
        yield "from .ttypes import *"

    def _constants(self) -> list[idl.ConstantDescription]:
        return [item for item in self.interface.constants.values() if item.module == f"{self.package}.constants"]

    def names(self) -> set[str]:
        names = {python_name(constant.name) for constant in self._constants()}
        return names | _TypesModule(self.interface, self.package).names()

    def body(self) -> Iterator[str]:
        for constant in self._constants():
            name, kind = python_name(constant.name), self.spell(constant.type)
            yield from ("", f"{name}: _Final[{kind}]", *docstring(constant.doc, 0))


class _ServiceModule(_Module):
    # The methods of zope's interfaces have no `self`. mypy accepts that with its plugin alone, and pyright does not.
    header = (
        "# mypy: disable-error-code=misc",
        "# pyright: reportSelfClsParameterName=false, reportGeneralTypeIssues=false",
        "from asyncio import Future as _Future",
        "from collections.abc import Callable as _Callable, Coroutine as _Coroutine",
        "from typing import Any as _Any, type_check_only as _type_check_only",
        "from twisted.internet.defer import Deferred as _Deferred",
        "from zope.interface import Interface as _Interface, implementer as _implementer",
    )

    def __init__(self, interface: idl.Interface, service: idl.ServiceDescription) -> None:
        self.service = service
        inherited = interface.services[service.extends].methods if service.extends else {}
        self.methods = [method for name, method in service.methods.items() if inherited.get(name) is not method]
        super().__init__(interface, service.module.rpartition(".")[0])

    def import_types(self) -> Iterator[str]:
        """Yield the imports of the package's types, without those that have the name of a class of the service."""
        types = _TypesModule(self.interface, self.package).types()
        if types.isdisjoint(OWN):
            yield "from .ttypes import *"
        else:
            public = (name for name in sorted(types - OWN) if not name.startswith("_"))
            yield from (f"from .ttypes import {name} as {name}" for name in public)

    def names(self) -> set[str]:
        names = {python_name(method.name) for method in self.methods}
        return names | _TypesModule(self.interface, self.package).names()

    def body(self) -> Iterator[str]:
        service = self.service
        parent = ""
        if service.extends is not None:
            self.imports.add(service.extends)
            parent = alias(service.extends)
        yield from ("", f"class Iface({parent}.Iface):" if parent else "class Iface(_Interface):")
        yield from docstring(service.doc, 4)
        if not service.doc and not self.methods:
            yield "    ..."
        for method in self.methods:
            result = self._result(method)
            returns = f"{result} | _Deferred[{result}] | _Coroutine[_Any, _Any, {result}]"
            yield f"    def {python_name(method.name)}({', '.join(self._arguments(method))}) -> {returns}:"
            yield from (*docstring(method_doc(method, self.interface), 8), "        ...")
        yield from ("", "@_implementer(Iface)", f"class Client({parent}.Client):" if parent else "class Client:")
        yield from docstring(service.doc, 4)
        yield "    def __init__(self, transport: _Any, oprot_factory: _Any) -> None: ..."
        yield from self._client_methods("_Deferred[{}]")
        for name, returns in (("AsyncioClient", "_Future[{}]"), ("BlockingClient", "{}")):
            yield from ("", "@_type_check_only", f"class {name}({parent}.{name}):" if parent else f"class {name}:")
            yield from docstring(service.doc, 4)
            if not service.doc and not self.methods:
                yield "    ..."
            yield from self._client_methods(returns)
        yield from ("", f"class Processor({parent}.Processor):" if parent else "class Processor:")
        yield "    def __init__(self, handler: Iface) -> None: ..."
        yield "    def on_message_begin(self, func: _Callable[..., _Any]) -> None: ..."
        yield "    def process(self, iprot: _Any, oprot: _Any) -> _Deferred[None]: ..."

    def _client_methods(self, returns: str) -> Iterator[str]:
        """Yield the methods of a client.

        :param returns: what they return, with ``{}`` for the result's type.
        """
        for method in self.methods:
            arguments = ", ".join(["self", *self._arguments(method)])
            yield f"    def {python_name(method.name)}({arguments}) -> {returns.format(self._result(method))}:"
            yield from (*docstring(method_doc(method, self.interface), 8), "        ...")

    def _result(self, method: idl.MethodDescription) -> str:
        return "None" if method.returns is None else self.spell(method.returns)

    def _arguments(self, method: idl.MethodDescription) -> list[str]:
        return [f"{python_name(argument.name)}: {self.spell(argument.type)}" for argument in method.arguments]
