"""The brokers that the demo runs on, behind one class: the project's own, which needs no installation, and RabbitMQ.

They differ in how the demo counts the requests of a killed worker: the embedded broker logs the number that it took
back, RabbitMQ has to be asked beforehand.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from types import TracebackType

from tools.demo.processes import TwistdProcess
from tools.nodes.rabbitmq import RabbitMQNode
from tools.processes import ProcessFailed

NOTICE_TIMEOUT = 10.0
"""Seconds within which the embedded broker notices that a worker is gone; it needs some milliseconds."""


class Broker(ABC):
    """A broker of the demo's own: started as the context is entered, killed when that is left."""

    name: str
    """For messages to the user."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Its ``amqp://`` URI."""

    @abstractmethod
    def start(self) -> None:
        """Start it, and block until it listens."""

    @abstractmethod
    def kill(self) -> None:
        """End it by SIGKILL: its data is not needed. Harmless when it does not run."""

    @abstractmethod
    def log_tail(self, lines: int) -> str:
        """The last lines that it wrote."""

    @abstractmethod
    def kill_worker(self, worker: TwistdProcess) -> int:
        """``kill -9`` the worker; return how many requests it had, which go to another now. Blocks for a second."""

    def __enter__(self) -> Broker:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


class EmbeddedBroker(Broker):
    """``twistd -n rpc-broker``, a process of its own as users start it."""

    name = "the embedded broker"

    def __init__(self) -> None:
        self._process: TwistdProcess | None = None

    @property
    def url(self) -> str:
        listening = re.search(r"broker listens on (127\.0\.0\.1:\d+)", self._log_text())
        if listening is None:
            raise ProcessFailed(f"{self.name} does not listen")
        return f"amqp://guest:guest@{listening[1]}"

    def start(self) -> None:
        self._process = TwistdProcess(self.name, "rpc-broker", "--port", "0")
        self._process.wait_for("broker listens on ")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def log_tail(self, lines: int) -> str:
        return self._process.output_tail(lines) if self._process is not None else ""

    def kill_worker(self, worker: TwistdProcess) -> int:
        worker.kill()
        # The names of connections are those of rpc.instance.
        ended = re.compile(rf"connection worker \S+\.{worker.pid}\.\w+ ended: (\d+) deliver")
        deadline = time.monotonic() + NOTICE_TIMEOUT
        while time.monotonic() < deadline:
            if taken_back := ended.search(self._log_text()):
                return int(taken_back[1])
            time.sleep(0.02)
        return 0  # which is not logged

    def _log_text(self) -> str:
        return self._process.output() if self._process is not None else ""


class RabbitMQBroker(Broker):
    """A private RabbitMQ node."""

    name = "a private RabbitMQ node"

    def __init__(self) -> None:
        self._node = RabbitMQNode()

    @property
    def url(self) -> str:
        return self._node.url

    def start(self) -> None:
        self._node.start()

    def kill(self) -> None:
        self._node.kill()
        self._node.close()

    def log_tail(self, lines: int) -> str:
        return self._node.log_tail(lines)

    def kill_worker(self, worker: TwistdProcess) -> int:
        worker.freeze()  # or it would go on answering while RabbitMQ is asked
        try:
            return self._requests_held(worker)
        finally:
            worker.kill()

    def _requests_held(self, worker: TwistdProcess) -> int:
        """How many requests the broker has handed to the worker that it has not acked: those it gives to another when
        the worker's connection ends.
        """
        connections = self._node.ctl("list_connections", "pid", "client_properties").splitlines()
        channels = self._node.ctl("list_channels", "connection", "messages_unacknowledged").splitlines()
        named = re.compile(rf'"worker \S+\.{worker.pid}\.\w+"')  # see rpc.instance
        own = {line.split("\t")[0] for line in connections if named.search(line)}
        counts = [line.split("\t") for line in channels]
        return sum(int(count) for connection, count in counts if connection in own)
