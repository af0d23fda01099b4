"""The gateway as an ``IService``: its connection to the broker, and its ports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure

from rpc import log
from rpc.broker_address import Origin
from rpc.client.connection import Connection
from rpc.default_reactor import default_reactor
from rpc.errors import ConfigurationError
from rpc.gateway.connections import Connections
from rpc.gateway.factory import ClientFactory, peer_name
from rpc.gateway.forwarder import SEPARATOR, Forwarder
from rpc.gateway.framed import FramedConnection
from rpc.gateway.http import CallChannel
from rpc.gateway.options import GatewayOptions
from rpc.monotonic import monotonic_reactor
from rpc.program_signals import ProgramSignals
from rpc.uri import BrokerURI

DEFAULT_OPTIONS = GatewayOptions()


class Gateway(Service):
    """A gateway for stock Thrift clients, from ``startService`` to ``stopService``. It can be started again.

    :ivar ports: the ports on which it listens.
    """

    def __init__(
        self,
        broker_url: str | BrokerURI | Origin = Origin.ENVIRONMENT,
        services: Iterable[str] = (),
        *,
        framed: Iterable[str] = (),
        http: Iterable[str] = (),
        options: GatewayOptions = DEFAULT_OPTIONS,
        interceptors: Iterable[Any] = (),
        reactor: Any = None,
    ) -> None:
        """
        :param broker_url: as for :class:`rpc.Connection`.
        :param services: names of services. Others cannot be called. Messages that name none go to the first.
        :param framed: endpoints for framed TCP and THeader, as Twisted's ``serverFromString`` has them: ``tcp:9090``,
            ``ssl:9091:privateKey=key.pem:certKey=cert.pem``, ``unix:/run/rpc.sock``.
        :param http: endpoints for HTTP.
        :param interceptors: objects that provide :class:`rpc.IClientInterceptor`: they see all calls.
        :raises ConfigurationError: there is no service or no endpoint, one of them is wrong, or `options` have a queue
            for several services.
        :raises InvalidURI: the URL cannot be understood.
        """
        self._services = _checked_services(services)
        if options.queue is not None and len(self._services) > 1:
            raise ConfigurationError(f"queue={options.queue!r}: a queue has one service, not {len(self._services)}")
        reactor = monotonic_reactor(reactor or default_reactor())
        self._reactor = reactor
        self._options = options
        self._connection = Connection(broker_url, interceptors=interceptors, reactor=reactor)
        self._forwarder = Forwarder(self._connection, self._services, options, reactor)
        self._connections = Connections(options, reactor)
        common = self._forwarder, self._connections, options, reactor
        framed_factory, http_factory = ClientFactory(FramedConnection, *common), ClientFactory(CallChannel, *common)
        self._endpoints: list[tuple[str, IStreamServerEndpoint, ServerFactory]] = [
            *(("framed", _endpoint(reactor, each), framed_factory) for each in _texts("framed", framed)),
            *(("http", _endpoint(reactor, each), http_factory) for each in _texts("http", http)),
        ]
        if not self._endpoints:
            raise ConfigurationError("a gateway needs an endpoint: framed=['tcp:9090'] or http=['tcp:8080']")
        self.ports: list[IListeningPort] = []
        self._listening: Deferred[Any] | None = None
        self._problem: Failure | None = None
        self._waiting: list[Deferred[None]] = []
        self._signals = ProgramSignals(reactor, self.abort)
        self._is_aborted = False
        self._finishing: Deferred[None] | None = None

    def startService(self) -> None:
        """Connect to the broker, and listen. Calls wait for the connection, within their deadlines."""
        super().startService()
        self._problem = None
        self._connections.resume()
        self._forwarder.resume()
        self._signals.begin()
        self._connection.startService()
        listening = [self._listen(*each) for each in self._endpoints]
        self._listening = gatherResults(listening, consumeErrors=True)
        self._listening.addCallbacks(self._notify, self._failed)

    def _listen(self, kind: str, endpoint: IStreamServerEndpoint, factory: ServerFactory) -> Deferred[None]:
        def began(port: IListeningPort) -> None:
            self.ports.append(port)
            text = f"the gateway listens on {_port_name(port)} for {kind} calls of {', '.join(self._services)}"
            # Not before the reactor handles signals: a reader of the line may send one.
            self._reactor.callWhenRunning(log.msg, text)

        return endpoint.listen(factory).addCallback(began)

    def _failed(self, failure: Failure) -> None:
        first = failure.value
        self._problem = getattr(first, "subFailure", failure)
        self._notify()

    def when_listening(self) -> Deferred[None]:
        """Fires when it listens on all ports. Fails with Twisted's ``CannotListenError`` when one of them cannot be
        had, and with ``CancelledError`` when the gateway is stopped before.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if self._listening is not None and self._listening.called:
            self._notify()
        return waiting

    def _notify(self, _: Any = None) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            if self._problem is not None:
                deferred.errback(self._problem)
            else:
                deferred.callback(None)

    def stopService(self) -> Deferred[None]:
        """Listen no more, finish the calls in progress within ``drain_timeout``, and close all connections. Fires when
        that is done.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.cancel()
        if self._listening is not None:
            await self._listening
        ports, self.ports = self.ports, []
        for port in ports:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped
        if not self._is_aborted:
            await self._wait_for_calls()
        self._connections.abort()
        await self._connections.drain()
        await self._connection.stopService()
        self._connections.stop()
        self._forwarder.stop()
        self._signals.end()
        self._is_aborted = False
        log.msg("the gateway has stopped")

    async def _wait_for_calls(self) -> None:
        """Wait until the calls in progress are finished, within ``drain_timeout``; less long when it is aborted."""
        self._finishing = Deferred.fromCoroutine(self._finish_calls())
        try:
            await self._finishing.addTimeout(self._options.drain_timeout, self._reactor)
        except (TookTooLong, CancelledError):
            count = len(self._connections.open)
            log.msg(f"the gateway aborts {count} connection{'s'[: count != 1]} with calls in progress")
        finally:
            self._finishing = None

    async def _finish_calls(self) -> None:
        await self._connections.drain()
        await self._forwarder.when_settled()

    def abort(self) -> None:
        """Do not wait for calls in progress, when :meth:`stopService` was called or will be.

        This applies until the gateway has stopped.
        """
        self._is_aborted = True
        if self._finishing is not None:
            self._finishing.cancel()


def _checked_services(services: Iterable[str]) -> tuple[str, ...]:
    if isinstance(services, str):
        raise ConfigurationError(f"services={services!r}: must be names, such as [{services!r}]")
    names = tuple(services)
    if not names:
        raise ConfigurationError("a gateway needs the name of a service")
    for name in names:
        if not name or SEPARATOR in name or "/" in name:
            raise ConfigurationError(f"services: {name!r} must be the name of a service, without '{SEPARATOR}' and '/'")
    return names


def _texts(option: str, endpoints: Iterable[str]) -> tuple[str, ...]:
    if isinstance(endpoints, str):
        raise ConfigurationError(f"{option}={endpoints!r}: must be endpoints, such as [{endpoints!r}]")
    return tuple(endpoints)


def _endpoint(reactor: Any, text: str) -> IStreamServerEndpoint:
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, text)
    except Exception as error:  # Twisted and OpenSSL raise errors of many classes
        raise ConfigurationError(
            f"{text!r}: is no endpoint, such as 'tcp:9090': {type(error).__name__}: {error}"
        ) from error
    return endpoint


def _port_name(port: IListeningPort) -> str:
    address: Any = port.getHost()
    path = getattr(address, "name", None)
    return peer_name(address) if path is None else f"unix:{path.decode(errors='replace')}"
