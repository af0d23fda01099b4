"""One trial of one fault: what a scenario needs is made here, counted when it is over, and closed."""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread

import rpc
from rpc.amqp.confirms import ConfirmLedger
from rpc.deadlines import Deadlines
from tests.faults.accounts import Account
from tests.faults.probe import Ask, Journal, make_service, stub
from tests.faults.proxy import Proxy
from tests.faults.waiting import Late, clock, together, until
from tests.faults.workers import WorkerProcess
from tests.rabbitmq import RabbitMQNode

IDLE = 5.0
"""Seconds after the last call until all tables must be empty."""


@attrs.frozen
class Finding:
    """What a scenario saw.

    :ivar seen: the figures, in words.
    :ivar met: whether the promise held.
    """

    seen: str
    met: bool


@attrs.frozen
class Result:
    """A fault, what was promised, and what was seen.

    :ivar unfired: Deferreds unfired one second past their deadline.
    :ivar wrong: answers to the wrong caller.
    :ivar left: entries left in tables, by table.
    :ivar descriptors: open before and after.
    :ivar seconds: that it took.
    """

    name: str
    fault: str
    promise: str
    seen: str
    met: bool
    unfired: int
    wrong: int
    left: dict[str, int]
    descriptors: tuple[int, int]
    seconds: float


@attrs.frozen
class Scenario:
    """A fault, and how to see whether a promise holds under it.

    :ivar play: the scenario itself; its further arguments are `quick` or `full`.
    :ivar cluster: whether it needs three nodes rather than one.
    """

    name: str
    fault: str
    promise: str
    play: Callable[..., Awaitable[Finding]]
    quick: dict[str, Any]
    full: dict[str, Any]
    cluster: bool = False


class Trial:
    """What one scenario has: a broker, and what it makes with the methods here, which is closed in the end.

    :ivar node: the broker; ``None`` for what runs on a cluster.
    :ivar name: the service's, which nothing else on the broker has.
    :ivar account: of the calls, to which all tests are held.
    """

    def __init__(self, node: RabbitMQNode, cluster: Any = None) -> None:
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

    async def client(self, url: str | None = None, **options: Any) -> Any:
        """A client of the probe, on a connection of its own."""
        connection = await self.connect(url)
        return connection.client(stub(), name=self.name, **options)

    def proxy(self, port: int | None = None) -> Proxy:
        """A proxy before the broker."""
        proxy = Proxy(clock, port or self.node.port)
        self._proxies.append(proxy)
        return proxy

    def by(self, proxy: Proxy, parameters: str = "") -> str:
        """The broker's URL by way of the proxy."""
        return f"amqp://guest:guest@127.0.0.1:{proxy.port}{parameters}"

    def service(self, **options: Any) -> rpc.ThriftService:
        """The probe, for a worker in this process."""
        return make_service(self.journal, name=self.name, **options)

    async def worker(self, url: str | None = None, **options: Any) -> rpc.Worker:
        """A worker in this process, serving."""
        worker = rpc.Worker(url or self.url, [self.service(**options)], drain_timeout=5)
        self.workers.append(worker)
        worker.startService()
        await worker.when_serving()
        return worker

    async def process(self, url: str | None = None, **options: Any) -> WorkerProcess:
        """A worker process, serving."""
        output = self.folder / f"worker{len(self.processes)}.log"
        worker = WorkerProcess(url or self.url, {"name": self.name, **options}, self.journal, output)
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
        """How many oneway calls were confirmed and are never run, though somebody serves."""
        try:
            await until("what was confirmed is run", lambda: not self._not_run(), within)
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
        """What is in the tables of clients and workers here."""
        owners: list[tuple[str, object]] = [
            ("client", transport) for each in self.connections for transport in each._transports.values()
        ]
        owners += [("worker", serving) for worker in self.workers for serving in worker._serving]
        left: dict[str, int] = {}
        for role, owner in owners:
            for name, entries in _tables(owner):
                if entries:
                    left[f"{role}{name}"] = left.get(f"{role}{name}", 0) + entries
        return left

    async def over(self) -> dict[str, int]:
        """Wait until all calls are settled; return what is left in the tables then."""
        await self.account.settled()
        try:
            await until("all tables are empty", lambda: not self.entries_left(), IDLE)
        except Late:
            return self.entries_left()
        return {}

    async def close(self) -> None:
        """Close everything that was made."""
        for process in self.processes:
            process.kill()
        closing: list[Deferred[Any]] = [connection.close() for connection in self.connections]
        await gatherResults(closing)
        await gatherResults([worker.stopService() for worker in self.workers])
        for proxy in self._proxies:
            await proxy.close()
        self._folder.cleanup()


CONSTANT = {"_methods", "_handlers", "_shared_consumers"}
"""Tables of a worker that say what it serves, and are not empty while it does."""

BOUNDED = {"_answered"}
"""Tables that keep what is over on purpose, within bounds of their own."""

TABLES = (dict, list, set, deque, Deadlines, ConfirmLedger)


def _tables(owner: Any) -> Iterator[tuple[str, int]]:
    """The tables of a transport, and of its parts, whatever their names, with the number of entries."""
    for name, value in vars(owner).items():
        if isinstance(value, TABLES):
            if name not in CONSTANT | BOUNDED:
                yield f".{name}", len(value)
        elif type(value).__module__.startswith(("rpc.transport.", "rpc.policies.")) and hasattr(value, "__dict__"):
            yield from ((f".{name}{inner}", entries) for inner, entries in _tables(value))
    if hasattr(owner, "running"):
        yield ".running", owner.running


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    """Memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _first_uses() -> None:
    """Use what keeps something open from its first use on: the reactor's threads, and its listening ports."""
    await deferToThread(lambda: None)
    await maybeDeferred(clock.listenTCP(0, Factory(), interface="127.0.0.1").stopListening)


async def perform(scenario: Scenario, node: Any, cluster: Any, arguments: dict[str, Any]) -> Result:
    """Play `scenario`. One that raises is a promise that was not met, told with what it raised."""
    await _first_uses()
    began, before = clock.seconds(), descriptors()
    trial = Trial(node, cluster)
    left: dict[str, int] = {}
    try:
        finding = await scenario.play(trial, **arguments)
        left = await trial.over()
    except Exception as error:
        finding = Finding(f"failed: {type(error).__name__}: {error}", met=False)
    account = trial.account
    unfired, wrong = account.unfired, account.wrong
    try:
        await trial.close()
    except Exception as error:
        finding = Finding(f"{finding.seen}; closing failed: {type(error).__name__}: {error}", met=False)
    try:
        await until("descriptors are closed", lambda: descriptors() <= before, IDLE)
    except Late as late:
        finding = Finding(f"{finding.seen}; {late}", met=False)
    met = finding.met and not unfired and not wrong and not left
    return Result(
        name=scenario.name,
        fault=scenario.fault,
        promise=scenario.promise,
        seen=finding.seen,
        met=met,
        unfired=unfired,
        wrong=wrong,
        left=left,
        descriptors=(before, descriptors()),
        seconds=round(clock.seconds() - began, 1),
    )
