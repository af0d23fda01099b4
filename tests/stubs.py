"""Stubs of IDL that is written in a test, where the project's own IDL has no example."""

from __future__ import annotations

import importlib
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rpc.compiler import compile_idl, install

_folder = tempfile.TemporaryDirectory(prefix="stubs-")  # until the process ends: stubs are imported from it
sys.path.append(_folder.name)


def compile_stub(text: str, service: str, *, description: bool = True) -> Any:
    """Compile `text`, an IDL without namespace, and import the stub of its `service`.

    :param description: keep ``idl.json``, which plain output of the Thrift compiler does not have.
    :return: the stub module; the IDL's structs are in its ``ttypes``.
    """
    package = f"stubs_{secrets.token_hex(4)}"
    source = Path(_folder.name, f"{package}.thrift")
    source.write_text(f"namespace py example\n{text}", "utf-8")
    install(Path(_folder.name, package), compile_idl([source]).files)
    if not description:
        Path(_folder.name, package, "idl.json").unlink()
    return _imported(package, service)


def compile_plain_stub(text: str, service: str) -> Any:
    """Return the same, as the Thrift compiler itself writes it: not completed, and without ``idl.json``."""
    package = f"stubs_{secrets.token_hex(4)}"
    source = Path(_folder.name, f"{package}.thrift")
    source.write_text(f"namespace py {package}.example\n{text}", "utf-8")
    subprocess.run(["thrift", "--gen", "py:twisted", "-out", _folder.name, source], check=True)
    return _imported(package, service)


def compile_package(paths: list[Path], thrift: str | None = None) -> str:
    """Compile IDL files, and return the importable name of the package.

    :param thrift: the Thrift compiler; default: the one on the search path.
    """
    package = f"stubs_{secrets.token_hex(4)}"
    install(Path(_folder.name, package), compile_idl(paths, thrift=thrift).files)
    importlib.invalidate_caches()
    return package


def _imported(package: str, service: str) -> Any:
    importlib.invalidate_caches()
    stub: Any = importlib.import_module(f"{package}.example.{service}")
    stub.ttypes = importlib.import_module(f"{package}.example.ttypes")
    return stub
