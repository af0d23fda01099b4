"""The client of a service: provides the stub's ``Iface``, each method returning a Deferred."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from inspect import Signature
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import directlyProvides

from rpc.client.caller import Caller
from rpc.client.interception import intercept
from rpc.client.operation import Operation
from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions, Options
from rpc.client.reply_values import Reply
from rpc.client.stub_operation import StubOperation
from rpc.errors import ConfigurationError
from rpc.stub import Stub, StubMethod

if TYPE_CHECKING:  # Python has them from 3.11 and 3.10 on
    from typing_extensions import ParamSpec, Unpack

    P = ParamSpec("P")

T = TypeVar("T")


class ClientMethod(partial[Deferred[Any]]):
    """A method of any client. A partial adds no Python frame to a call. It has the attributes that help() reads."""

    __name__: str
    __signature__: Signature
    package = "rpc"

    def with_reply(self, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Call it, and get the reply's metadata as well."""
        raise NotImplementedError


class Method(ClientMethod):
    """A method of a client with a stub."""

    @property
    def operation(self) -> Operation:
        """The operation that it calls."""
        operation: Operation = self.args[0]
        return operation

    def with_reply(self, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Call it, and get the reply's metadata as well."""
        return self.func(self.operation.with_reply, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.operation.label}{self.__signature__}>"


class Client:
    """A client of one service: its methods make calls.

    Made by :meth:`rpc.Connection.client`. Arguments are those of the IDL, by position or by name; a wrong number of
    them raises ``TypeError`` at once, as for any Python method.
    """

    _stub: Stub
    _caller: Caller
    _caller_to: Callable[[ClientOptions], Caller]
    _options: ClientOptions
    _outer: tuple[Any, ...]

    def __init__(
        self,
        stub: Stub,
        caller_to: Callable[[ClientOptions], Caller],
        options: ClientOptions,
        outer: tuple[Any, ...] = (),
    ) -> None:
        """
        :param caller_to: returns the caller for the calls of a client, by its options.
        :param outer: the interceptors of the connection.
        """
        if options.idempotent:
            _check_names(stub, options.idempotent)
        caller = caller_to(options)
        self.__dict__.update(_stub=stub, _caller=caller, _caller_to=caller_to, _options=options, _outer=outer)
        directlyProvides(self, stub.interface)

    def __getattr__(self, name: str) -> Method:
        """Make a method when it is first asked for: most clients need few of them."""
        stub: Stub | None = self.__dict__.get("_stub")  # unset while it is copied
        if stub is None:
            raise AttributeError(name)
        stub_method = stub.attributes.get(name)
        if stub_method is None:
            raise AttributeError(f"{self!r} has no method {name!r}; it has {', '.join(stub.attributes)}")
        interceptors = self._outer + self._options.interceptors
        method = self.__dict__[name] = _make_method(stub, stub_method, self._options, self._caller, interceptors)
        return method

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self._stub.attributes]

    def __setattr__(self, name: str, value: object) -> None:
        """Reject an unknown name, which is a typing error. Only zope adds a name, ``__provides__``."""
        if name not in self.__dict__ and name not in self._stub.attributes and not name.startswith("__"):
            raise AttributeError(f"{self!r} has no attribute {name!r}, and takes none")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<client of {self._options.name or self._stub.service}>"

    def __replace__(self, **options: Unpack[Options]) -> Client:
        """Return a client with other options, as :func:`copy.replace` does (Python 3.13)."""
        return Client(self._stub, self._caller_to, self._options.changed(options), self._outer)


def _check_names(stub: Stub, idempotent: frozenset[str]) -> None:
    unknown = sorted(map(str, idempotent - stub.methods.keys()))
    if unknown:
        known = ", ".join(stub.methods)
        raise ConfigurationError(f"idempotent: {stub.service} has no method {', '.join(unknown)}; it has {known}")


def _make_method(
    stub: Stub, method: StubMethod, options: ClientOptions, caller: Caller, interceptors: tuple[Any, ...]
) -> Method:
    make_call, observer = intercept(caller, interceptors)
    operation = StubOperation(
        observer=observer,
        method=method,
        name=method.name,
        oneway=method.oneway,
        options=options,
        service=options.name or stub.service,
        timeout=options.timeout or method.timeout or DEFAULT_TIMEOUT,
        idempotent=method.idempotent if options.idempotent is None else method.name in options.idempotent,
    )
    call = Method(make_call, operation)
    call.__name__ = method.attribute
    call.__doc__ = method.doc or f"Call {operation.label}."
    call.__signature__ = method.signature
    return call


def no_method(given: object) -> TypeError:
    """Return the error for a value that is no method of a client, or a method of another package's client."""
    package = getattr(type(given), "package", None)
    if package is None:
        return TypeError(f"{given!r} is no method of a client; give one such as client.add")
    return TypeError(f"{given!r} is a method of a client of {package}: use {package}.with_reply")


def with_reply(method: Callable[P, Deferred[T]], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[Reply[T]]:
    """Call a client's method, and get the reply's metadata as well.

    Example::

        reply = await rpc.with_reply(client.add, 2, 3)
        reply.value, reply.headers["x-cache"]

    :return: fires with an :class:`rpc.Reply`, for a oneway method when the broker has confirmed the request; fails as
        the method's own Deferred does. An exception has no metadata.
    :raises TypeError: `method` is not a client's, or the arguments are not the method's.
    """
    given: object = method
    if not isinstance(given, ClientMethod):
        raise no_method(given)
    reply: Deferred[Reply[T]] = given.with_reply(*args, **kwargs)
    return reply
