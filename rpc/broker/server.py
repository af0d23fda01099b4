"""The broker on a TCP port, as a Twisted ``IService``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.python.failure import Failure

from rpc import log
from rpc.broker.broker import Broker
from rpc.broker.compatibility import COMPATIBILITY, RABBITMQ_4
from rpc.broker.limits import Limits
from rpc.broker.store import Store
from rpc.errors import ConfigurationError
from rpc.monotonic import monotonic_reactor
from rpc.uri import host_and_port

DEFAULT_PORT: Final = 5672
LOOPBACK: Final = "127.0.0.1"


class BrokerServer(Service):
    """The embedded broker, from ``startService`` to ``stopService``.

    :ivar broker: the broker itself.
    :ivar port: where it listens, once it does.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        port: int = DEFAULT_PORT,
        interface: str = LOOPBACK,
        users: Mapping[str, str] | None = None,
        vhosts: Iterable[str] = ("/",),
        limits: Limits | None = None,
        compatibility: int = RABBITMQ_4.version,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        """
        :param reactor: provides ``IReactorTime`` and ``IReactorTCP``.
        :param port: 0 is a free one.
        :param users: passwords by name; ``None``: guest with password guest, from this machine alone.
        :param compatibility: 3 or 4: the major version of RabbitMQ whose answers it gives where they differ.
        :param state: SQLite file for durable exchanges, queues and their persistent messages; ``None``: all is in
            memory alone.
        :raises ConfigurationError: a virtual host's name is too long, or `compatibility` is no such version.
        """
        reactor = monotonic_reactor(reactor)
        self.port = port
        self._reactor = reactor
        self._interface = interface
        self._store = None if state is None else Store(reactor, state)
        if compatibility not in COMPATIBILITY:
            known = " or ".join(map(str, COMPATIBILITY))
            raise ConfigurationError(f"compatibility={compatibility!r}: must be {known}, a version of RabbitMQ")
        self.broker = Broker(
            reactor,
            users=users,
            vhosts=vhosts,
            limits=limits,
            compatibility=COMPATIBILITY[compatibility],
            store=self._store,
        )
        self._listening: Any = None
        self._waiting: list[Deferred[None]] = []
        self._begun: Deferred[None] | None = None
        self._problem: Failure | None = None

    def __repr__(self) -> str:
        return f"<embedded broker on {self._interface}, port {self.port or 'not chosen yet'}>"

    def startService(self) -> None:
        """Load the state, and listen."""
        super().startService()
        self._problem = None
        loaded: Deferred[Any] = succeed(None)
        if self._store is not None:
            loaded = Deferred.fromCoroutine(self._store.load(self.broker))
        loaded.addCallback(lambda _: self._listen())
        loaded.addErrback(self._failed)
        self._begun = loaded

    def _listen(self) -> None:
        if not self.running:
            return
        self._listening = self._reactor.listenTCP(self.port, self.broker, interface=self._interface)
        self.port = self._listening.getHost().port
        log.msg(
            f"the embedded broker listens on {host_and_port(self._interface, self.port)}; it is for trying, developing "
            "and testing on one machine, not for production"
        )
        self._notify()

    def _failed(self, failure: Failure) -> None:
        self._problem = failure
        self._notify()

    def when_listening(self) -> Deferred[None]:
        """Fires when it listens. Fails with Twisted's ``CannotListenError`` when the port cannot be had, with
        :class:`~rpc.errors.ConfigurationError` when the state cannot be read, and with ``CancelledError`` when the
        server is stopped before.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if self._listening is not None or self._problem is not None:
            self._notify()
        return waiting

    def _notify(self) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            if self._problem is not None:
                deferred.errback(self._problem)
            else:
                deferred.callback(None)

    def stopService(self) -> Deferred[None]:
        """Listen no more, close every connection (320), and write the state. Fires when all that is done."""
        super().stopService()
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.cancel()
        listening, self._listening = self._listening, None
        stopped: list[Deferred[Any]] = [] if self._begun is None else [self._begun]  # the state may still be loading
        if listening is not None:
            stopped.append(maybeDeferred(listening.stopListening))
        stopped += [connection.ended for connection in self.broker.connections]
        self.broker.close_connections("broker forced connection closure with reason 'shutdown'")
        return DeferredList(stopped).addCallback(lambda _: self._end())

    def _end(self) -> Deferred[None]:
        self.broker.clear()
        return succeed(None) if self._store is None else Deferred.fromCoroutine(self._store.close())
