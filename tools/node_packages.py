"""Installs the packages of a program in Node.js, from the lock file beside it."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

LONGEST = 300.0
"""Seconds after which an installation is ended."""


class NodeMissing(Exception):
    """Node.js or npm is missing, or npm cannot install the packages; the message says which."""


def install(folder: Path) -> None:
    """Install the packages that the lock file of a folder lists. Does nothing the next time. One process installs while
    others wait: ``npm ci`` begins with the deletion of the packages that another one has just installed.

    :raises NodeMissing: see there.
    """
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NodeMissing("npm is not installed; scripts/setup does it")
    command = [npm, "ci", "--no-audit", "--no-fund"]
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
            return
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False)
    if done.returncode:
        raise NodeMissing(f"{' '.join(command)}: {done.stdout}{done.stderr}")
