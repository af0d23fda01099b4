"""The call that a command line names: service, method and arguments, checked by the IDL before a request is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Any, Final

import attrs

from rpc import idl
from rpc.cli.argument_words import read_arguments, read_json, signature
from rpc.cli.targets import Target
from rpc.cli.values import Values
from rpc.errors import ConfigurationError

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
    def read(cls, target: Target, method: str, arguments: Sequence[str] | str) -> Invocation:
        """Read the words of a command line.

        :param arguments: a word for each, or JSON with all of them.
        :raises ConfigurationError: the service lacks the method.
        :raises InvalidRequest: there are too many arguments or too few, or one does not fit its type.
        """
        description = _find_method(target.description, method)
        values = Values(target.description.interface)
        if isinstance(arguments, str):
            given = read_json(values, description, arguments)
        else:
            given = read_arguments(values, description, arguments)
        return cls(target.stub, description, given, values)

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


def _find_method(service: idl.ServiceDescription, name: str) -> idl.MethodDescription:
    method = service.methods.get(name)
    if method is None:
        near = get_close_matches(name, service.methods, NEAR)
        shown = "".join(f"\n  {signature(service.methods[one])}" for one in near)
        raise ConfigurationError(
            f"{service.name} has no method {name!r}; 'thrift-rpc call' without a method lists its "
            f"{len(service.methods)} methods{f'. Names like this one:{shown}' if near else ''}"
        )
    return method


def methods(service: idl.ServiceDescription) -> list[str]:
    """Return the signatures of a service's methods, as the IDL writes them."""
    return [signature(method) for method in service.methods.values()]
