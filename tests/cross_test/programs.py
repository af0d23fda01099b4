"""The stubs of the cases' IDL."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from tests.idl_corpus.compilers import RENAMES_KEYWORDS, compilers
from tests.stubs import compile_package

FOLDER = Path(__file__).parent

SERVICES = {
    "harbour": ("Harbour", "LaterHarbour", "Ferry", "Board", "OldBoard"),
    "holds": ("Holds",),
}
"""The services by the file that they are in."""

NEWER = {"passports": ("Passports",)}
"""Those of files that need a compiler with the type ``uuid``."""


@cache
def stubs() -> Mapping[str, ModuleType]:
    """Return the stubs by the name of their service. Those of NEWER are absent where no compiler knows ``uuid``."""
    found = _compiled(SERVICES, None)
    newest = max(compilers().values(), key=lambda compiler: compiler.version)
    if newest.version >= RENAMES_KEYWORDS:
        found |= _compiled(NEWER, newest.path)
    return found


def program_of(service: str) -> str:
    """Return the name of the file that a service is in."""
    (program,) = (program for program, services in (SERVICES | NEWER).items() if service in services)
    return program


def types_of(stub: ModuleType) -> ModuleType:
    """Return the module of the structs that a stub uses."""
    return importlib.import_module(f"{stub.__package__}.ttypes")


def _compiled(services: Mapping[str, tuple[str, ...]], thrift: str | None) -> dict[str, ModuleType]:
    package = compile_package([FOLDER / f"{program}.thrift" for program in services], thrift)
    return {
        service: importlib.import_module(f"{package}.{program}.{service}")
        for program, names in services.items()
        for service in names
    }
