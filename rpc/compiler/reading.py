"""The files that the Thrift compiler reads, from its own report (``thrift -v``).

It prints ``Scanning <path> for includes`` before it follows the includes of a file, and ``Parsing <path> for types``
after them. An include that it cannot find is only a warning to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

_STEP: Final = re.compile(r"^(?P<step>Scanning|Parsing) (?P<path>.+) for (?:includes|types)$", re.MULTILINE)
_MISSING: Final = re.compile(
    r"^\[WARNING:(?P<path>.+):(?P<line>\d+)\] (?:Could not find|Cannot open) include file (?P<name>.*)$", re.MULTILINE
)

_CYCLIC: Final = re.compile(r'^\[FAILURE:.+\] Recursion detected, file: "(?P<path>.+?)"', re.MULTILINE)
"""The message of compilers from 0.24 on; older ones recurse until they crash."""


@attrs.frozen
class MissingInclude:
    """An include that was not found.

    :ivar path: the file that includes it.
    :ivar line: of the include in that file, from 1.
    :ivar name: the include, as the IDL writes it.
    """

    path: Path
    line: int
    name: str


@attrs.frozen
class Reading:
    """The files of one run.

    :ivar files: each file after its includes. A run that failed lists the file that it failed in last.
    :ivar cyclic: a file that includes itself, directly or through another file.
    :ivar missing: the first include that was not found.
    :ivar includes: the files that each file includes directly, in its order.
    """

    files: tuple[Path, ...]
    cyclic: Path | None
    missing: MissingInclude | None
    includes: Mapping[Path, tuple[Path, ...]]


def understand(said: str) -> Reading:
    """Read the report of one run with ``-v``."""
    done: dict[Path, None] = {}
    in_progress: list[Path] = []
    includes: dict[Path, dict[Path, None]] = {}
    cyclic = None
    for step in _STEP.finditer(said):
        path = Path(step["path"])
        if step["step"] == "Parsing":
            done[path] = None
            if path in in_progress:
                in_progress.remove(path)
        elif path in in_progress:
            cyclic = path
            break
        else:
            if in_progress:
                includes.setdefault(in_progress[-1], {})[path] = None
            in_progress.append(path)
    recursion = _CYCLIC.search(said)
    if recursion is not None:
        cyclic = Path(recursion["path"])
    warning = _MISSING.search(said)
    missing = MissingInclude(Path(warning["path"]), int(warning["line"]), warning["name"]) if warning else None
    files = tuple(dict.fromkeys([*done, *reversed(in_progress)]))
    return Reading(files, cyclic, missing, {path: tuple(included) for path, included in includes.items()})
