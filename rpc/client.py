"""The client's door: a connection, and clients of services on it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from inspect import Signature
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import attrs
from attrs.validators import optional
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from zope.interface import directlyProvides

from rpc import uri
from rpc.amqp.fields import encode_table
from rpc.default_reactor import default_reactor
from rpc.envelope import CODECS, MAX_MESSAGE_SIZE
from rpc.errors import CodecError, ConfigurationError
from rpc.link import Link
from rpc.service import one_of, text, whole_number
from rpc.stub import Stub, StubMethod
from rpc.topology import REQUESTS
from rpc.transport.calls import Operation
from rpc.transport.requests import RequestTransport

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack

DEFAULT_TIMEOUT = 30.0

LONGEST_TIMEOUT = 1e9
"""Seconds, some 31 years; beyond, the clock's hundredths drown in rounding."""

C = TypeVar("C")


def _check_timeout(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and 0 < value <= LONGEST_TIMEOUT):
        raise ConfigurationError(f"{attribute.name}={value!r}: must be a number of seconds above 0, at most 1e9")


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


class Options(TypedDict, total=False):
    """What type checkers know of the options; :class:`ClientOptions` says what they mean."""

    timeout: float | None
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
    :ivar protocol: ``"binary"``, ``"compact"`` or ``"json"``.
    :ivar priority: 0 to 255, for queues with ``x-max-priority``.
    :ivar headers: metadata of every call, AMQP field-table values by name.
    :ivar name: the service's name when it differs from the stub's; ``<service>@<instance>`` reaches one worker.
    :ivar exchange: where requests are published; ``"rpc.broadcast"`` reaches every worker, and the first reply wins.
    :ivar max_message_size: bytes of a request's body.
    :raises ConfigurationError: an option has a wrong value.
    """

    timeout: float | None = attrs.field(default=None, validator=_check_timeout)
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
    _options: ClientOptions

    def __init__(self, stub: Stub, transport: RequestTransport, options: ClientOptions) -> None:
        methods = {name: _method(stub, method, transport, options) for name, method in stub.methods.items()}
        self.__dict__.update(methods, _stub=stub, _transport=transport, _options=options)
        directlyProvides(self, stub.interface)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse what is not there, which is a typing error. Only zope adds something, ``__provides__``."""
        if name not in self.__dict__ and not name.startswith("__"):
            raise AttributeError(f"{self!r} has no attribute {name!r}, and takes none")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<client of {self._options.name or self._stub.service}>"


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
    return cast(C, Client(given._stub, given._transport, given._options.changed(options)))


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
        self._on(Link(reactor, uri.parse(broker_url), "client"), reactor, own_link=True)

    @classmethod
    def _sharing(cls, link: Link, reactor: Any) -> Connection:
        """Return one on a link that somebody else starts and stops, as a worker does for its handlers' clients."""
        connection = cls.__new__(cls)
        connection._on(link, reactor, own_link=False)
        return connection

    def _on(self, link: Link, reactor: Any, own_link: bool) -> None:
        self._link = link
        self._own_link = own_link
        self._transport = RequestTransport(link, reactor)

    def __repr__(self) -> str:
        return f"<connection to {self._link._uri}>"

    def client(self, stub: ModuleType, **options: Unpack[Options]) -> Any:
        """Return a client of the service of `stub`, such as ``generated.calculator.Calculator``.

        :param options: see :class:`ClientOptions`.
        :raises ConfigurationError: the module is no stub, or an option has a wrong value.
        :raises TypeError: an option is unknown.
        """
        return Client(Stub.of(stub), self._transport, ClientOptions().changed(options))

    def startService(self) -> None:
        """Begin to connect. Nothing when it is running."""
        if self.running:
            return
        super().startService()
        self._transport.open()
        self._link.attach(self._transport)
        if self._own_link:
            self._link.startService()

    def stopService(self) -> Deferred[None]:
        """Settle every call (``ConnectionLost``), and close. Fires when the connection is gone."""
        super().stopService()
        self._transport.close()
        return self._link.stopService() if self._own_link else self._link.detach(self._transport)

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
