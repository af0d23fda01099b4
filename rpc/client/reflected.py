"""A client of a service without a stub: the stub is made from the description of a worker, at the first call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from difflib import get_close_matches
from inspect import Parameter, Signature
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.defer import TimeoutError as WaitedTooLong
from twisted.internet.task import deferLater

from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions, Options
from rpc.client.stub_client import Client, ClientMethod, with_reply
from rpc.errors import (
    AMQPError,
    AuthenticationFailed,
    CallTimedOut,
    ConnectionLost,
    InvalidRequest,
    Outcome,
    ServiceUnavailable,
    VirtualHostRefused,
)
from rpc.interfaces import IClock
from rpc.reflection.plain_values import from_plain
from rpc.stub import Stub, StubMethod

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack

PAUSE: Final = 0.25
"""Seconds before workers are asked again, after the connection was lost."""

NEAR: Final = 5
"""Methods that an error names when there is none of the name: those whose names are the nearest."""

SIGNATURE: Final = Signature([Parameter("args", Parameter.VAR_POSITIONAL), Parameter("kwargs", Parameter.VAR_KEYWORD)])
"""Of a method whose parameters are not known yet."""


class ReflectedMethod(ClientMethod):
    """A method of a client without a stub. Whether the service has it is known when it is called."""

    def with_reply(self, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Call it, and get the reply's metadata as well."""
        client, name, _ = self.args
        return self.func(client, name, True, *args, **kwargs)

    def __repr__(self) -> str:
        client, name, _ = self.args
        return f"<method {name} of {client!r}>"


class ReflectedClient:
    """A client of one service, without a stub. Made by :meth:`rpc.Connection.client` with the name of a service.

    The first call asks a worker for the description of its service; further calls use it. A struct may be given as a
    mapping, and a member of an enum by its name. The Deferred of a call also fails with
    :class:`~rpc.errors.InvalidRequest` when the service has no such method, with ``TypeError`` when the arguments are
    not the method's, and as :meth:`rpc.Connection.reflect` does.
    """

    _connection: Any
    _clock: IClock
    _options: ClientOptions
    _described: _Described | None
    _waiting: OrderedDict[Deferred[_Described], None] | None

    def __init__(self, connection: Any, clock: IClock, options: ClientOptions, stub: ModuleType | None = None) -> None:
        """
        :param connection: the :class:`rpc.Connection` that makes the client.
        :param options: with the service's name.
        :param stub: of the service, when a worker has described it.
        """
        described = None if stub is None else _Described.of(connection, stub, options)
        self.__dict__.update(
            _connection=connection, _clock=clock, _options=options, _described=described, _waiting=None
        )

    def __getattr__(self, name: str) -> ReflectedMethod:
        """Make a method when it is first asked for."""
        if name.startswith("__") or "_options" not in self.__dict__:  # the latter while it is copied
            raise AttributeError(name)
        method = self.__dict__[name] = ReflectedMethod(ReflectedClient._call, self, name, False)
        method.__name__ = name
        method.__doc__ = f"Call {self._options.name}.{name}."
        method.__signature__ = SIGNATURE
        return method

    def __dir__(self) -> Iterable[str]:
        known = [] if self._described is None else self._described.stub.attributes
        return [*super().__dir__(), *known]

    def __repr__(self) -> str:
        return f"<client of {self._options.name} without a stub>"

    def __replace__(self, **options: Unpack[Options]) -> ReflectedClient:
        """Return a client with other options, as :func:`copy.replace` does (Python 3.13)."""
        changed = self._options.changed(options)
        described = self._described if changed.name == self._options.name else None
        stub = None if described is None else described.module
        return ReflectedClient(self._connection, self._clock, changed, stub)

    def _call(self, name: str, wants_reply: bool, /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        described = self._described
        if described is not None:
            return described.call(name, wants_reply, args, kwargs)
        return Deferred.fromCoroutine(self._first_call(name, wants_reply, args, kwargs))

    async def _first_call(self, name: str, wants_reply: bool, args: Any, kwargs: Any) -> Any:
        """Call when the service is described. The time until then is part of the call's."""
        began = self._clock.seconds()
        described = await self._description()
        return await described.call(name, wants_reply, args, kwargs, self._clock.seconds() - began)

    def _description(self) -> Deferred[_Described]:
        """Fires with the description. All calls that wait for it share one question."""
        limit, label = self._options.timeout or DEFAULT_TIMEOUT, self._options.name
        described: Deferred[_Described] = Deferred()
        waiting, is_asked = self._waiting, self._waiting is not None
        if waiting is None:
            waiting = self.__dict__["_waiting"] = OrderedDict()
        waiting[described] = None

        def forget(answer: Any) -> Any:
            waiting.pop(described, None)  # it is there when the call was cancelled, or its time has passed
            return answer

        described.addBoth(forget)
        described.addTimeout(limit, self._clock)
        described.addErrback(_too_late, f"{label}: no worker has described it within {limit:g} s")
        if not is_asked:
            Deferred.fromCoroutine(self._ask()).addBoth(self._answer)
        return described

    def _answer(self, answer: Any) -> None:
        waiting, self.__dict__["_waiting"] = self._waiting or OrderedDict(), None
        if isinstance(answer, _Described):
            self.__dict__["_described"] = answer
        while waiting:
            described, _ = waiting.popitem(last=False)
            described.callback(answer)

    async def _ask(self) -> _Described:
        """Ask until there is an answer, or no call waits for it any more."""
        options = self._options
        while True:
            try:
                await self._connection.when_connected()
                stub = await self._connection.reflect(
                    str(options.name), queue=options.queue, user_id=options.user_id, app_id=options.app_id
                )
                return _Described.of(self._connection, stub, options)
            except CancelledError:
                raise ConnectionLost(f"{options.name}: the connection is closed", Outcome.NOT_SENT) from None
            except (AuthenticationFailed, VirtualHostRefused) as error:
                raise ServiceUnavailable(f"{options.name}: {error}", Outcome.NOT_SENT) from error
            except (AMQPError, ConnectionLost) as error:
                if not self._waiting:
                    raise ConnectionLost(f"{options.name}: {error}", Outcome.NOT_SENT) from error
                await deferLater(self._clock, PAUSE)


@attrs.frozen
class _Described:
    """A service whose stub is known.

    :ivar client: a client of the stub.
    :ivar module: the stub's.
    """

    client: Client
    module: ModuleType
    stub: Stub
    options: ClientOptions

    @classmethod
    def of(cls, connection: Any, module: ModuleType, options: ClientOptions) -> _Described:
        client = connection.client(module, **attrs.asdict(options, recurse=False))
        return cls(client, module, Stub.of(module), options)

    def call(self, name: str, wants_reply: bool, args: Any, kwargs: Any, passed: float = 0.0) -> Deferred[Any]:
        """Make a call.

        :param passed: seconds of its time that have passed.
        """
        method = self.stub.attributes.get(name)
        if method is None:
            near = get_close_matches(name, self.stub.attributes, NEAR) or list(self.stub.attributes)
            return fail(InvalidRequest(f"{self.options.name} has no method {name!r}; it has {', '.join(near[:NEAR])}"))
        client = self.client
        if passed:
            left = (self.options.timeout or method.timeout or DEFAULT_TIMEOUT) - passed
            if left <= 0:
                return fail(CallTimedOut(f"{self.options.name}.{name}: described too late", Outcome.NOT_SENT))
            client = client.__replace__(timeout=left)
        try:
            values, named = self._from_plain(method, args, kwargs)
            bound = getattr(client, name)
            return with_reply(bound, *values, **named) if wants_reply else bound(*values, **named)
        except (InvalidRequest, TypeError):
            return fail()

    def _from_plain(
        self, method: StubMethod, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return arguments as the stub takes them. Those that the method does not have stay as they are."""
        service = self.stub.description
        assert service is not None
        types = {
            name: field.type
            for name, field in zip(method.argument_names, service.methods[method.name].arguments, strict=True)
        }
        try:
            given = zip(types.items(), args, strict=False)
            values = [from_plain(service.interface, kind, value, name) for (name, kind), value in given]
            named = {
                name: from_plain(service.interface, types[name], value, name) if name in types else value
                for name, value in kwargs.items()
            }
        except RecursionError:
            raise InvalidRequest(f"{service.name}.{method.name}: an argument is nested too deeply") from None
        return [*values, *args[len(values) :]], named


def _too_late(failure: Any, message: str) -> Any:
    failure.trap(WaitedTooLong)
    raise CallTimedOut(message, Outcome.NOT_SENT)
