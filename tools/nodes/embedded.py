"""A private embedded broker for tests, used like ``RabbitMQNode``: a process of its own, controlled by pipes.

It cannot live in the test's reactor, for there are tests that block. It ends with its standard input, which is this
process's end of a pipe; so nothing is left of it however this process ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any

from rpc.broker.compatibility import RABBITMQ_4
from tools.nodes.rabbitmq import NodeFailed, free_ports
from tools.processes import PROJECT, launch

PATIENCE = 30.0
"""Seconds in which the broker must start, answer and stop; each needs a fraction of one."""


class EmbeddedNode:
    """A :class:`~tools.nodes.broker_node.BrokerNode` of the embedded broker.

    Users and virtual hosts that were added are there again after each start.

    :param compatibility: the major version of RabbitMQ whose answers it gives.
    :param state: keep durable queues and their persistent messages over :meth:`stop` and :meth:`kill`, in a file.
    """

    def __init__(self, *, compatibility: int = RABBITMQ_4.version, state: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="embedded-node-"))
        self.log = self.folder / "node.log"
        (self.port,) = free_ports(1)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}"
        self._compatibility = compatibility
        self._state = str(self.folder / "state") if state else None
        self._users = {"guest": "guest"}
        self._vhosts = ["/"]
        self._checked = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self._discard = weakref.finalize(self, _discard, self._processes, self.folder)

    @property
    def pid(self) -> int | None:
        """Process id of the broker; None while it does not run."""
        return self._processes[0].pid if self._processes and self._processes[0].poll() is None else None

    def start(self) -> EmbeddedNode:
        if self.pid is not None:
            return self
        self.kill()  # clears up after a crashed run
        settings = {
            "port": self.port,
            "users": self._users,
            "vhosts": self._vhosts,
            "compatibility": self._compatibility,
            "state": self._state,
        }
        with self.log.open("ab") as log:
            process = launch(
                [sys.executable, "-m", "tools.nodes.embedded_program", json.dumps(settings)],
                folder=PROJECT,
                environment={**os.environ, "TMPDIR": str(self.folder)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._processes.append(process)
        self._answer()
        return self

    def stop(self) -> None:
        """Shut the broker down in order. Harmless when it does not run.

        :raises NodeFailed: it ended with an error, or did not end in time.
        """
        if self.pid is None:
            return
        process = self._processes.pop()
        with process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                status = None
        if status != 0:
            raise NodeFailed(f"it {'does not stop' if status is None else f'ended with status {status}'}{self._tail()}")

    def kill(self) -> None:
        _kill(self._processes)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the broker and remove its folder; it cannot be used again.

        :raises NodeFailed: it did not stop in order, or its log holds an error that :meth:`check_log` has not told.
        """
        try:
            self.stop()
            self.check_log()
        finally:
            self._discard()

    def check_log(self) -> None:
        """Raise :exc:`NodeFailed` when a traceback was logged since the last check: no peer may cause one."""
        with self.log.open("rb") as log:
            log.seek(self._checked)
            text = log.read().decode(errors="replace")
            self._checked = log.tell()
        if "Traceback" in text:
            raise NodeFailed(f"the embedded broker logged an error:\n{text[max(0, text.index('Traceback') - 500) :]}")

    def add_virtual_host(self, name: str) -> None:
        """Create a virtual host; the embedded broker opens each to every user."""
        self._do("add_virtual_host", name)
        self._vhosts.append(name)

    def add_user(self, name: str, password: str, virtual_host: str) -> None:
        """Create a user with all permissions in every virtual host."""
        assert virtual_host in self._vhosts, virtual_host
        self._do("add_user", name, password)
        self._users[name] = password

    def change_password(self, name: str, password: str) -> None:
        """Change the password of a user."""
        self._do("add_user", name, password)
        self._users[name] = password

    def close_connections(self, reason: str, virtual_host: str | None = None) -> None:
        self._do("close_connections", reason, virtual_host)

    def set_memory_alarm(self, on: bool) -> None:
        self._do("set_memory_alarm", on)

    def _do(self, operation: str, *arguments: Any) -> None:
        if self.pid is None:
            raise NodeFailed(f"{operation}: the broker does not run{self._tail()}")
        stdin = self._processes[0].stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has just ended: then it does not answer
            stdin.write(json.dumps([operation, *arguments]).encode() + b"\n")
        error = self._answer()
        if error is not None:
            raise NodeFailed(f"{operation}: {error}")

    def _answer(self) -> Any:
        """Wait for the next line of its output, and return its value."""
        stdout = self._processes[0].stdout
        assert stdout is not None
        waiting = select.poll()
        waiting.register(stdout, select.POLLIN)
        line = stdout.readline() if waiting.poll(PATIENCE * 1000) else None
        if not line:
            self.kill()
            raise NodeFailed(f"it {'does not answer' if line is None else 'ended'}{self._tail()}")
        return json.loads(line)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-100:]
        return "; the end of the embedded broker's log:\n" + "\n".join(lines)

    def __enter__(self) -> EmbeddedNode:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    while processes:
        with processes.pop() as process:
            process.kill()


def _discard(processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    """Remove process and folder of a node that is no longer referenced, at the latest when the interpreter exits."""
    _kill(processes)
    shutil.rmtree(folder, ignore_errors=True)
