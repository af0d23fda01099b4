"""The files of ``examples/operations/``, and the programs that check them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
import yaml

from rpc.cli.main import main
from tests.integration.documents import ROOT

FOLDER = ROOT / "examples/operations"


def documents_of(name: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML file."""
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


def program(name: str, *folders: Path) -> str:
    """Return the path of a program beside this Python, in a folder, or on the PATH. Without it, the test is skipped."""
    for folder in (Path(sys.executable).parent, *folders):
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def check(*command: str | Path, folder: Path = FOLDER) -> str:
    """Run a program that checks a file, and return its output. Status 0 and no warning are right."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode or done.stderr:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def context_of(verb: str, arguments: list[str]) -> click.Context:
    """Return the context of a command line, with its options. A wrong one is an error of click."""
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    return command.make_context(verb, arguments)


@attrs.frozen
class Instruction:
    """An instruction of a Dockerfile.

    :ivar name: in capitals.
    :ivar text: the rest of the instruction, on one line.
    """

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The text as a shell splits it."""
        return shlex.split(self.text)


def dockerfile(path: Path) -> list[Instruction]:
    """Return the instructions of a Dockerfile without comments and heredocs."""
    lines = path.read_text("utf-8").replace("\\\n", " ").splitlines()
    parts = [line.partition(" ") for line in lines if line.strip()]
    return [Instruction(name, " ".join(text.split())) for name, _, text in parts]
