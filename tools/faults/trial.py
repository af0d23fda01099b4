"""One trial of one fault: makes clients, workers and proxies for a scenario, counts leftovers, and closes them."""

from __future__ import annotations

import secrets
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

import rpc
from tools.faults.accounts import Account
from tools.faults.leaks import tables
from tools.faults.probe import Ask, Journal, make_service, stub
from tools.faults.proxy import Proxy
from tools.faults.waiting import Late, clock, together, until
from tools.faults.workers import WorkerProcess

IDLE = 5.0
"""Seconds after the last call until all tables must be empty."""


class Trial:
    """The broker, clients, workers and proxies of one scenario; :meth:`close` ends all that its methods made.

    :ivar node: the broker; one node of the cluster when there is one.
    :ivar name: the service's, which nothing else on the broker has.
    :ivar account: of the calls, to which all tests are held.
    """

    def __init__(self, node: Any, cluster: Any = None) -> None:
        self.node = node
        self.cluster = cluster
        self.name = f"Probe-{secrets.token_hex(4)}"
        self.account = Account()
        self._folder = TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.journal = Journal(self.folder / "journal")
        self.confirmed: set[int] = set()
        self.connections: list[rpc.Connection] = []
        self.workers: list[rpc.Worker] = []
        self.processes: list[Any] = []
        self._proxies: list[Proxy] = []

    @property
    def url(self) -> str:
        """The broker's, or the cluster's."""
        url: str = self.node.url if self.cluster is None else self.cluster.url
        return url

    async def connect(self, url: str | None = None) -> rpc.Connection:
        """Connect as a user does."""
        connection = await rpc.connect(url or self.url)
        self.connections.append(connection)
        return connection

    async def client(self, url: str | None = None, instance: str = "", **options: Any) -> Any:
        """A client of the probe, or of the one worker `instance`, on a connection of its own."""
        connection = await self.connect(url)
        return connection.client(stub(), name=f"{self.name}@{instance}" if instance else self.name, **options)

    def proxy(self, port: int | None = None) -> Proxy:
        """A proxy before the broker."""
        proxy = Proxy(clock, port or self.node.port)
        self._proxies.append(proxy)
        return proxy

    def by(self, proxy: Proxy, parameters: str = "") -> str:
        """The broker's URL by way of the proxy."""
        return f"amqp://guest:guest@127.0.0.1:{proxy.port}{parameters}"

    async def worker(self, url: str | None = None, **options: Any) -> rpc.Worker:
        """A worker in this process, serving."""
        worker = self.starting_worker(url or self.url, **options)
        await worker.when_serving()
        return worker

    def starting_worker(self, url: str, **options: Any) -> rpc.Worker:
        """A worker in this process, which serves when it can."""
        service = make_service(self.journal, name=self.name, **options)
        worker = rpc.Worker(url, [service], drain_timeout=5)
        self.workers.append(worker)
        worker.startService()
        return worker

    async def process(self, url: str | None = None, **options: Any) -> WorkerProcess:
        """A worker process, serving."""
        worker = WorkerProcess(url or self.url, {"name": self.name, **options}, self.journal)
        self.processes.append(worker)
        await worker.serving()
        return worker

    async def processes_at_once(self, number: int, url: str | None = None, **options: Any) -> list[WorkerProcess]:
        """So many of them."""
        return await together(self.process(url, **options) for _ in range(number))

    def noting(self, client: Any) -> Ask:
        """Oneway calls of `client`; those that the broker has confirmed are remembered."""

        def ask(number: int) -> Deferred[int]:
            confirmed: Deferred[None] = client.note(number)
            return confirmed.addCallback(lambda _: self._confirm(number))

        return ask

    def _confirm(self, number: int) -> int:
        self.confirmed.add(number)
        return number

    async def lost(self, within: float = 30.0) -> int:
        """The number of oneway calls that were confirmed and never run, though a worker serves."""
        try:
            await until("confirmed calls are run", lambda: not self._not_run(), within)
        except Late:
            return len(self._not_run())
        return 0

    def _not_run(self) -> set[int]:
        return self.confirmed - set(self.journal.runs("note"))

    async def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl."""
        return await deferToThread(self.node.ctl, *arguments)

    async def queue_names(self) -> list[str]:
        """Of all queues in the virtual host."""
        return (await self.ctl("list_queues", "name")).splitlines()

    def entries_left(self) -> dict[str, int]:
        """The entries in the tables of clients and workers of this process."""
        owners: list[tuple[str, object]] = [
            ("client", caller) for each in self.connections for caller in each._callers.values()
        ]
        owners += [("worker", served.dispatcher) for worker in self.workers for served in worker._served.values()]
        left: dict[str, int] = {}
        for role, owner in owners:
            for name, entries in tables(owner):
                if entries:
                    left[f"{role}{name}"] = left.get(f"{role}{name}", 0) + entries
        return left

    async def over(self) -> dict[str, int]:
        """Wait until all calls are settled; return the entries that are left in the tables."""
        await self.account.settled()
        try:
            await until("all tables are empty", lambda: not self.entries_left(), IDLE)
        except Late:
            return self.entries_left()
        return {}

    async def close(self) -> None:
        """Close everything that was made."""
        for process in self.processes:
            process.close()
        closing: list[Deferred[Any]] = [connection.close() for connection in self.connections]
        await gatherResults(closing)
        await gatherResults([worker.stopService() for worker in self.workers])
        for proxy in self._proxies:
            await proxy.close()
        self._folder.cleanup()
