"""The call that a command line names: stub, method and arguments, checked by the IDL before a request is sent."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import attrs

from rpc import idl
from rpc.cli.values import Values, describe
from rpc.errors import ConfigurationError, InvalidRequest
from rpc.stub import Stub


@attrs.frozen
class Invocation:
    """A call to be made, and the text of its result.

    :ivar stub: the stub's module.
    :ivar method: the method, as the IDL describes it.
    :ivar arguments: the values of its arguments, as the stub takes them.
    """

    stub: ModuleType
    method: idl.MethodDescription
    arguments: list[Any]
    _values: Values

    @classmethod
    def read(cls, stub: str, method: str, arguments: Sequence[str]) -> Invocation:
        """Read the words of a command line.

        :raises ConfigurationError: the stub does not import, is no stub, or lacks the method.
        :raises InvalidRequest: there are too many arguments or too few, or one does not fit its type.
        """
        module = import_stub(stub)
        service = describe_service(module)
        description = service.methods.get(method)
        if description is None:
            known = "".join(f"\n  {line}" for line in _signatures(service))
            raise ConfigurationError(f"{service.name} has no method {method!r}; its methods:{known}")
        if len(arguments) != len(description.arguments):
            raise InvalidRequest(
                f"{_signature(description)} takes {len(description.arguments)} arguments, not {len(arguments)}"
            )
        values = Values(service.interface)
        given = [
            values.argument(field.type, text, field.name)
            for field, text in zip(description.arguments, arguments, strict=True)
        ]
        return cls(module, description, given, values)

    def label(self, name: str | None) -> str:
        """Return ``<service>.<method>``.

        :param name: the service's name on the broker, when it is not the IDL's.
        """
        return f"{name or self.stub.__name__.rpartition('.')[2]}.{self.method.name}"

    def show(self, result: Any) -> str | None:
        """Return the result as JSON; ``None`` for a method without a result."""
        return None if self.method.returns is None else self._show(self.method.returns, result)

    def show_thrown(self, error: Exception) -> str | None:
        """Return an exception's name and its fields as JSON; ``None`` when the method does not declare it."""
        for thrown in self.method.throws:
            assert isinstance(thrown.type, idl.StructType)
            if isinstance(error, self._values.struct_class(thrown.type)):
                return f"{type(error).__name__} {self._show(thrown.type, error)}"
        return None

    def _show(self, kind: idl.Type, value: Any) -> str:
        return json.dumps(self._values.to_json(kind, value), ensure_ascii=False)


def methods(stub: str) -> list[str]:
    """Return the signatures of a service's methods, as the IDL writes them.

    :raises ConfigurationError: the module `stub` does not import, or is no stub.
    """
    return _signatures(describe_service(import_stub(stub)))


def _signatures(service: idl.ServiceDescription) -> list[str]:
    return [_signature(method) for method in service.methods.values()]


def import_stub(name: str) -> ModuleType:
    """Import a module and return it; the current directory is searched first.

    :raises ConfigurationError: the module does not import, for any reason.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:  # the module's code may raise any error
        raise ConfigurationError(f"{name} does not import: {type(error).__name__}: {error}") from error


def describe_service(module: ModuleType) -> idl.ServiceDescription:
    """Return the IDL's description of a stub's service.

    :raises ConfigurationError: the module is no stub, or no ``idl.json`` describes it.
    """
    try:
        Stub.of(module)  # its error explains which module is a stub
        service = idl.load(module)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if service is None:
        raise ConfigurationError(
            f"no {idl.FILE_NAME} around {module.__name__} describes its types: compile the IDL with "
            "'thrift-rpc compile'"
        )
    return service


def _signature(method: idl.MethodDescription) -> str:
    takes = ", ".join(f"{describe(field.type)} {field.name}" for field in method.arguments)
    gives = "oneway" if method.oneway else "void" if method.returns is None else describe(method.returns)
    return f"{gives} {method.name}({takes})"
