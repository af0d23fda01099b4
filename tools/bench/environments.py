"""An environment for each peer: its own versions of everything, made once and found again.

A failure here is one peer's, told in the report; the others go on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from tools.bench.catalogue import PEERS_FOLDER, Peer
from tools.processes import PROJECT

COMMON = PEERS_FOLDER / "common"
SPECIFICATION = PROJECT / "rpc" / "amqp" / "codec" / "spec" / "amqp0-9-1.xml"
PACKAGED = ("rpc", "twisted", "setup.cfg", "pyproject.toml", "LICENSE", "NOTICE", "README.md")
"""The files of the checkout that ``pip install .`` needs."""

LAST_LINES = 15


class InstallationFailed(Exception):
    """A peer cannot be installed; the message is the end of the output."""


@attrs.frozen
class Environment:
    """Where a peer lives.

    :ivar command: runs its program, before the verb.
    :ivar variables: of the processes' environment.
    :ivar versions: of its distributions, by name; of all, not only of those that are shown.
    """

    command: tuple[str, ...]
    variables: dict[str, str]
    versions: dict[str, str]


def install(peer: Peer, cache: Path) -> Environment:
    """Make `peer` ready to run, or find that it is.

    :raises InstallationFailed: it cannot be.
    """
    if peer.packages:
        _run(str(PROJECT / "scripts" / "setup"), *peer.packages)
    folder = cache / peer.folder.name
    stamp, inputs = folder / "stamp", _digest(peer)
    if not stamp.exists() or stamp.read_text() != inputs:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _build(peer, folder)
        (folder / "versions.json").write_text(json.dumps(_versions(peer, folder)))
        stamp.write_text(inputs)
    versions = json.loads((folder / "versions.json").read_text())
    if peer.build == "c":
        return Environment((str(folder / "bench"),), clean_variables(), versions)
    variables = clean_variables() | {"PYTHONPATH": f"{COMMON}:{folder / 'made'}", "AMQP_SPEC": str(SPECIFICATION)}
    return Environment((str(folder / "bin" / "python"), str(peer.folder / "bench.py")), variables, versions)


def clean_variables() -> dict[str, str]:
    """The environment's variables without those that would lead Python to other code."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def _build(peer: Peer, folder: Path) -> None:
    if peer.build == "c":
        _run("gcc", "-O2", "-o", str(folder / "bench"), str(peer.folder / "bench.c"), "-lrabbitmq")
        return
    python, made = str(folder / "bin" / "python"), folder / "made"
    _run(sys.executable, "-m", "venv", str(folder))
    made.mkdir()
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*pip, "--requirement", str(peer.folder / "requirements.txt"))
    if peer.build == "project":
        _install_project(pip)
        with TemporaryDirectory() as idl:
            shutil.copy(COMMON / "work.thrift", idl)
            _run(str(folder / "bin" / "thrift-rpc"), "compile", idl, "--out", str(made / "generated"))
        return
    if peer.build == "thrift":
        _run("thrift", "-r", "--gen", "py:twisted", "-out", str(made), str(COMMON / "work.thrift"))
    elif peer.build == "proto":
        output = (f"--python_out={made}", f"--grpc_python_out={made}")
        _run(python, "-m", "grpc_tools.protoc", f"-I{COMMON}", *output, "calc.proto")


def _versions(peer: Peer, folder: Path) -> dict[str, str]:
    if peer.build == "c":
        return {name: _run("dpkg-query", "--show", "--showformat", "${Version}", name) for name in peer.shown}
    listed = _run(str(folder / "bin" / "python"), "-m", "pip", "list", "--format=json", "--disable-pip-version-check")
    return {each["name"]: each["version"] for each in json.loads(listed)}


def _install_project(pip: tuple[str, ...]) -> None:
    """Install a copy of the checkout, so that the build neither leaves files in it nor finds those of another."""
    with TemporaryDirectory() as copy:
        for name in PACKAGED:
            source, target = PROJECT / name, Path(copy) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
            else:
                shutil.copy(source, target)
        _run(*pip, copy)


def _digest(peer: Peer) -> str:
    """Return a digest of all files whose change makes the environment out of date."""
    digest = hashlib.sha256(f"{sys.version}{peer.build}".encode())
    files = [*peer.folder.glob("requirements.txt"), *peer.folder.glob("*.c")]
    files += (*COMMON.glob("*.thrift"), *COMMON.glob("*.proto"))
    if peer.build == "project":
        for name in PACKAGED:
            files += (PROJECT / name, *(PROJECT / name).rglob("*"))
    for file in sorted(file for file in files if file.is_file() and file.suffix not in (".pyc", ".cache")):
        digest.update(f"{file.relative_to(PROJECT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _run(*command: str) -> str:
    """Return the command's output.

    :raises InstallationFailed: it failed, or does not exist.
    """
    try:
        ended = subprocess.run(
            command, cwd=PROJECT, env=clean_variables(), capture_output=True, text=True, timeout=900, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallationFailed(str(error)) from error
    if ended.returncode:
        words = (ended.stdout + ended.stderr).strip().splitlines()[-LAST_LINES:]
        raise InstallationFailed("\n".join([f"{Path(command[0]).name} ended with {ended.returncode}:", *words]))
    return ended.stdout
