"""A topology that runs: a virtual host of its own on the node, worker processes, and connections of clients."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

import rpc
from tools.nodes.rabbitmq import RabbitMQNode
from tools.processes import Process, cpu_seconds
from tools.topology.stub import STUB

START_TIMEOUT = 600.0
"""Seconds until all services are served. RabbitMQ declares some thousand queues a minute."""

CALL_TIMEOUT = 120.0
CONNECTING_AT_ONCE = 20


class Deployment:
    """The processes and connections of one measurement; :meth:`close` ends them.

    :ivar node: the broker; its processor time is that of :meth:`broker_cpu`.
    :ivar url: of the virtual host.
    :ivar queue_type: of the services.
    """

    def __init__(self, node: RabbitMQNode, queue_type: str = "classic") -> None:
        self.node = node
        self.queue_type = queue_type
        self.virtual_host = f"topology-{secrets.token_hex(4)}"
        self.url = f"{node.url}/{self.virtual_host}"
        self.processes: list[Process] = []
        self.connections: list[rpc.Connection] = []

    async def open(self) -> Deployment:
        """Create the virtual host."""
        await deferToThread(self.node.add_virtual_host, self.virtual_host)
        return self

    async def serve(self, services: int, workers: int = 1, url: str | None = None) -> float:
        """Start a process with so many workers, each with so many services; return the seconds until all are served.

        :raises tools.processes.ProcessFailed: it ended, or takes longer than ``START_TIMEOUT``.
        """
        sizes = [str(services), str(workers), self.queue_type]
        command = [sys.executable, "-m", "tools.topology.serving", url or self.url, *sizes]
        process = Process("worker process", command)
        self.processes.append(process)
        line = await deferToThread(process.wait_for_line, "serving ", START_TIMEOUT)
        return float(line.split()[1])

    async def connect(self, count: int, url: str | None = None) -> list[rpc.Connection]:
        """Open so many connections."""
        opened: list[rpc.Connection] = []
        while len(opened) < count:
            some = range(min(CONNECTING_AT_ONCE, count - len(opened)))
            opened += await gatherResults([rpc.connect(url or self.url) for _ in some])
        self.connections += opened
        return opened

    def client(self, connection: rpc.Connection, name: str, **options: Any) -> Any:
        """A client of one service."""
        return connection.client(STUB, name=name, timeout=options.pop("timeout", CALL_TIMEOUT), **options)

    def broker_cpu(self) -> float:
        """Processor seconds of the broker so far."""
        assert self.node.pid is not None
        return cpu_seconds(self.node.pid)

    def worker_cpu(self) -> float:
        """Processor seconds of all worker processes so far."""
        return sum(cpu_seconds(process.pid) for process in self.processes)

    async def disconnect(self) -> None:
        """End connections and worker processes."""
        await gatherResults([connection.close() for connection in self.connections])
        for process in self.processes:
            process.close()
        self.connections, self.processes = [], []

    async def close(self) -> None:
        """End everything, and delete the virtual host."""
        await self.disconnect()
        await deferToThread(self.node.ctl, "delete_vhost", self.virtual_host)


async def in_lanes(calls: int, lanes: int, call: Callable[[int], Awaitable[Any]]) -> None:
    """Make so many calls, with up to `lanes` of them in progress. The first error ends it."""
    numbers = iter(range(calls))

    async def lane() -> None:
        for number in numbers:
            await call(number)

    await gatherResults([Deferred.fromCoroutine(lane()) for _ in range(lanes)], consumeErrors=True)
