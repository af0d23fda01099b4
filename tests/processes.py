"""Real ``twistd`` processes for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import TypeVar

Self = TypeVar("Self", bound="TwistdProcess")

TWISTD = Path(sys.executable).with_name("twistd")


class TwistdProcess:
    """``twistd -n`` with `arguments`, in `folder`; a context manager that ends it.

    Its standard output and error are one pipe, read as far as a test asks for.
    """

    def __init__(self, *arguments: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.output: list[str] = []
        self._process = subprocess.Popen(
            [str(TWISTD), "--pidfile=", "-n", *arguments],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def wait_for(self, text: str) -> str:
        """Read until a line holds `text`, and return it; raises ``AssertionError`` when the process ends before."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came in:\n{''.join(self.output)}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 20.0) -> int:
        """Wait for its end, with the rest of the output; return its exit status."""
        rest, _ = self._process.communicate(timeout=timeout)
        self.output.append(rest)
        return self._process.returncode

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


class WorkerProcess(TwistdProcess):
    """``twistd -n rpc-worker``, or ``twistd -ny FILE``."""

    def wait_until_serving(self, *services: str) -> None:
        """Read until all of `services` are served."""
        left = set(services)
        while left:
            line = self.wait_for("serving ")
            left -= {name for name in left if f"serving {name} from" in line}


class BrokerProcess(TwistdProcess):
    """``twistd -n rpc-broker`` with `arguments`, on a free port unless they name one."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        super().__init__("rpc-broker", "--port", "0", *arguments, folder=folder)

    def wait_until_listening(self) -> str:
        """Read until it listens; return ``host:port``."""
        return self.wait_for("the embedded broker listens on ").partition("listens on ")[2].partition(";")[0]
