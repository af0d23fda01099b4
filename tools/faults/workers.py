"""Processes for faults: the reactor runs on while a scenario waits for them."""

from __future__ import annotations

from typing import Any

from tools.faults.probe import Journal, variables
from tools.faults.waiting import Late, until
from tools.processes import PROJECT, START_TIMEOUT, Process, twistd

STOP_TIMEOUT = 40.0


class FaultyProcess(Process):
    """A process that a scenario kills, freezes, ends, and starts again."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        super().__init__(name, command, environment={"PYTHONPATH": str(PROJECT), **environment})

    async def says(self, text: str, within: float = START_TIMEOUT) -> float:
        """Wait until it has printed `text`; return how many seconds that took.

        :raises Late: it takes longer, or it ended before.
        """

        def found() -> bool:
            running = self.running  # asked first: output of a process that has just ended is looked at once more
            if text in self.output():
                return True
            if not running:
                raise Late(f"{self.name} ended before it printed {text!r}:\n{self.output_tail()}")
            return False

        return await until(f"{text!r} is printed", found, within)

    async def ended(self, within: float = STOP_TIMEOUT) -> int:
        """Wait for its end; return its exit status."""
        await until(f"{self.name} ends", lambda: not self.running, within)
        return self.wait()


class WorkerProcess(FaultyProcess):
    """``twistd -n rpc-worker`` with the probe.

    :param options: of the ``ThriftService``; the name is among them.
    """

    def __init__(self, url: str, options: dict[str, Any], journal: Journal) -> None:
        self._service = options["name"]
        command = twistd("rpc-worker", "tools.faults.probe:service")
        super().__init__("worker", command, {"RPC_BROKER": url, **variables(journal, options)})

    async def serving(self) -> None:
        """Wait until it serves.

        :raises Late: it does not.
        """
        await self.says(f"serving {self._service} from")
