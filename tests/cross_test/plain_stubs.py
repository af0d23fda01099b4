"""The stubs that ``thrift --gen py`` writes for the cases' IDL, as a program without this project has them."""

from __future__ import annotations

import importlib
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.cross_test.programs import FOLDER, SERVICES, stubs, types_of


@contextmanager
def searching(folder: str) -> Iterator[None]:
    """Search modules in a folder, too."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@cache
def plain_stubs() -> dict[str, ModuleType]:
    """Compile the IDL as a user of plain Thrift does; return the modules of the services."""
    package = f"plain_{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="plain-stubs-") as folder, searching(folder):
        for program in SERVICES:
            text = (FOLDER / f"{program}.thrift").read_text("utf-8")
            source = Path(folder, f"{program}.thrift")
            source.write_text(f"namespace py {package}.{program}\n{text}", "utf-8")
            subprocess.run(["thrift", "--gen", "py", "-out", folder, str(source)], check=True, capture_output=True)
        return {
            service: importlib.import_module(f"{package}.{program}.{service}")
            for program, services in SERVICES.items()
            for service in services
        }


def plain_types(service: str) -> ModuleType:
    """Return the module of the structs that a service uses."""
    return types_of(plain_stubs()[service])


def ours(value: Any, service: str) -> Any:
    """Return a value of plain Thrift with the classes of our stubs."""
    types = types_of(stubs()[service])

    def inner(value: Any) -> Any:
        kind = type(value)
        if kind.__module__ == plain_types(service).__name__:
            return getattr(types, kind.__name__)(**{name: inner(field) for name, field in vars(value).items()})
        if kind in (list, tuple, set, frozenset):
            return kind(inner(item) for item in value)
        return {inner(key): inner(item) for key, item in value.items()} if kind is dict else value

    return inner(value)
