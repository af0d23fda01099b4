"""Calls as data, without generated classes: they are listed before the IDL is compiled, and serve other languages."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import attrs
from thrift.Thrift import TApplicationException

from rpc.frozen import FrozenDict


@attrs.frozen
class Struct:
    """A struct, union or exception of the IDL.

    :ivar fields: the values of those that are set, by name. The order is that of the test, and has no meaning.
    """

    name: str
    fields: tuple[tuple[str, Any], ...]


def struct(name: str, /, **fields: Any) -> Struct:
    """Return a struct with these fields set."""
    return Struct(name, tuple(fields.items()))


@attrs.frozen
class ApplicationError:
    """A ``TApplicationException``.

    :ivar type: Thrift's number.
    """

    type: int
    message: str


class Undeclared(Exception):
    """An exception of a handler that its IDL does not declare."""


@attrs.frozen
class Returns:
    """A value, of a handler or of a call."""

    value: Any = None


@attrs.frozen
class Raises:
    """An exception, of a handler or of a call.

    :ivar error: a :class:`Struct`, an :class:`ApplicationError`, or :class:`Undeclared`.
    """

    error: Any


class Refused:
    """The outcome of a call whose arguments the client does not send: ``InvalidRequest``."""


Answer = Returns | Raises
AS_SENT: Any = object()
NOT_RUN: Any = None


@attrs.frozen
class Case:
    """One call.

    :ivar name: unique among all cases.
    :ivar arguments: in the order of the IDL; ``None`` is not sent.
    :ivar answer: of the handler.
    :ivar seen: the arguments that the handler must see: ``AS_SENT``, or others, or ``NOT_RUN``.
    :ivar outcome: of the call; ``AS_SENT`` when it is the handler's answer.
    :ivar service: the service of the IDL that is called.
    :ivar stub: the service of the IDL that the client was compiled with; the same when it is empty.
    :ivar protocols: those that can carry the values.
    :ivar apart: why Thrift's own Python cannot be asked for its bytes; else nothing.
    :ivar apart_in: the protocols in which it cannot.
    """

    name: str
    method: str
    arguments: tuple[Any, ...] = ()
    answer: Answer = Returns()
    seen: Any = AS_SENT
    outcome: Any = AS_SENT
    service: str = "Harbour"
    stub: str = ""
    protocols: tuple[str, ...] = ("binary", "compact", "json")
    apart: str = ""
    apart_in: tuple[str, ...] = ("binary", "compact", "json")

    @property
    def expected_arguments(self) -> tuple[Any, ...] | None:
        """The arguments that the handler must see; ``None``: it must not be run."""
        expected: tuple[Any, ...] | None = self.arguments if self.seen is AS_SENT else self.seen
        return expected

    def has_thrifts_bytes(self, protocol: str) -> bool:
        """Return whether Thrift's own Python sends these arguments and answers them, as it should."""
        return self.expected_outcome is not Refused and not (self.apart and protocol in self.apart_in)

    @property
    def expected_outcome(self) -> Any:
        """:class:`Returns`, :class:`Raises` or :class:`Refused`."""
        return self.answer if self.outcome is AS_SENT else self.outcome


def with_classes(value: Any, module: ModuleType) -> Any:
    """Return the value as a program has it.

    :param module: has the classes that were generated for the structs.
    """
    if isinstance(value, Struct):
        return getattr(module, value.name)(**{name: with_classes(field, module) for name, field in value.fields})
    if isinstance(value, ApplicationError):
        return TApplicationException(value.type, value.message)
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(with_classes(element, module) for element in value)
    if isinstance(value, (dict, FrozenDict)):
        pairs = [(with_classes(key, module), with_classes(item, module)) for key, item in value.items()]
        return type(value)(pairs)
    return value
