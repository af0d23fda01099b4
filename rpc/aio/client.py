"""Clients whose methods return asyncio futures."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

import rpc.client.stub_client as twisted_clients
from rpc.client.adapters import ClientAdapter, MethodAdapter
from rpc.client.options import Options
from rpc.client.reply_values import Reply

if TYPE_CHECKING:  # Python has them from 3.11 and 3.10 on
    from typing_extensions import ParamSpec, Unpack

    P = ParamSpec("P")

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


class Method(MethodAdapter):
    """A method of a client."""

    package = "rpc.aio"

    def __repr__(self) -> str:
        return repr(self.args[1])


class Client(ClientAdapter):
    """A client of one service: its methods make calls. Made by :meth:`rpc.aio.Connection.client`."""

    _client: twisted_clients.Client
    _loop: AbstractEventLoop

    def __init__(self, client: twisted_clients.Client, loop: AbstractEventLoop) -> None:
        """:param client: makes the calls, on a reactor of `loop`."""
        self._client = client
        self._loop = loop

    def _below(self) -> twisted_clients.Client | None:
        return self.__dict__.get("_client")

    def _make_method(self, name: str) -> Method:
        return Method(begin_call, self._loop, getattr(self._client, name))

    def __replace__(self, **options: Unpack[Options]) -> Client:
        return Client(self._client.__replace__(**options), self._loop)


def begin_call(loop: AbstractEventLoop, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    """Call a method that returns a Deferred, on the reactor of `loop`. Return a future for its result.

    :raises RuntimeError: another loop runs here, or `loop` is closed. The Deferred would never fire.
    """
    try:
        belongs = get_running_loop() is loop
    except RuntimeError:  # none runs: `loop` may run later
        belongs = not loop.is_closed()
    if not belongs:
        raise RuntimeError(
            "the client belongs to another event loop, or to one that is closed: open a connection in each loop, "
            "by rpc.aio.connect"
        )
    return CallFuture(method(*args, **kwargs), loop)


def with_reply(method: Callable[P, Future[T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[Reply[T]]:
    """Call a client's method, and get the reply's metadata as well: see :func:`rpc.with_reply`.

    :return: is done with an :class:`rpc.Reply`, for a oneway method when the broker has confirmed the request.
    :raises TypeError: `method` is not a client's, or the arguments are not the method's.
    """
    given: object = method
    if not isinstance(given, Method):
        raise twisted_clients.no_method(given)
    loop, call = given.args
    return begin_call(loop, twisted_clients.with_reply, call, *args, **kwargs)
