"""The processes that are measured: told to begin, and asked for their figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.processes import Process, ProcessFailed


class PeerProcess(Process):
    """A server or client of a peer, in `folder`, with no environment but `variables`. It is asked to end on exit."""

    def __init__(self, name: str, command: Sequence[str], variables: dict[str, str], folder: Path) -> None:
        super().__init__(name, command, folder=folder, environment=variables, clean=True, takes_input=True)

    def begin(self) -> None:
        """Tell a client that waits to begin."""
        self.stdin.write(b"\n")

    def result(self, timeout: float) -> dict[str, Any]:
        """Block until it has printed its figures, and return them.

        :raises ProcessFailed: it ended before, takes too long, or says that calls failed.
        """
        line = self.wait_until(self._result_line, "had not finished", timeout)
        found: dict[str, Any] = json.loads(line)
        if found["errors"]:
            raise ProcessFailed(f"{found['errors']:,} of {found['calls']:,} calls failed: {found['problem'][:500]}")
        return found

    def leave(self) -> None:
        """Tell a client that has told its figures to close, and wait for that, a while."""
        self.stdin.close()
        with suppress(ProcessFailed):
            self.wait()

    def _result_line(self) -> str | None:
        lines = self.output().splitlines(keepends=True)
        return next((line for line in lines if line.startswith("{") and line.endswith("\n")), None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
