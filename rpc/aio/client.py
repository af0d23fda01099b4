"""Clients whose methods return asyncio futures."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable
from functools import partial
from inspect import Signature
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

import rpc.client.stub_client as twisted_clients
from rpc.client.options import Options
from rpc.client.reply_values import Reply

if TYPE_CHECKING:  # Python has them from 3.11 and 3.10 on
    from typing_extensions import ParamSpec, Unpack

    P = ParamSpec("P")

C = TypeVar("C")
T = TypeVar("T")


class CallFuture(Future[T]):
    """The result of a call. Its cancellation cancels the call at once, so that the worker is told."""

    def __init__(self, call: Deferred[T], loop: AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._call = call
        call.addCallbacks(self._succeeded, self._failed)

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the call, if it is not done; return whether it was not."""
        cancelled = super().cancel(msg)
        if cancelled:
            self._call.cancel()
        return cancelled

    def _succeeded(self, result: T) -> None:
        if not self.done():
            self.set_result(result)

    def _failed(self, failure: Failure) -> None:
        if not self.done():
            error: Any = failure.value
            self.set_exception(error)


class Method(partial["Future[Any]"]):
    """A method of a client. A partial adds no Python frame to a call. It has the attributes that help() reads."""

    __name__: str
    __signature__: Signature

    def __repr__(self) -> str:
        return repr(self.args[1])


class Client:
    """A client of one service: its methods make calls. Made by :meth:`rpc.aio.Connection.client`."""

    _client: twisted_clients.Client
    _loop: AbstractEventLoop

    def __init__(self, client: twisted_clients.Client, loop: AbstractEventLoop) -> None:
        """:param client: makes the calls, on a reactor of `loop`."""
        self._client = client
        self._loop = loop

    def __getattr__(self, name: str) -> Method:
        """Make a method when it is first asked for."""
        client: twisted_clients.Client | None = self.__dict__.get("_client")  # unset while it is copied
        if client is None:
            raise AttributeError(name)
        method = getattr(client, name)
        call = self.__dict__[name] = Method(_call, self._loop, method)
        call.__name__ = method.__name__
        call.__doc__ = method.__doc__
        call.__signature__ = method.__signature__
        return call

    def __dir__(self) -> Iterable[str]:
        return {*super().__dir__(), *dir(self._client)}

    def __repr__(self) -> str:
        return repr(self._client)

    def __replace__(self, **options: Unpack[Options]) -> Client:
        """Return a client with other options, as :func:`copy.replace` does (Python 3.13)."""
        return Client(self._client.__replace__(**options), self._loop)


def _call(loop: AbstractEventLoop, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    return CallFuture(method(*args, **kwargs), loop)


def with_options(client: C, **options: Unpack[Options]) -> C:
    """Return a client of the same service on the same connection, with other options.

    :raises TypeError: an option is unknown, or `client` is no client of this module.
    :raises ConfigurationError: an option has a wrong value.
    """
    given: object = client
    if not isinstance(given, Client):
        raise TypeError(f"{given!r} is no client of rpc.aio; give one made by connection.client(stub)")
    return cast(C, given.__replace__(**options))


def with_reply(method: Callable[P, Future[T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[Reply[T]]:
    """Call a client's method, and get the reply's metadata as well: see :func:`rpc.with_reply`.

    :return: is done with an :class:`rpc.Reply`, for a oneway method when the broker has confirmed the request.
    :raises TypeError: `method` is not a client's, or the arguments are not the method's.
    """
    given: object = method
    if not isinstance(given, Method):
        raise TypeError(f"{given!r} is no method of a client of rpc.aio; give one such as client.add")
    loop, call = given.args
    return _call(loop, twisted_clients.with_reply, call, *args, **kwargs)
