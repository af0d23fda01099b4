"""The client's door: a connection, and clients of services on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import Signature
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import attrs
from attrs.validators import optional
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import directlyProvides

from rpc import uri
from rpc.amqp.codec.fields import encode_table
from rpc.client.call import Operation
from rpc.client.caller import RequestTransport
from rpc.default_reactor import default_reactor
from rpc.envelope import CODECS, MAX_MESSAGE_SIZE
from rpc.errors import CodecError, ConfigurationError
from rpc.headers import SHORTEST_LIVENESS
from rpc.link import Link
from rpc.stub import Stub, StubMethod
from rpc.topology import BROADCAST, REQUESTS
from rpc.validators import check_truth, one_of, text, whole_number

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack

DEFAULT_TIMEOUT = 30.0

LONGEST_TIMEOUT = 1e9
"""Seconds, some 31 years; beyond, the clock's hundredths drown in rounding."""

C = TypeVar("C")


def _check_seconds(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and 0 < value <= LONGEST_TIMEOUT):
        raise ConfigurationError(f"{attribute.name}={value!r}: must be a number of seconds above 0, at most 1e9")


def _check_liveness(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and value < SHORTEST_LIVENESS:
        raise ConfigurationError(f"{attribute.name}={value!r}: must be at least {SHORTEST_LIVENESS}")


def _copy_headers(headers: Any) -> dict[str, Any] | None:
    """Return headers that will go onto the wire, whatever happens to the caller's mapping later."""
    if headers is None:
        return None
    try:
        encode_table(headers)
    except CodecError as error:
        raise ConfigurationError(
            f"headers={headers!r}: must be a mapping of texts to values that AMQP has: {error}"
        ) from error
    return dict(headers)


def _names(methods: Any) -> frozenset[str] | None:
    if methods is None:
        return None
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise ConfigurationError(f"idempotent={methods!r}: must be the names of methods, such as ['{methods}']")
    return frozenset(methods)


class Options(TypedDict, total=False):
    """What type checkers know of the options; :class:`ClientOptions` says what they mean."""

    timeout: float | None
    retry: bool
    idempotent: Iterable[str] | None
    liveness: float | None
    protocol: str
    priority: int | None
    headers: Mapping[str, Any] | None
    name: str | None
    exchange: str
    max_message_size: int


@attrs.frozen
class ClientOptions:
    """How a client calls.

    :ivar timeout: seconds from the call to its deadline; default: the method's ``timeout_ms`` in the IDL, or 30.
    :ivar retry: whether a call that was refused (``ServiceUnavailable``, ``Overloaded``, ``BrokerBlocked``) is tried
        again, within its deadline.
    :ivar idempotent: names of the methods that may be run twice: their calls are made again when nobody knows whether
        they were executed. Default: those that the IDL says to be ``idempotent``.
    :ivar liveness: seconds. A worker that has begun a call and is not heard of for so long is given up
        (``WorkerLost``); without, only the deadline ends the wait.
    :ivar protocol: ``"binary"``, ``"compact"`` or ``"json"``.
    :ivar priority: 0 to 255, for queues with ``x-max-priority``.
    :ivar headers: metadata of every call, AMQP field-table values by name.
    :ivar name: the service's name when it differs from the stub's; ``<service>@<instance>`` reaches one worker.
    :ivar exchange: where requests are published; ``"rpc.broadcast"`` reaches every worker, and the first reply wins.
    :ivar max_message_size: bytes of a request's body.
    :raises ConfigurationError: an option has a wrong value.
    """

    timeout: float | None = attrs.field(default=None, validator=_check_seconds)
    retry: bool = attrs.field(default=False, validator=check_truth)
    idempotent: frozenset[str] | None = attrs.field(default=None, converter=_names)
    liveness: float | None = attrs.field(default=None, validator=[_check_seconds, _check_liveness])
    protocol: str = attrs.field(default="binary", validator=one_of(*CODECS))
    priority: int | None = attrs.field(default=None, validator=optional(whole_number(0, 255)))
    headers: Mapping[str, Any] | None = attrs.field(default=None, converter=_copy_headers)
    name: str | None = attrs.field(default=None, validator=optional(text(255)))
    exchange: str = attrs.field(default=REQUESTS, validator=text(255))
    max_message_size: int = attrs.field(default=MAX_MESSAGE_SIZE, validator=whole_number(1))

    def changed(self, options: Options) -> ClientOptions:
        """Return these options with some of them changed.

        :raises TypeError: an option is unknown.
        :raises ConfigurationError: an option has a wrong value.
        """
        known = [field.name for field in attrs.fields(ClientOptions)]
        for name in options:
            if name not in known:
                raise TypeError(f"unknown option {name!r}; the options of a client: {', '.join(known)}")
        return attrs.evolve(self, **options)


class Method(partial[Deferred[Any]]):
    """A method of a client. A partial, because that adds no Python frame to a call; it knows what help() asks for."""

    __name__: str
    __signature__: Signature

    def __repr__(self) -> str:
        return f"<{self.args[0].label}{self.__signature__}>"


class Client:
    """A service at the other end of the broker: provides the stub's ``Iface``, each method returning a Deferred.

    Made by :meth:`Connection.client`. Arguments are those of the IDL, by position or by name; a wrong number of them
    raises ``TypeError`` at once, as for any Python method.
    """

    _stub: Stub
    _transport: RequestTransport
    _transport_to: Callable[[str], RequestTransport]
    _options: ClientOptions

    def __init__(self, stub: Stub, transport_to: Callable[[str], RequestTransport], options: ClientOptions) -> None:
        """:param transport_to: gives what carries requests to an exchange."""
        transport = transport_to(options.exchange)
        _refuse_unknown_methods(stub, options)
        methods = {name: _method(stub, method, transport, options) for name, method in stub.methods.items()}
        self.__dict__.update(methods, _stub=stub, _transport=transport, _transport_to=transport_to, _options=options)
        directlyProvides(self, stub.interface)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse what is not there, which is a typing error. Only zope adds something, ``__provides__``."""
        if name not in self.__dict__ and not name.startswith("__"):
            raise AttributeError(f"{self!r} has no attribute {name!r}, and takes none")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<client of {self._options.name or self._stub.service}>"


def _refuse_unknown_methods(stub: Stub, options: ClientOptions) -> None:
    unknown = sorted(map(str, (options.idempotent or frozenset()) - stub.methods.keys()))
    if unknown:
        known = ", ".join(stub.methods)
        raise ConfigurationError(f"idempotent: {stub.service} has no method {', '.join(unknown)}; it has {known}")


def _method(stub: Stub, method: StubMethod, transport: RequestTransport, options: ClientOptions) -> Method:
    operation = Operation(
        method=method,
        service=options.name or stub.service,
        exchange=options.exchange,
        codec=CODECS[options.protocol],
        timeout=options.timeout or method.timeout or DEFAULT_TIMEOUT,
        headers=options.headers,
        priority=options.priority,
        max_message_size=options.max_message_size,
        retry=options.retry,
        idempotent=method.idempotent if options.idempotent is None else method.name in options.idempotent,
        liveness=options.liveness,
    )
    call = Method(transport.call, operation)
    call.__name__ = method.name
    call.__doc__ = method.doc or f"Call {operation.label}."
    call.__signature__ = method.signature
    return call


def with_options(client: C, **options: Unpack[Options]) -> C:
    """Return a client of the same service on the same connection, with other options.

    :raises TypeError: an option is unknown, or `client` is no client.
    :raises ConfigurationError: an option has a wrong value.
    """
    given: object = client
    if not isinstance(given, Client):
        raise TypeError(f"{given!r} is no client; give one made by connection.client(stub)")
    return cast(C, Client(given._stub, given._transport_to, given._options.changed(options)))


class Connection(Service):
    """A connection to the broker for any number of clients. An ``IService``: it connects when it is started, and again
    whenever the connection is lost. Calls made meanwhile wait, within their deadline. Stopped, it can be started again.
    """

    def __init__(self, broker_url: str, *, reactor: Any = None) -> None:
        """
        :param broker_url: ``amqp://user:password@host:5672/vhost``, or ``amqps://``; several hosts with commas.
        :raises InvalidURI: the URL cannot be understood.
        :raises ConfigurationError: a certificate file of the URL cannot be read.
        """
        reactor = reactor or default_reactor()
        self._on(Link(reactor, uri.parse(broker_url), "client"), reactor)

    @classmethod
    def _sharing(cls, link: Link, reactor: Any, route: Callable[[Operation], str | None]) -> Connection:
        """Return one on a link that somebody else starts and stops, as a worker does for its handlers' clients.

        :param route: see :class:`~rpc.client.caller.RequestTransport`.
        """
        connection = cls.__new__(cls)
        connection._on(link, reactor, route)
        return connection

    def _on(self, link: Link, reactor: Any, route: Callable[[Operation], str | None] | None = None) -> None:
        self._link = link
        self._reactor = reactor
        self._own_link = route is None
        self._route = route
        self._stopped = False
        self._transports: dict[str, RequestTransport] = {}
        self._transport_to(REQUESTS)

    def __repr__(self) -> str:
        return f"<connection to {self._link._uri}>"

    def client(self, stub: ModuleType, **options: Unpack[Options]) -> Any:
        """Return a client of the service of `stub`, such as ``generated.calculator.Calculator``.

        :param options: see :class:`ClientOptions`.
        :raises ConfigurationError: the module is no stub, or an option has a wrong value.
        :raises TypeError: an option is unknown.
        """
        chosen = ClientOptions().changed(options)
        return Client(Stub.of(stub), self._transport_to, chosen)

    def _transport_to(self, exchange: str) -> RequestTransport:
        """Return what carries requests to `exchange`. To publish to one that is not there ends the channel, so each
        exchange but our own has a channel for itself.
        """
        if exchange == BROADCAST:
            exchange = REQUESTS
        transport = self._transports.get(exchange)
        if transport is None:
            transport = self._transports[exchange] = RequestTransport(self._link, self._reactor)
            if self._route is not None:
                transport.route = self._route
            if self.running:
                self._open(transport)
            elif self._stopped:
                transport.close()
        return transport

    def _open(self, transport: RequestTransport) -> None:
        transport.open()
        self._link.attach(transport)

    def _send_waiting(self) -> None:
        """Send what has waited for a route."""
        for transport in self._transports.values():
            transport.send_waiting()

    def startService(self) -> None:
        """Begin to connect. Nothing when it is running."""
        if self.running:
            return
        super().startService()
        self._stopped = False
        for transport in self._transports.values():
            self._open(transport)
        if self._own_link:
            self._link.startService()

    def stopService(self) -> Deferred[None]:
        """Settle every call (``ConnectionLost``), and close. Fires when the connection is gone."""
        super().stopService()
        self._stopped = True
        transports = list(self._transports.values())
        for transport in transports:
            transport.close()
        if self._own_link:
            return self._link.stopService()
        return gatherResults([self._link.detach(transport) for transport in transports]).addCallback(lambda _: None)

    def close(self) -> Deferred[None]:
        """The same as :meth:`stopService`."""
        return self.stopService()

    def when_connected(self) -> Deferred[Connection]:
        """Fires with this connection when there is one to the broker; fails with the
        :class:`~rpc.errors.AMQPError` of the last host when every host was tried once in vain.
        """
        return self._link.when_connected().addCallback(lambda _: self)


def connect(broker_url: str, *, reactor: Any = None) -> Deferred[Connection]:
    """Connect to the broker.

    :return: fires with the open :class:`Connection`; fails with :class:`~rpc.errors.BrokerUnreachable`,
        :class:`~rpc.errors.AuthenticationFailed`, :class:`~rpc.errors.VirtualHostRefused` or another
        :class:`~rpc.errors.AMQPError` when no host of the URL let us in; then nothing is left running.
    :raises InvalidURI: the URL cannot be understood.
    """
    connection = Connection(broker_url, reactor=reactor)
    connection.startService()

    def give_up(failure: Any) -> Any:
        return connection.close().addCallback(lambda _: failure)

    return connection.when_connected().addErrback(give_up)
