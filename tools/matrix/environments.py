"""Environments in which the project is tested: each has its own Python, dependencies or RabbitMQ.

A function here makes an environment, or finds it made. It raises ``NotPossible`` when this machine lacks a requirement,
and ``Failed`` or ``NotMade`` when the making has failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from tools.matrix.commands import output_of, run_logged
from tools.matrix.pythons import PRINT_VERSION, Command, Python, find_oldest_python, find_python, virtual_environment
from tools.nodes import debian
from tools.processes import PROJECT


@attrs.frozen
class Environment:
    """Where the programs of a leg run.

    :ivar description: its versions, for the table.
    :ivar folders: the first ones on the PATH.
    :ivar enter: the command that runs a program in it, before the program.
    """

    description: str
    folders: tuple[Path, ...]
    enter: Command = ()

    def run(self, command: Sequence[str], log: Path) -> int:
        """Run a command in the project's folder, with its output in `log`, and return its exit status."""
        path = os.pathsep.join([*map(str, self.folders), os.environ["PATH"]])
        return run_logged((*self.enter, *command), path, log)


def with_python(minor: int) -> Environment:
    """Return an environment with this minor version of Python 3, and the newest dependencies."""
    python = find_python(minor)
    return Environment(f"Python {python.version}", (virtual_environment(f"python-3.{minor}", python) / "bin",))


def with_oldest_dependencies() -> Environment:
    """Return an environment with the lowest versions that ``setup.cfg`` declares, on the oldest Python found."""
    python = find_oldest_python()
    home = virtual_environment("oldest-dependencies", python, lowest=True)
    return Environment(f"the declared minimums, Python {python.version}", (home / "bin",))


def with_rabbitmq(suite: str) -> Environment:
    """Return the environment that this program runs in, with the RabbitMQ of a Debian release."""
    commands = debian.commands(suite)
    version = output_of(str(commands / "rabbitmqctl"), "version")
    return Environment(f"RabbitMQ {version} of Debian {suite}", (commands, Path(sys.executable).parent))


def with_python_of(suite: str) -> Environment:
    """Return an environment with the Python of a Debian release."""
    enter = (str(debian.commands(suite) / debian.WORK), str(PROJECT))
    python = Python("python3", output_of(*enter, "python3", *PRINT_VERSION), enter)
    home = virtual_environment(f"python-{suite}", python)
    return Environment(f"Python {python.version} of Debian {suite}", (home / "bin",), enter)
