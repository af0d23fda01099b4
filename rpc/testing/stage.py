"""Where services are tested: a broker, a worker and a connection to call from, all in the test's own process."""

from __future__ import annotations

from types import ModuleType, TracebackType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

import rpc
from rpc.broker.limits import Limits
from rpc.broker.server import BrokerServer
from rpc.client.connection import Connection
from rpc.default_reactor import default_reactor
from rpc.errors import ConfigurationError
from rpc.hosting import Worker
from rpc.testing.clocked import ClockedReactor
from rpc.testing.faults import Faults
from rpc.testing.recording import Call, recorded
from rpc.worker.service import ThriftService


class Stage:
    """An embedded broker on a free port, a worker that serves `services`, and a connection: from :meth:`start` to
    :meth:`stop`, or as long as an ``async with`` block.

    :ivar url: the broker's, for further connections of the test's own.
    :ivar connection: to call from; see :meth:`client`.
    :ivar worker: what serves the services; ``None`` without any.
    :ivar calls: every :class:`Call` that came to a handler, in their order.
    :ivar faults: what shall go wrong; see :class:`Faults`.
    """

    url: str
    connection: Connection
    faults: Faults

    def __init__(
        self, *services: ThriftService, clock: Clock | None = None, limits: Limits | None = None, reactor: Any = None
    ) -> None:
        """
        :param clock: the time of broker, worker and connection: deadlines, pauses and expirations come when the test
            advances it. Without one time passes by itself.
        :param limits: of the broker.
        """
        real = reactor or default_reactor()
        self._reactor = ClockedReactor(real, clock) if clock is not None else real
        self._heartbeat = "" if clock is None else "?heartbeat=0"  # silence would be as long as the test says
        self._services = services
        self._server = BrokerServer(self._reactor, port=0, limits=limits)
        self.worker: Worker | None = None
        self.calls: list[Call] = []

    def start(self) -> Deferred[Stage]:
        """Fires with this stage when the services are served and it is connected; then what it needs is running.

        Fails with :class:`~rpc.errors.ConfigurationError` when a service cannot be served.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> Stage:
        self._server.startService()
        try:
            await self._server.when_listening()
            self.url = f"amqp://127.0.0.1:{self._server.port}/{self._heartbeat}"
            self.faults = Faults(self._server.broker)
            if self._services:
                await self._serve()
            self.connection = await rpc.connect(self.url, reactor=self._reactor)
        except BaseException:
            await self.stop()
            raise
        return self

    async def _serve(self) -> None:
        services = [recorded(service, self.calls.append) for service in self._services]
        # Calls that a test has left in progress are of no use to anybody when it is over.
        self.worker = Worker(self.url, services, drain_timeout=0.0, reactor=self._reactor)
        self.worker.startService()
        await self.worker.when_serving()

    def stop(self) -> Deferred[None]:
        """End all of it. Fires when no socket, no timer and no call is left."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if hasattr(self, "faults"):
            self.faults.clear()
        if hasattr(self, "connection"):
            await self.connection.close()
        if self.worker is not None:
            await self.worker.stopService()
        await self._server.stopService()

    def client(self, stub: ModuleType, **options: Any) -> Any:
        """Return a client of the service of `stub`; see :meth:`rpc.client.connection.Connection.client`.

        :raises ConfigurationError: the stage has not been started.
        """
        if not hasattr(self, "connection"):
            raise ConfigurationError("the stage is not started: write 'async with Stage(...) as stage:'")
        return self.connection.client(stub, **options)

    async def __aenter__(self) -> Stage:
        return await self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()
