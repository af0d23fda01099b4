"""The demo's processes: started, watched, killed, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tools.nodes.rabbitmq import dies_with_parent

PROJECT = Path(__file__).resolve().parents[2]

START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0


class ProcessFailed(Exception):
    """A process did not start, or ended by itself."""


class TwistdProcess:
    """``twistd -n`` with `arguments`, its log and pid file in `folder`. The kernel ends it when the demo is killed.

    As a context manager it is killed on exit.
    """

    def __init__(self, name: str, *arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        stem = name.replace(" ", "-")
        self._log = folder / f"{stem}.log"
        twistd = Path(sys.executable).with_name("twistd")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*dies_with_parent(), str(twistd), "-n", f"--pidfile={folder / stem}.pid", *arguments],
                cwd=PROJECT,
                env={**os.environ, **(environment or {})},
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

    def wait_until_logged(self, *texts: str) -> None:
        """Block until its log has all of the texts.

        :raises ProcessFailed: it ended, or does not say so in time.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while not all(text in self.log_text() for text in texts):
            if not self.running or time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} {'does not get ready' if self.running else 'ended'}")
            time.sleep(0.02)

    def log_text(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

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

    def __enter__(self) -> TwistdProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
