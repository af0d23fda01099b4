"""The test harness: a broker, a worker and a connection in the test's own process."""

from __future__ import annotations

from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, overload

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from rpc.broker.limits import Limits
from rpc.broker.server import BrokerServer
from rpc.client.connection import Connection
from rpc.default_reactor import default_reactor
from rpc.errors import ConfigurationError
from rpc.hosting import Worker
from rpc.stub_types import ClientType, StubModule
from rpc.testing.clocked import ClockedReactor
from rpc.testing.faults import Faults
from rpc.testing.recording import Call, recorded
from rpc.uri import hide_logins
from rpc.worker.service import ThriftService

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack

    from rpc.client.options import Options


class Harness:
    """An embedded broker on a free port, a worker that serves `services`, and a connection.

    They run from :meth:`start` to :meth:`stop`, or as long as an ``async with`` block::

        async with Harness(rpc.ThriftService(Calculator, CalculatorHandler())) as harness:
            assert await harness.client(Calculator).add(2, 3) == 5

    :ivar url: the broker's, for programs that the test starts.
    :ivar connection: the one that :meth:`client` uses.
    :ivar worker: serves the services; ``None`` without services.
    :ivar calls: the calls that reached a handler (:class:`Call`), in order.
    :ivar faults: faults to inject (:class:`Faults`); the embedded broker has them, another broker has none.
    """

    url: str
    connection: Connection
    faults: Faults

    def __init__(
        self,
        *services: ThriftService,
        clock: Clock | None = None,
        limits: Limits | None = None,
        url: str | None = None,
        reactor: Any = None,
    ) -> None:
        """
        :param clock: the time of broker, worker and connection: a deadline, pause or expiration comes when the test
            advances it. Without a clock, time passes by itself.
        :param limits: of the embedded broker.
        :param url: of a broker that runs already, to be used instead of an embedded one.
        :raises ConfigurationError: `url` was given with `clock` or `limits`, which are for the embedded broker.
        """
        if url is not None and (clock is not None or limits is not None):
            raise ConfigurationError(
                f"url={hide_logins(url)!r}: a broker that runs already takes neither clock= nor limits="
            )
        real = reactor or default_reactor()
        self._reactor = ClockedReactor(real, clock) if clock is not None else real
        # The test may advance the clock by more than two heartbeats at once, which would end the connections.
        self._parameters = "" if clock is None else "?heartbeat=0"
        self._services = services
        self._server: BrokerServer | None = None
        if url is None:
            self._server = BrokerServer(self._reactor, port=0, limits=limits)
        else:
            self.url = url
        self._names: set[str] = set()
        self._workers: list[Worker] = []
        self._connections: list[Connection] = []
        self.worker: Worker | None = None
        self.calls: list[Call] = []

    def __repr__(self) -> str:
        return f"<harness of {', '.join(service.name for service in self._services) or 'no service'}>"

    def start(self) -> Deferred[Harness]:
        """Start the broker, serve the services, and connect.

        :return: fires with this harness when the services are served and the connection is open. Fails with
            :class:`~rpc.errors.ConfigurationError` when a service cannot be served, with an
            :class:`~rpc.errors.AMQPError` when the broker at `url` cannot be reached or refuses the login or the
            worker, and with ``CancelledError`` when :meth:`stop` is called before; then nothing is left running.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> Harness:
        try:
            if self._server is not None:
                await self._start_broker(self._server)
            self.connection = await self.connect()  # before the worker, which would wait for a broker that is not there
            if self._services:
                self.worker = self.serve(*self._services)
                await self.worker.when_serving()
        except BaseException:
            await self._stop()
            raise
        return self

    async def _start_broker(self, server: BrokerServer) -> None:
        server.startService()
        await server.when_listening()
        self.url = f"amqp://127.0.0.1:{server.port}/{self._parameters}"
        self.faults = Faults(server.broker, self._names)

    def serve(self, *services: ThriftService, drain_timeout: float = 0.0) -> Worker:
        """Start a further worker, whose calls are recorded too.

        :param drain_timeout: seconds that calls in progress have to finish when the harness stops. With 0, the calls
            that a test leaves in progress are abandoned.
        :raises ConfigurationError: the harness is not started, or a service cannot be served.
        """
        url = self._started_url()
        self._names.update(service.name for service in services)
        noting = [recorded(service, self.calls.append) for service in services]
        worker = Worker(url, noting, drain_timeout=drain_timeout, reactor=self._reactor)
        self._workers.append(worker)
        worker.startService()
        return worker

    def connect(self) -> Deferred[Connection]:
        """Open a further connection.

        :return: fires with the open connection. Fails with an :class:`~rpc.errors.AMQPError` when the broker cannot be
            reached, and with ``CancelledError`` when the harness is stopped before.
        :raises ConfigurationError: the harness is not started.
        """
        connection = Connection(self._started_url(), reactor=self._reactor)
        self._connections.append(connection)  # before it is open, so that stop() ends it in any case
        connection.startService()
        return connection.when_connected()

    def stop(self) -> Deferred[None]:
        """Stop connections, workers and broker. Fires when no socket, no timer and no call is left."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if hasattr(self, "faults"):
            self.faults.clear()
        for connection in self._connections:
            await connection.close()
        for worker in self._workers:
            await worker.stopService()
        if self._server is not None:
            await self._server.stopService()

    @overload
    def client(self, stub: StubModule[ClientType], **options: Unpack[Options]) -> ClientType: ...

    @overload
    def client(self, stub: type[ClientType], **options: Unpack[Options]) -> ClientType: ...

    @overload
    def client(self, stub: ModuleType, **options: Unpack[Options]) -> Any: ...

    def client(self, stub: Any, **options: Unpack[Options]) -> Any:
        """Return a client of the service of `stub`; see :meth:`rpc.client.connection.Connection.client`.

        :raises ConfigurationError: the harness is not started.
        """
        if not hasattr(self, "connection"):
            raise _not_started()
        return self.connection.client(stub, **options)

    def _started_url(self) -> str:
        if not hasattr(self, "url"):
            raise _not_started()
        return self.url

    async def __aenter__(self) -> Harness:
        return await self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()


def _not_started() -> ConfigurationError:
    return ConfigurationError("the harness is not started: write 'async with Harness(...) as harness:'")
