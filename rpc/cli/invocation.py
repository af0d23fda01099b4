"""The call that a command line names: stub, method and arguments, checked by the IDL before a request is sent."""

from __future__ import annotations

import importlib
import json
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Any, Final

import attrs

from rpc import idl
from rpc.cli.modules import search_current_directory, why_missing
from rpc.cli.values import SHOWN, Values, describe, is_text
from rpc.errors import ConfigurationError, InvalidRequest
from rpc.stub import Stub

NEAR: Final = 5
"""Methods that an error lists when there is none of the name: those whose names are the nearest."""


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
            near = get_close_matches(method, service.methods, NEAR)
            shown = "".join(f"\n  {_signature(service.methods[name])}" for name in near)
            raise ConfigurationError(
                f"{service.name} has no method {method!r}; 'thrift-rpc call {stub}' lists its {len(service.methods)} "
                f"methods{f'. Names like this one:{shown}' if near else ''}"
            )
        if len(arguments) != len(description.arguments):
            raise InvalidRequest(
                f"{_signature(description)} takes {len(description.arguments)} arguments, not {len(arguments)}"
            )
        for field, text in zip(description.arguments, arguments, strict=True):
            _refuse_named(description, field, text)
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
            if isinstance(error, self._values.interface.struct_class(thrown.type.name)):
                return f"{type(error).__name__} {self._show(thrown.type, error)}"
        return None

    def _show(self, kind: idl.Type, value: Any) -> str:
        return json.dumps(self._values.to_json(kind, value), ensure_ascii=False)


def _refuse_named(method: idl.MethodDescription, argument: idl.Field, text: str) -> None:
    """Refuse a word that names an argument, as other programs have it: it would be sent as text where text fits.

    :raises InvalidRequest: the word is ``name=value``, or for text an object whose keys are all names of arguments.
    """
    names = {field.name for field in method.arguments}
    name, equals, _ = text.partition("=")
    if (equals and name in names) or (is_text(argument.type) and _is_object_of(names, text)):
        quoted = shlex.quote(json.dumps(text, ensure_ascii=False))
        raise InvalidRequest(
            f"{text[:SHOWN]}: arguments have no names here, only their order: {_signature(method)}; if this text is "
            f"meant, write {quoted if len(text) <= SHOWN else 'it as JSON text'}"
        )


def _is_object_of(names: set[str], text: str) -> bool:
    try:
        found = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool(found) and found.keys() <= names


def methods(stub: str) -> list[str]:
    """Return the signatures of a service's methods, as the IDL writes them.

    :raises ConfigurationError: the module `stub` does not import, or is no stub.
    """
    return signatures(describe_service(import_stub(stub)))


def signatures(service: idl.ServiceDescription) -> list[str]:
    """Return the signatures of the methods of a described service, as the IDL writes them."""
    return [_signature(method) for method in service.methods.values()]


def import_stub(name: str) -> ModuleType:
    """Import a module and return it; the current directory is searched first.

    :raises ConfigurationError: the module does not import, for any reason.
    """
    search_current_directory()
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # the module's code may raise any error, and a script ends the program
        why = why_missing(name, error) or f"{name} does not import: {type(error).__name__}: {error}"
        raise ConfigurationError(why) from error


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
