"""The processes that are measured: started, watched, told to begin, asked for their figures, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tools.nodes.rabbitmq import find_programs

POLL = 0.02
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
LAST_LINES = 12

Found = TypeVar("Found")

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProcessFailed(Exception):
    """A process ended, or did not do its work in time; the message is its last words."""


def cpu_seconds(pid: int) -> float:
    """Processor time, user's and system's, of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Memory that a process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


class Process:
    """A program in a session of its own; a context manager that ends it. The kernel ends it when this one is killed.

    :param folder: where its output goes, to files.
    """

    def __init__(self, name: str, command: Sequence[str], variables: dict[str, str], folder: Path) -> None:
        self.name = name
        self._output = folder / "output"
        self._errors = folder / "errors"
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [*find_programs().dies_with_parent, *command],
                cwd=folder,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors,
                start_new_session=True,  # a Ctrl-C in the terminal is for the runner to handle
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def output(self) -> str:
        """What it printed so far."""
        return self._output.read_text(errors="replace")

    def errors(self) -> str:
        """What it printed to its standard error so far."""
        return self._errors.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1, timeout: float = START_TIMEOUT) -> None:
        """Block until it has printed `text` so many times, to its output or its errors.

        :raises ProcessFailed: it ended before, or takes too long.
        """

        def enough() -> bool | None:
            return (self.output() + self.errors()).count(text) >= times or None

        self._wait(enough, f"did not print {text!r}", timeout)

    def begin(self) -> None:
        """Tell a client that waits to begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def result(self, timeout: float) -> dict[str, Any]:
        """Block until it has printed its figures, and return them.

        :raises ProcessFailed: it ended before, takes too long, or says that calls failed.
        """
        line = self._wait(self._result_line, "had not finished", timeout)
        found: dict[str, Any] = json.loads(line)
        if found["errors"]:
            raise ProcessFailed(f"{found['errors']:,} of {found['calls']:,} calls failed: {found['problem'][:500]}")
        return found

    def leave(self) -> None:
        """Tell a client that has told its figures to close, and wait for that, a while."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT)

    def end(self) -> None:
        """Ask it to end, then make it. Harmless when it has ended."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _result_line(self) -> str | None:
        lines = self.output().splitlines(keepends=True)
        return next((line for line in lines if line.startswith("{") and line.endswith("\n")), None)

    def _wait(self, look: Callable[[], Found | None], late: str, timeout: float) -> Found:
        deadline = time.monotonic() + timeout
        while True:
            running = self.running  # before looking: what it printed last counts
            found = look()
            if found is not None:
                return found
            if not running or time.monotonic() > deadline:
                raise ProcessFailed(self._epitaph(f"{late} within {timeout:.0f} s"))
            time.sleep(POLL)

    def _epitaph(self, late: str) -> str:
        status = self._process.poll()
        ending = late if status is None else f"ended with status {status}"
        text = self.errors() + self.output()
        return "\n".join([f"the {self.name} {ending}", *text.strip().splitlines()[-LAST_LINES:]])

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
