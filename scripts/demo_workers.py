"""The demo's worker processes: started, watched, killed, and never left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from tests.rabbitmq import RabbitMQNode, find_programs

PROJECT = Path(__file__).resolve().parents[1]

SERVICES = {"Calculator": "services.calculator", "KeyValueStore": "services.kvstore", "Report": "services.report"}
"""What each worker serves: the services' names, and their modules."""

START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0


class WorkerFailed(Exception):
    """A worker did not start, or ended by itself."""


class WorkerProcess:
    """``twistd -n rpc-worker`` with the three services. The kernel ends it when the demo is killed."""

    def __init__(self, number: int, broker_url: str, folder: Path) -> None:
        self.name = f"worker {number}"
        self.log = folder / f"worker{number}.log"
        command = [
            *find_programs().dies_with_parent,
            str(Path(sys.executable).with_name("twistd")),
            "-n",
            f"--pidfile={folder / f'worker{number}.pid'}",
            "rpc-worker",
            *(f"{module}:service" for module in SERVICES.values()),
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env={**os.environ, "RPC_BROKER": broker_url, "KVSTORE_PATH": str(folder / "kvstore.sqlite3")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is for the demo to handle
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_until_serving(self) -> None:
        """Block until the worker says that it consumes the requests of every service.

        :raises WorkerFailed: it ended, or does not say so in time.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while not all(f"serving {name} from" in self.log_text() for name in SERVICES):
            if not self.running or time.monotonic() > deadline:
                raise WorkerFailed(f"{self.name} {'does not serve' if self.running else 'ended'}")
            time.sleep(0.02)

    def log_text(self) -> str:
        """What it wrote."""
        return self.log.read_text(errors="replace")

    def freeze(self) -> None:
        """Take the processor away from it. What the broker has handed it stays with it, unanswered."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """``kill -9``. Harmless when it has ended."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> bool:
        """Ask it to end, and return whether it did so in good order, as twistd does: by the signal it was sent."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_TIMEOUT) in {0, -signal.SIGTERM}
        except subprocess.TimeoutExpired:
            return False

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


def requests_held(node: RabbitMQNode, worker: WorkerProcess) -> int:
    """How many requests the broker has handed to the worker that it has not acked: those it gives to another when the
    worker's connection ends. Blocks for about a second.
    """
    connections = node.ctl("list_connections", "pid", "client_properties").splitlines()
    channels = node.ctl("list_channels", "connection", "messages_unacknowledged").splitlines()
    named = re.compile(rf'"worker \S+\.{worker.pid}\.\w+"')  # see rpc.instance
    own = {line.split("\t")[0] for line in connections if named.search(line)}
    counts = [line.split("\t") for line in channels]
    return sum(int(count) for connection, count in counts if connection in own)
