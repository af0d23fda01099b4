"""The classes and stubs of one description, each made when it is first asked for."""

from __future__ import annotations

import os
from functools import lru_cache
from threading import Lock
from types import ModuleType
from typing import Any, Final

from zope.interface import Interface as RootInterface
from zope.interface.interface import InterfaceClass, Method

from rpc import idl
from rpc.idl.references import types_of
from rpc.reflection.checks import check, result_fields
from rpc.reflection.classes import Classes
from rpc.reflection.structs import MODULE
from rpc.stub import Stub, StubMethod, make_method

KEPT: Final = 32
"""Descriptions whose classes are kept. Codecs keep every class that they have seen, so equal texts share theirs."""


_MAKING: Final = Lock()
"""Held while a description is read, and while classes are made: connections of ``rpc.blocking`` have a thread each. A
fork waits for it, so no child has a class that is half made.
"""

if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(before=_MAKING.acquire, after_in_parent=_MAKING.release, after_in_child=_MAKING.release)


class Reflection:
    """The classes of one ``idl.json``, and a module for each of its services.

    A module is used as a compiled stub: ``connection.client(module)``. It has the ``Iface``, and the classes of all
    structs and enums that its methods need, by name. Of two with one name in different files, it has that of the
    service's own file.
    """

    def __init__(self, interface: idl.Interface) -> None:
        """:raises ValueError: no classes can be made of the description: a name or number is wrong."""
        check(interface)
        self._interface = interface
        self._classes = Classes(interface)
        self._modules: dict[str, ModuleType] = {}

    @classmethod
    def read(cls, text: str) -> Reflection:
        """Return that of the text of an ``idl.json``.

        :raises ValueError: the text is not JSON, not a description, or none of which classes can be made.
        """
        with _MAKING:
            return _read(text)

    @property
    def services(self) -> dict[str, str]:
        """The names of all services by key."""
        return {key: service.name for key, service in self._interface.services.items()}

    def stub(self, key: str) -> ModuleType:
        """Return the module of a service, by its key in ``idl.json``, such as ``calculator.Calculator``.

        :raises KeyError: there is no such service.
        :raises ValueError: no classes can be made of its types: a default does not fit, or they are too many, too large
            or nested too deeply.
        :raises ConfigurationError: a method's annotation ``timeout_ms`` is wrong.
        """
        with _MAKING:
            if key not in self._modules:
                try:
                    self._modules[key] = self._make_module(self._interface.services[key])
                except RecursionError:
                    raise ValueError("its types are nested too deeply") from None
            return self._modules[key]

    def named(self, name: str) -> ModuleType | None:
        """Return the module of the service of a name, or key; ``None`` when there is none, or more than one."""
        keys = [key for key, service in self.services.items() if name in (key, service)]
        return self.stub(keys[0]) if len(keys) == 1 else None

    def _make_module(self, service: idl.ServiceDescription) -> ModuleType:
        module = ModuleType(service.name, service.doc or None)
        package = service.module.rpartition(".")[0]
        structs, enums = types_of(self._interface, service)
        self._classes.make(structs)
        types = {key: self._classes.struct(key) for key in structs} | {key: self._classes.enum(key) for key in enums}
        for key in sorted(types, key=lambda key: key.rpartition(".")[0] == package):  # those of the own file last
            setattr(module, types[key].__name__, types[key])
        methods = [self._make_method(module, service, method) for method in service.methods.values()]
        by_name = {method.name: method for method in sorted(methods, key=lambda method: method.name)}
        interface = _make_interface(service, by_name)
        module.Iface = interface  # type: ignore[attr-defined]
        Stub(service.name, interface, by_name, service).keep(module)
        return module

    def _make_method(
        self, module: ModuleType, service: idl.ServiceDescription, method: idl.MethodDescription
    ) -> StubMethod:
        arguments = self._classes.helper(f"{method.name}_args", method.arguments)
        result = None if method.oneway else self._classes.helper(f"{method.name}_result", result_fields(method))
        setattr(module, f"{method.name}_args", arguments)
        if result is not None:
            setattr(module, f"{method.name}_result", result)
        names = tuple(idl.python_name(field.name) for field in method.arguments)
        return make_method(method.name, idl.python_name(method.name), names, (arguments, result), service)


def _make_interface(service: idl.ServiceDescription, methods: dict[str, StubMethod]) -> InterfaceClass:
    declared: dict[str, Any] = {}
    for method in methods.values():
        declaration = declared[method.attribute] = Method(method.attribute, method.doc)
        declaration.positional = declaration.required = method.argument_names
        declaration.optional = {}
        declaration.varargs = declaration.kwargs = None
    return InterfaceClass("Iface", (RootInterface,), declared, service.doc, MODULE)


@lru_cache(maxsize=KEPT)
def _read(text: str) -> Reflection:
    return Reflection(idl.read(text))
