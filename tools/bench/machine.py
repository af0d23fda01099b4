"""The machine that the figures were taken on, and the state of the project."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import attrs

from tools.processes import PROJECT


@attrs.frozen
class Machine:
    """The machine on which broker, workers and clients all ran."""

    cores: int
    processor: str
    memory_gigabytes: float
    system: str


def this_machine() -> Machine:
    """Look."""
    processor = _field(Path("/proc/cpuinfo"), "model name") or platform.machine()
    kilobytes = int((_field(Path("/proc/meminfo"), "MemTotal") or "0").split()[0])
    cores = len(os.sched_getaffinity(0))
    return Machine(cores, processor, round(kilobytes / 2**20, 1), f"{platform.system()} {platform.release()}")


def project_state() -> str:
    """The commit of the checkout, and whether there is more than it."""
    commit = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "rpc", "twisted", "tools/bench")
    return (commit or "no commit") + (" with changes that are not committed" if changed else "")


def _field(file: Path, name: str) -> str | None:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _git(*arguments: str) -> str:
    ended = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    return ended.stdout.strip()
