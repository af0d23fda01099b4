"""Shared by the plugins of ``twistd``: its own options that concern them, and the end of the daemon after an error.

twistd changes the folder (``--rundir``) and the user (``--uid``) after the plugin has read its command line.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.python import usage
from twisted.python.failure import Failure

from rpc import log
from rpc.default_reactor import default_reactor
from rpc.errors import ConfigurationError
from rpc.exit_status import end_program
from rpc.monotonic import use_monotonic_time
from rpc.printable import printable_lines

CHECK = "import sys, rpc.hosting, twisted.internet.reactor\nfor path in sys.argv[1:]: open(path).close()"
"""Another user must be able to do this: import the package and Twisted, and read some files."""

CHECK_LIMIT = 60.0
"""Seconds."""


F = TypeVar("F", bound=Callable[..., Any])


def one_line(method: F) -> F:
    """Join the lines of an option's docstring: twistd would show their indentation."""
    method.__doc__ = " ".join((method.__doc__ or "").split())
    return method


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


@contextmanager
def prepared(options: usage.Options, program: str) -> Iterator[None]:
    """Prepare a service as its daemon will run it: in the daemon's folder, with time that does not jump.

    :param program: for the error.
    :raises SystemExit: a :class:`~rpc.errors.ConfigurationError` was raised. It ends the process with one message.
    """
    try:
        use_monotonic_time()
        with in_rundir(options):
            yield
    except ConfigurationError as error:
        raise SystemExit(printable_lines(f"{program}: {error}")) from error


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


def end_unless_listening(program: str, listening: Deferred[Any]) -> None:
    """End the daemon with status 1 when it cannot listen. The log says why, in one line."""

    def give_up(failure: Failure) -> None:
        if failure.check(CancelledError):  # it was stopped before it listened
            return
        if failure.check(ConfigurationError, CannotListenError):
            log.msg(f"{program}: {failure.getErrorMessage()}")
        else:
            log.err(failure, f"{program}: it does not start")
        end_program(default_reactor(), 1)

    listening.addErrback(give_up)
