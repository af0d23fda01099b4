"""A record of the calls that reached a handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import attrs

from rpc.context import current_call
from rpc.worker.service import ThriftService


@attrs.frozen
class Call:
    """A call that reached a handler. Calls are equal when service, method and arguments are.

    :ivar service: the service's name on the wire.
    :ivar arguments: in the IDL's order.
    :ivar metadata: the caller's headers.
    """

    service: str
    method: str
    arguments: tuple[Any, ...] = ()
    metadata: Mapping[str, Any] = attrs.field(factory=dict, eq=False, repr=False)


class _Recording:
    """A handler whose methods record the call, and then call the original."""

    def __init__(self, service: ThriftService, handler: object, note: Callable[[Call], None]) -> None:
        for attribute, method in service.description.attributes.items():
            setattr(self, attribute, _noting(service.name, method.name, getattr(handler, attribute), note))


def _noting(service: str, name: str, method: Callable[..., Any], note: Callable[[Call], None]) -> Callable[..., Any]:
    @wraps(method)
    def call(*arguments: Any) -> Any:
        context = current_call()
        note(Call(service, name, arguments, dict(context.metadata) if context is not None else {}))
        return method(*arguments)

    return call


def recorded(service: ThriftService, note: Callable[[Call], None]) -> ThriftService:
    """Return the same service, with `note` called before each method of its handler."""

    def make(connection: Any) -> object:
        return _Recording(service, service.make_handler(connection), note)

    return attrs.evolve(service, handler=None, factory=make)
