"""``twistd`` processes of tests."""

from __future__ import annotations

from pathlib import Path

from tools.processes import Process, twistd


class WorkerProcess(Process):
    """``twistd -n`` with `arguments`: ``rpc-worker ...``, or ``-y FILE``."""

    def __init__(self, *arguments: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        super().__init__("worker", twistd(*arguments), folder=folder, environment=environment)

    def wait_until_serving(self, *services: str) -> None:
        """Block until all of `services` are served."""
        self.wait_for(*(f"serving {name} from" for name in services))


class BrokerProcess(Process):
    """``twistd -n rpc-broker`` with `arguments`, on a free port unless they name one."""

    def __init__(self, *arguments: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        command = twistd("rpc-broker", "--port", "0", *arguments)
        super().__init__("broker", command, folder=folder, environment=environment)

    def wait_until_listening(self) -> str:
        """Block until it listens; return ``host:port``."""
        line = self.wait_for_line("the embedded broker listens on ")
        return line.partition("listens on ")[2].partition(";")[0]
