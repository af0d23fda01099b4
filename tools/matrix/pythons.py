"""Finds the Pythons of this machine, and makes virtual environments with the project in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import attrs

from tools.matrix.commands import NotMade, output_of
from tools.nodes.debian import NotPossible
from tools.processes import PROJECT

FOLDER = PROJECT / ".matrix"
"""Where the virtual environments are kept, and the logs."""

MINORS = range(10, 15)
"""Minor versions of Python 3 that are looked for: those that the package's classifiers name."""

PRINT_VERSION = ("-c", "import ensurepip, platform, venv; print(platform.python_version())")

Command: TypeAlias = "tuple[str, ...]"


@attrs.frozen
class Python:
    """A Python that can make virtual environments.

    :ivar command: runs it.
    :ivar enter: the command that runs a program on its system, before the program; empty for this machine's own.
    """

    command: str
    version: str
    enter: Command = ()


def find_python(minor: int) -> Python:
    """Return this machine's Python 3 of this minor version.

    A command on the PATH may be pyenv's, which fails for a version that is not chosen.

    :raises NotPossible: there is none.
    """
    for command in _candidates(f"python3.{minor}"):
        try:
            return Python(str(command), output_of(str(command), *PRINT_VERSION))
        except (NotMade, OSError):
            continue
    raise NotPossible(f"Python 3.{minor} with its module venv is not on this machine")


def find_oldest_python() -> Python:
    """Return the oldest Python of this machine that the project supports.

    :raises NotPossible: there is none.
    """
    for minor in MINORS:
        try:
            return find_python(minor)
        except NotPossible:
            continue
    raise NotPossible("no Python that the project supports is on this machine")


def _candidates(name: str) -> Iterator[Path]:
    for folder in os.environ["PATH"].split(os.pathsep):
        yield from Path(folder or ".").glob(name)
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from sorted(versions.glob(f"*/bin/{name}"), reverse=True)


def virtual_environment(name: str, python: Python, lowest: bool = False) -> Path:
    """Return a virtual environment with the project, made anew when the Python or the project's needs have changed.

    :param lowest: install the lowest versions that ``setup.cfg`` declares instead of the newest.
    :raises NotMade: the project cannot be installed.
    """
    home = FOLDER / name
    stamp = home / "stamp"
    wanted = hashlib.sha256(python.version.encode() + (PROJECT / "setup.cfg").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        FOLDER.mkdir(exist_ok=True)
        output_of(*python.enter, python.command, "-m", "venv", "--clear", str(home))
        own = str(home / "bin" / "python")
        pip = (*python.enter, own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        if lowest:
            output_of(*pip, "uv")
            uv = (str(home / "bin" / "uv"), "pip", "install", "--quiet", "--python", own)
            output_of(*python.enter, *uv, "--resolution", "lowest-direct", "--editable", ".[dev]")
        else:
            output_of(*pip, "pip>=21.3")  # older ones install nothing editable without a setup.py
            output_of(*pip, "--editable", ".[dev]")
        stamp.write_text(wanted)
    return home
