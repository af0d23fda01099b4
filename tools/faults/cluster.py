"""A cluster of RabbitMQ nodes on the loopback interface, each of which can be killed, frozen and started alone.

They share an epmd, which outlives them all, and a cookie; otherwise each is a node like any other of ``tools/nodes``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from tools.nodes.rabbitmq import (
    Neighbourhood,
    NodeFailed,
    RabbitMQNode,
    answers,
    find_programs,
    free_ports,
    launch_logged,
)

TICK_TIME = 4
"""Seconds after which a node takes another that is silent for dead (Erlang's net_ticktime; RabbitMQ's default is 60).
Until then, operations that need all nodes wait for it; declaring a queue is one."""

EPMD_TIMEOUT = 10.0


class RabbitMQCluster:
    """Nodes that know each other. A context manager that starts them on entry; all methods block.

    :ivar nodes: in no order of rank.
    :ivar url: ``amqp://`` URI of all nodes, as user guest.
    """

    def __init__(self, size: int = 3) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rabbitmq-epmd-"))
        (self._epmd_port,) = free_ports(1)
        self._epmd: subprocess.Popen[bytes] | None = None
        common = Neighbourhood(self._epmd_port, secrets.token_hex(20), f"-kernel net_ticktime {TICK_TIME}")
        self.nodes = [RabbitMQNode(neighbourhood=common) for _ in range(size)]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        self.url = f"amqp://guest:guest@{hosts}"

    def start(self) -> RabbitMQCluster:
        """Start all nodes at the same time, and join them; about fifteen seconds on two cores.

        :raises NodeFailed: one of them did not start, or did not join; nothing is left running.
        """
        try:
            self._start_epmd()
            with ThreadPoolExecutor(len(self.nodes)) as threads:
                list(threads.map(lambda node: node.start(), self.nodes))
                first, *others = self.nodes
                list(threads.map(lambda node: node.ctl("stop_app"), others))
                for node in others:  # one after the other: the second joins a cluster of two
                    node.ctl("join_cluster", first.name)
                    node.ctl("start_app")
        except BaseException:
            self.close()
            raise
        return self

    def leader(self, queue: str) -> RabbitMQNode:
        """The node on which a quorum queue has its leader.

        :raises NodeFailed: no node has the queue.
        """
        asked = next(node for node in self.nodes if node.pid is not None)
        for line in asked.ctl("list_queues", "name", "leader").splitlines():
            name, _, leader = line.partition("\t")
            if name == queue:
                return next(node for node in self.nodes if node.name == leader)
        raise NodeFailed(f"no queue {queue!r} in the cluster")

    def freeze(self, node: RabbitMQNode) -> None:
        """Take the processor away from a node: its sockets stay open, and say nothing."""
        if node.pid is not None:
            os.kill(node.pid, signal.SIGSTOP)

    def mend(self, node: RabbitMQNode) -> None:
        """Have a node that was killed or frozen run again. A frozen one is killed first: once the others have taken it
        for dead it is not let in again before it has started anew.
        """
        node.kill()
        node.start()
        node.ctl("await_online_nodes", str(len(self.nodes)), "--timeout", "30")

    def close(self) -> None:
        """End all nodes and remove their folders."""
        for node in self.nodes:
            node.kill()
            node.close()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start_epmd(self) -> None:
        programs = find_programs()
        command = [str(programs.epmd), "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        self._epmd = launch_logged(command, {}, self._folder, self._folder / "log")
        deadline = time.monotonic() + EPMD_TIMEOUT
        while not answers(self._epmd_port, b"", b""):
            if time.monotonic() > deadline:
                raise NodeFailed("epmd does not answer")
            time.sleep(0.02)

    def __enter__(self) -> RabbitMQCluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
