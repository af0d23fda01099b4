"""Checks the files of an IDL before the Thrift compiler reads one of them.

The Thrift compiler opens whatever an IDL includes: ``/etc/passwd``, a device, a file outside of the project, which it
then quotes in its errors. It recurses for each include and each bracket, until it crashes. So an IDL of somebody else
is read here first, without recursion, and refused in words. Which files the compiler has read is compared afterwards
(:mod:`rpc.compiler.sources`).
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from rpc.compiler.source import STRING, Source, code_of
from rpc.compiler.typedefs import Typedefs
from rpc.errors import CompileError

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of one IDL file."""

LONGEST_CHAIN: Final = 100
"""Files that include one another in a row."""

DEEPEST: Final = 50
"""Brackets within one another: lists and maps of constants, types in types."""

_Places = dict[Path, dict[Path, str]]
"""The place (file and line) of each direct include, by the file that includes, and the file that is included."""

_INCLUDE: Final = re.compile(rf"(?<![\w.])include\s*(?P<name>{STRING})|{STRING}")
_BRACKETS: Final = re.compile(rf"{STRING}|[\[({{<]|[\])}}>]")


def read(path: Path, shown: str) -> Source:
    """Read one IDL file, without its includes.

    :param path: with all links resolved.
    :param shown: the path in messages.
    :raises CompileError: it is no file, cannot be read, is too large, or is nested too deeply.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(0, "Is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise CompileError(f"{shown}: is a device, a pipe or a socket, not a file")
        if status.st_size > LARGEST:
            raise CompileError(f"{shown}: has {status.st_size} bytes; an IDL file may have {LARGEST}")
        text = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError as error:
        raise CompileError(f"{shown}: cannot be read: {error.strerror}") from error
    source = Source(path, shown, code_of(text))
    line = _too_deep(source.code)
    if line is not None:
        raise CompileError(f"{shown}:{line}: has more than {DEEPEST} brackets within one another")
    return source


def check(first: Source, include_dirs: Sequence[Path], roots: Sequence[Path], shown: Callable[[Path], str]) -> None:
    """Check all files that a file includes, directly or not.

    A file that does not exist is left to the Thrift compiler, whose message names it.

    :param roots: folders, with all links resolved; each include must be below one of them.
    :raises CompileError: an include is absolute, leads elsewhere, or cannot be read; a file includes itself,
        directly or not; a chain is too long; a typedef is circular or too large.
    """
    found = {first.path: first}
    places: _Places = {}
    pending = [first]
    while pending:
        source = pending.pop()
        places[source.path] = {}
        for place, path in _found_includes(source, include_dirs, roots):
            places[source.path].setdefault(path, place)
            if path not in found:
                found[path] = read(path, shown(path))
                pending.append(found[path])
    _check_chains(places)
    Typedefs(tuple(found.values())).check()


def _found_includes(source: Source, include_dirs: Sequence[Path], roots: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the place and the path of each direct include that exists.

    :raises CompileError: an include is absolute, or leads elsewhere.
    """
    for line, name in _includes_of(source.code):
        place = f"{source.shown}:{line}"
        if Path(name).is_absolute():
            raise CompileError(
                f"{place}: the include {name!r} is an absolute path; write it relative to this file or to a folder "
                "that is given with -I"
            )
        if "\\" in name:
            raise CompileError(f"{place}: the include {name!r} has a backslash; folders are separated by /")
        path = _find(source.path.parent, include_dirs, name)
        if path is None:
            continue
        if not any(path.is_relative_to(root) for root in roots):
            raise CompileError(
                f"{place}: the include {name!r} is outside of the folders that were given to compile; if it is "
                f"meant, add its folder: -I {path.parent}"
            )
        yield place, path


def _check_chains(places: _Places) -> None:
    """Check the longest chain to each file. The Thrift compiler recurses along all of them.

    :raises CompileError: a file includes itself, directly or not; a chain is too long.
    """
    try:
        includes_first = tuple(TopologicalSorter(places).static_order())
    except CycleError as error:
        included, source = error.args[1][-2:]
        place = places[source][included]
        raise CompileError(f"{place}: the file includes itself, directly or through another file") from error
    depth = dict.fromkeys(places, 1)
    for source in reversed(includes_first):
        for included, place in places[source].items():
            depth[included] = max(depth[included], depth[source] + 1)
            if depth[included] > LONGEST_CHAIN:
                raise CompileError(f"{place}: more than {LONGEST_CHAIN} files include one another in a row")


def _includes_of(code: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each include."""
    line, position = 1, 0
    for found in _INCLUDE.finditer(code):
        if found["name"] is not None:
            line += code.count("\n", position, found.start("name"))
            position = found.start("name")
            yield line, found["name"][1:-1]


def _find(home: Path, include_dirs: Sequence[Path], name: str) -> Path | None:
    """Return the path of an include, in the order in which the Thrift compiler searches."""
    for folder in (home, *include_dirs):
        try:
            if (folder / name).exists():
                return (folder / name).resolve()
        except (OSError, RuntimeError, ValueError):  # a name that no file can have, a link to itself
            continue
    return None


def _too_deep(code: str) -> int | None:
    depth = 0
    for found in _BRACKETS.finditer(code):
        sign = found[0]
        depth += 1 if sign in "[({<" else -1 if sign in "])}>" else 0
        if depth > DEEPEST:
            return code.count("\n", 0, found.start()) + 1
    return None
