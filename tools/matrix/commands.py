"""Commands of the matrix, run in the project's folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.processes import PROJECT

TIMEOUT = 900.0
"""Seconds for a command whose output is wanted: the longest installs the project."""

LAST_LINES = 15


class NotMade(Exception):
    """An environment could not be made, though nothing is missing; the message has the end of the output."""


def output_of(*command: str) -> str:
    """Return what a command prints.

    :raises NotMade: it failed, or took too long.
    """
    try:
        ended = subprocess.run(
            command,
            cwd=PROJECT,
            env=clean_variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotMade(f"{' '.join(command)}: not finished after {TIMEOUT:.0f} s") from error
    if ended.returncode:
        last = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-LAST_LINES:])
        raise NotMade(f"{' '.join(command)}: status {ended.returncode}\n{last}")
    return ended.stdout.strip()


def run_logged(command: Sequence[str], path: str, log: Path) -> int:
    """Run a command with this PATH, and its output in `log`, and return its exit status."""
    with log.open("wb") as output:
        return subprocess.run(
            command,
            cwd=PROJECT,
            env={**clean_variables(), "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode


def clean_variables() -> dict[str, str]:
    """Return this process's variables without those that would lead Python to other code."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
