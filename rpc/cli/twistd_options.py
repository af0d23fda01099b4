"""The options of ``twistd`` itself that a plugin has to know: the folder and the user of the daemon.

twistd changes the folder (``--rundir``) and the user (``--uid``) after the plugin has read its command line.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.python import usage

from rpc.errors import ConfigurationError

CHECK = "import sys, rpc.hosting, twisted.internet.reactor\nfor path in sys.argv[1:]: open(path).close()"
"""What another user must be able to do: import the package and Twisted, and read some files."""

CHECK_LIMIT = 60.0
"""Seconds."""


def _given(options: usage.Options, name: str) -> Any:
    """Return an option of twistd; ``None``: it was not given, or the plugin's options are used without twistd."""
    parent: Any = options.parent
    return None if parent is None else parent.get(name)


@contextmanager
def in_rundir(options: usage.Options) -> Iterator[None]:
    """Work in the daemon's folder, as the daemon will: modules are looked for in it, and relative paths begin there.

    :raises ConfigurationError: there is no such folder, or it may not be entered.
    """
    rundir = _given(options, "rundir") or os.curdir
    before = os.getcwd()
    try:
        os.chdir(rundir)
    except OSError as error:
        raise ConfigurationError(f"--rundir={rundir}: {error.strerror}") from error
    try:
        yield
    finally:
        os.chdir(before)


def check_user(options: usage.Options, paths: Iterable[str]) -> None:
    """Find out whether the daemon's user can read Python, this package and `paths`.

    Python imports some modules late. Without this check, the daemon would end with a traceback, or fail at its first
    call, after twistd has changed the user.

    :raises ConfigurationError: the user cannot.
    """
    uid, gid = _given(options, "uid"), _given(options, "gid")
    if uid is None or uid == os.getuid():
        return
    try:
        user = pwd.getpwuid(uid)
        name, group = user.pw_name, user.pw_gid if gid is None else gid
        groups = os.getgrouplist(name, group)
    except KeyError:
        name, group, groups = str(uid), gid, []
    problem = _problem_of(uid, group, groups, paths)
    if problem is not None:
        raise ConfigurationError(
            f"--uid: user {name} cannot run this program with {sys.executable}: {problem}. Install Python, its "
            "packages and the modules of the services in folders that this user can read"
        )


def _problem_of(uid: int, gid: int | None, groups: list[int], paths: Iterable[str]) -> str | None:
    try:
        tried = subprocess.run(
            [sys.executable, "-c", CHECK, *paths],
            user=uid,
            group=gid,
            extra_groups=groups,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CHECK_LIMIT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"
    if tried.returncode == 0:
        return None
    lines = tried.stderr.strip().splitlines()
    return lines[-1] if lines else f"it ended with {tried.returncode}"
