"""The client's door: a connection, and clients of services on it."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from zope.interface import directlyProvides

from rpc import uri
from rpc.default_reactor import default_reactor
from rpc.envelope import CODECS, MAX_MESSAGE_SIZE
from rpc.errors import ConfigurationError
from rpc.link import Link
from rpc.stub import Stub, StubMethod
from rpc.topology import REQUESTS
from rpc.transport.calls import Operation
from rpc.transport.requests import RequestTransport

DEFAULT_TIMEOUT = 30.0


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
    """

    timeout: float | None = None
    protocol: str = "binary"
    priority: int | None = None
    headers: dict[str, Any] | None = None
    name: str | None = None
    exchange: str = REQUESTS
    max_message_size: int = MAX_MESSAGE_SIZE

    def __attrs_post_init__(self) -> None:
        if self.protocol not in CODECS:
            raise ConfigurationError(f"protocol={self.protocol!r}: must be one of {', '.join(map(repr, CODECS))}")
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise ConfigurationError(f"timeout={self.timeout!r}: must be a number of seconds above 0")
        if self.priority is not None and not 0 <= self.priority <= 255:
            raise ConfigurationError(f"priority={self.priority!r}: must be from 0 to 255")


class Client:
    """A service at the other end of the broker: provides the stub's ``Iface``, each method returning a Deferred.

    Made by :meth:`Connection.client`. Arguments are those of the IDL, by position or by name; a wrong number of them
    raises ``TypeError`` at once, as for any Python method.
    """

    def __init__(self, stub: Stub, transport: RequestTransport, options: ClientOptions) -> None:
        self._stub = stub
        self._transport = transport
        self._options = options
        for name, method in stub.methods.items():
            operation = _operation(stub, method, options)
            setattr(self, name, partial(transport.call, operation))
        directlyProvides(self, stub.interface)

    def __repr__(self) -> str:
        return f"<client of {self._options.name or self._stub.service}>"


def _operation(stub: Stub, method: StubMethod, options: ClientOptions) -> Operation:
    return Operation(
        method=method,
        service=options.name or stub.service,
        exchange=options.exchange,
        codec=CODECS[options.protocol],
        timeout=options.timeout or method.timeout or DEFAULT_TIMEOUT,
        headers=options.headers,
        priority=options.priority,
        max_message_size=options.max_message_size,
    )


def with_options(client: Any, **options: Any) -> Any:
    """Return a client of the same service on the same connection, with other options.

    :raises TypeError: an option is unknown.
    :raises ConfigurationError: an option has a wrong value.
    """
    return Client(client._stub, client._transport, attrs.evolve(client._options, **options))


class Connection(Service):
    """A connection to the broker for any number of clients. An ``IService``: it connects when it is started, and again
    whenever the connection is lost. Calls made meanwhile wait, within their deadline.
    """

    def __init__(self, broker_url: str, *, reactor: Any = None, link: Link | None = None) -> None:
        """
        :param broker_url: ``amqp://user:password@host:5672/vhost``, or ``amqps://``; several hosts with commas.
        :param link: use this one, which somebody else starts and stops, as a worker does for its handlers' clients.
        :raises InvalidURI: the URL cannot be understood.
        :raises ConfigurationError: a certificate file of the URL cannot be read.
        """
        reactor = reactor or default_reactor()
        self._reactor = reactor
        self._own_link = link is None
        self._link = link or Link(reactor, uri.parse(broker_url), "client")
        self._transport = RequestTransport(self._link, reactor)
        self._link.attach(self._transport)

    def client(self, stub: ModuleType, **options: Any) -> Any:
        """Return a client of the service of `stub`, such as ``generated.calculator.Calculator``.

        :param options: see :class:`ClientOptions`.
        :raises ConfigurationError: the module is no stub, or an option has a wrong value.
        :raises TypeError: an option is unknown.
        """
        return Client(Stub.of(stub), self._transport, ClientOptions(**options))

    def startService(self) -> None:
        """Begin to connect."""
        super().startService()
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
