"""Processes of tests: ``twistd`` and ``thrift-rpc serve``."""

from __future__ import annotations

import sys
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


class ServeProcess(Process):
    """``thrift-rpc serve`` with `arguments`."""

    def __init__(self, *arguments: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        command = [str(Path(sys.executable).with_name("thrift-rpc")), "serve", *arguments]
        super().__init__("serve", command, folder=folder, environment=environment)

    def health_url(self) -> str:
        """Block until pages are served; return the URL before ``/live``."""
        return self.wait_for_line("/live").partition("pages: ")[2].partition("/live")[0]

    def worker_pid(self) -> int:
        """Block until a further worker process serves; return its id."""
        line = self.wait_for_line(") serves")
        return int(line.partition("(process ")[2].partition(")")[0])
