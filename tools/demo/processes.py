"""The demo's processes: ``twistd`` with a plugin of this project."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from tools.processes import Process, ProcessFailed, twistd


class TwistdProcess(Process):
    """``twistd -n`` with `arguments`."""

    def __init__(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(name, twistd(*arguments), environment=environment)

    def freeze(self) -> None:
        """Stop it by SIGSTOP. The requests that it has got stay with it, unanswered."""
        self.send(signal.SIGSTOP)

    def stop(self) -> bool:
        """Ask it to end, and return whether it ended in order: twistd raises the signal once more when it is done."""
        self.send(signal.SIGTERM)
        try:
            return self.wait() in {0, -signal.SIGTERM}
        except ProcessFailed:
            return False
