"""A wall clock of other processes, which a test sets forward and back while they run."""

from __future__ import annotations

import os
import struct
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PATCH = Path(__file__).parent / "jumping_clock"

HOUR = 3600.0


class WallClock:
    """The wall clock of the processes that are started with its `environment`. Their monotonic clock is the real one.

    :ivar environment: variables that give a Python process this clock, and the project's modules.
    """

    def __init__(self, folder: Path) -> None:
        """:param folder: an existing one, for the file that the processes read."""
        self._file = folder / "offset"
        self._file.write_bytes(struct.pack("d", 0.0))
        self.environment = {
            "JUMPING_CLOCK": str(self._file),
            "PYTHONPATH": os.pathsep.join((str(PATCH), str(PROJECT))),
        }

    def set(self, ahead: float) -> None:
        """Set the clock to the real time and so many seconds more."""
        with self._file.open("r+b") as file:  # written over: the processes have mapped it
            file.write(struct.pack("d", ahead))
