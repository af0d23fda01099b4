"""Namespaces of Linux, which stand in for containers, and whether this user may make them here."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

CONTAINER = ("--pid", "--fork", "--kill-child", "--mount-proc")
"""Starts a program as process 1 of a PID namespace, which ends with it."""


@cache
def container() -> tuple[str, ...] | None:
    """Return the command before a program that is to be process 1; ``None`` where that cannot be had."""
    as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = ("unshare", *as_root, *CONTAINER)
    return command if _works(*command) else None


@cache
def may_mount() -> bool:
    """Return whether a program may mount file systems in a namespace, and change its user there."""
    return os.geteuid() == 0 and _works("unshare", "--mount", "--pid", "--fork")


def _works(*command: str) -> bool:
    return shutil.which(command[0]) is not None and not subprocess.run([*command, "true"], check=False).returncode
