"""A worker: services on one link, as a Twisted ``IService``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.python import log

from rpc import uri
from rpc.client.connection import Connection, SharedConnection
from rpc.client.operation import Operation
from rpc.default_reactor import default_reactor
from rpc.errors import ConfigurationError
from rpc.link import Link
from rpc.worker.republisher import Mover
from rpc.worker.server import ServingTransport
from rpc.worker.service import ThriftService

DRAIN_TIMEOUT = 30.0


class Worker(Service):
    """Serves services until it is stopped; then it takes no more work, finishes what it has, acks, and closes.

    ``<service>@<instance>`` as a client's ``name`` reaches one worker, by its :attr:`instance`.
    """

    def __init__(
        self,
        broker_url: str,
        services: Iterable[ThriftService],
        *,
        drain_timeout: float = DRAIN_TIMEOUT,
        reactor: Any = None,
    ) -> None:
        """
        :param broker_url: see :class:`rpc.client.connection.Connection`.
        :param drain_timeout: seconds that calls in progress have to finish when the worker stops.
        :raises InvalidURI: the URL cannot be understood.
        :raises ConfigurationError: there are no services, two have one name, or a factory made a handler that lacks a
            method.
        """
        if isinstance(drain_timeout, bool) or not 0 <= drain_timeout < float("inf"):
            raise ConfigurationError(f"drain_timeout={drain_timeout!r}: must be a number of seconds, 0 or more")
        reactor = reactor or default_reactor()
        services = list(services)
        _refuse_doubles(services)
        self._reactor = reactor
        self._drain_timeout = drain_timeout
        self._link = Link(reactor, uri.parse(broker_url), "worker")
        self._connection: Connection | None = None
        self._serving: list[ServingTransport] = []
        self._by_name: dict[str, ServingTransport] = {}
        self._waiting: list[Deferred[None]] = []
        self._draining: list[Deferred[None]] = []
        self._hurrying = False
        if any(service.factory for service in services):
            self._connection = SharedConnection(self._link, reactor, self._route)
        mover = Mover()
        self._link.attach(mover)
        for service in services:
            handler = service.make_handler(self._connection)
            transport = ServingTransport(service, handler, self._link, reactor, mover)
            transport.on_consuming = self._consuming
            self._serving.append(transport)
            self._by_name[service.name] = transport
            self._link.attach(transport)

    @property
    def instance(self) -> str:
        """The worker's unique name. To be asked for in the process that serves, which twistd may fork."""
        return self._link.instance

    def _route(self, operation: Operation) -> str | None:
        """Return the routing key of a call that a handler makes; ``None``: it has to wait.

        What this worker serves itself, it is sent itself: in the shared queue the call would wait for a place among
        those that wait for such calls, and if all of them do, no place ever comes free. A oneway call waits for
        nobody, and must not be lost with this worker.
        """
        service, _, instance = operation.service.partition("@")
        transport = self._by_name.get(service)
        elsewhere = transport is None or transport.exchange != operation.exchange or instance not in ("", self.instance)
        if transport is None or elsewhere or operation.oneway:
            return operation.service
        return transport.nested_key()

    def startService(self) -> None:
        """Connect, and serve as soon as there is a connection."""
        super().startService()
        for transport in self._serving:
            transport.resume()
        if self._connection is not None:
            self._connection.startService()
        self._link.startService()

    def when_serving(self) -> Deferred[None]:
        """Fires when all services are consumed: from then on no caller is told that one is unavailable.

        It waits as long as there is no broker; fails with ``CancelledError`` when the worker is stopped.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._tell_waiting()
        return waiting

    def _consuming(self) -> None:
        """A service is consumed, and handlers can call it."""
        if self._connection is not None:
            self._connection.send_waiting()
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        if all(transport.consuming for transport in self._serving):
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    def stopService(self) -> Deferred[None]:
        """Drain and close. Fires when the connection is gone; calls still running after the drain timeout are given
        up, and their requests run by another worker.
        """
        super().stopService()
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.cancel()
        within = 0.0 if self._hurrying else self._drain_timeout
        self._draining = [transport.drain(within) for transport in self._serving]
        drained: Deferred[Any] = DeferredList(self._draining)
        return drained.addCallback(self._leave)

    def _leave(self, _: object) -> Deferred[None]:
        running = sum(transport.running for transport in self._serving)
        if running:
            log.msg(f"stopping with {running} calls in progress")
        self._hurrying = False
        if self._connection is not None:
            self._connection.stopService()  # its channels need not be closed first: a broker in need does not answer
        return self._link.stopService()

    def hurry(self) -> None:
        """Do not wait for calls in progress, when :meth:`stopService` was called or will be."""
        self._hurrying = True
        for draining in self._draining:
            draining.cancel()


def _refuse_doubles(services: list[ThriftService]) -> None:
    names = [service.name for service in services]
    if not names:
        raise ConfigurationError("a worker needs at least one service")
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two services are named {name!r}: give one of them another with name=")
