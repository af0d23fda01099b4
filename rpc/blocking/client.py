"""Clients whose methods wait, and return results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import rpc.client.stub_client as twisted_clients
from rpc.client.adapters import ClientAdapter, MethodAdapter
from rpc.client.options import Options
from rpc.client.reply_values import Reply

if TYPE_CHECKING:  # Python has them from 3.11 and 3.10 on
    from typing_extensions import ParamSpec, Unpack

    P = ParamSpec("P")

T = TypeVar("T")

Made = tuple["Waiter", Any]
"""What waits for calls, and a client of Twisted, or its method."""


class Waiter(Protocol):
    """Calls in the reactor's thread, and waits: :meth:`rpc.blocking.loop_thread.LoopThread.call`."""

    def __call__(self, function: Callable[[], Any], /) -> Any: ...


class Method(MethodAdapter):
    """A method of a client."""

    package = "rpc.blocking"

    def __repr__(self) -> str:
        source, name = self.args
        return repr(getattr(source.made[1], name))


class Source:
    """Where a client's methods come from: a client of Twisted, and after a fork another one.

    :ivar made: the one that was used last.
    """

    def __init__(self, make: Callable[..., Made], stub: Any, options: Options, made: Made | None = None) -> None:
        """
        :param make: returns a client of the connection that is open now; the given one, if it is of that one.
        :param made: a client with the options, if there is one.
        """
        self.make = make
        self.stub = stub
        self.options = options
        self.made: Made = make(stub, options, made)

    def method(self, name: str) -> Made:
        """Return the waiter and the method."""
        self.made = waiter, client = self.make(self.stub, self.options, self.made)
        return waiter, getattr(client, name)

    def changed(self, options: Options) -> Source:
        """Return that of a client with other options. One without a stub keeps the description of its service."""
        waiter, client = self.make(self.stub, self.options, self.made)
        made = waiter, waiter(partial(client.__replace__, **options))
        return Source(self.make, self.stub, {**self.options, **options}, made)


class Client(ClientAdapter):
    """A client of one service: its methods make calls. Made by :meth:`rpc.blocking.Connection.client`.

    Any number of threads may use it.
    """

    _source: Source

    def __init__(self, source: Source) -> None:
        self._source = source

    def _below(self) -> twisted_clients.Client | None:
        source: Source | None = self.__dict__.get("_source")
        return None if source is None else source.made[1]

    def _make_method(self, name: str) -> Method:
        return Method(_call, self._source, name)

    def __replace__(self, **options: Unpack[Options]) -> Client:
        return Client(self._source.changed(options))


def _call(source: Source, name: str, /, *args: Any, **kwargs: Any) -> Any:
    waiter, method = source.method(name)
    return waiter(partial(method, *args, **kwargs))


def with_reply(method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Reply[T]:
    """Call a client's method, and get the reply's metadata as well: see :func:`rpc.with_reply`.

    :raises TypeError: `method` is not a client's, or the arguments are not the method's.
    """
    given: object = method
    if not isinstance(given, Method):
        raise twisted_clients.no_method(given)
    source, name = given.args
    waiter, below = source.method(name)
    reply: Reply[T] = waiter(partial(twisted_clients.with_reply, below, *args, **kwargs))
    return reply
