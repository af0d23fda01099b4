"""The Thrift compilers that the corpus is compiled with: the one on the search path, and others of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from rpc.compiler import driver

FOLDER = Path(__file__).parents[2] / ".thrift"
"""Where ``scripts/thrift-compilers`` puts others, a folder each."""

RENAMES_KEYWORDS = (0, 24)
"""The oldest compiler that is known to rename Python's keywords; it also has the type ``uuid``."""


def compilers() -> dict[str, driver.ThriftCompiler]:
    """Return the compilers by version: that of the search path first, then those of ``THRIFT_COMPILERS`` and FOLDER."""
    named = os.environ.get("THRIFT_COMPILERS", "").split(os.pathsep)
    paths = [None, *filter(None, named), *map(str, sorted(FOLDER.glob("*/thrift")))]
    found = [driver.find(path) for path in paths]
    return {compiler.release: compiler for compiler in reversed(found)}
