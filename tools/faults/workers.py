"""Worker processes for faults: ``twistd -n rpc-worker`` with the probe; killed, frozen, ended, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.faults.probe import Journal, variables
from tools.faults.waiting import Late, until
from tools.nodes.rabbitmq import find_programs

PROJECT = Path(__file__).resolve().parents[2]

START_TIMEOUT = 30.0
STOP_TIMEOUT = 40.0


class FaultyProcess:
    """A process with its output in a file, as nobody reads it while it runs. The kernel ends it with this one.

    To be made in the thread that lives longest: the reactor's.
    """

    def __init__(self, command: list[str], output: Path, environment: dict[str, str]) -> None:
        self.output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                [*find_programs().dies_with_parent, *command],
                cwd=PROJECT,
                env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    @property
    def resident_bytes(self) -> int:
        """Memory that it has."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def said(self) -> str:
        """What it printed."""
        return self.output.read_text(errors="replace")

    async def says(self, text: str, within: float = START_TIMEOUT) -> float:
        """Wait until it has printed `text`; return how many seconds that took.

        :raises Late: it takes longer, or it ended before.
        """

        def found() -> bool:
            running = self.running  # before looking: what it printed last counts
            if text in self.said():
                return True
            if not running:
                raise Late(f"the process ended before it printed {text!r}:\n{self.said()[-2000:]}")
            return False

        return await until(f"{text!r} is printed", found, within)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """``kill -9``. Harmless when it has ended."""
        self._process.kill()
        self._process.wait()

    async def ended(self, within: float = STOP_TIMEOUT) -> int:
        """Wait for its end; return its status."""
        await until("the process ends", lambda: not self.running, within)
        return self._process.returncode


class WorkerProcess(FaultyProcess):
    """A worker of the probe.

    :param options: of the ``ThriftService``; the name is among them.
    """

    def __init__(self, url: str, options: dict[str, Any], journal: Journal, output: Path) -> None:
        self._name = options["name"]
        twistd = str(Path(sys.executable).with_name("twistd"))
        command = [twistd, "-n", "--pidfile=", "rpc-worker", "tools.faults.probe:service"]
        super().__init__(command, output, {"RPC_BROKER": url, **variables(journal, options)})

    async def serving(self) -> None:
        """Wait until it serves."""
        await self.says(f"serving {self._name} from")
