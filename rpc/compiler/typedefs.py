"""Typedefs that the Thrift compiler cannot resolve: it does not end on ``typedef T T``, and writes out all the parts of
``map<T0, T0>`` of ``map<T1, T1>`` of …, which are twice as many with each line.

They are found in the text, before the compiler reads it. A name that is no typedef has one part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from rpc.compiler.source import STRING, Source
from rpc.errors import CompileError

LONGEST: Final = 100
"""Typedefs that stand for one another, and containers in them, in a row."""

LARGEST: Final = 1000
"""Parts of the type that a typedef stands for."""

_TOKEN: Final = re.compile(rf"[\w.]+|[<>,()]|{STRING}|\S")
_TYPEDEF: Final = re.compile(rf"{STRING}|(?<![\w.])(?P<typedef>typedef)\b")

_Key = tuple[Path, str]
"""The file and the name of a typedef."""


class Typedefs:
    """The typedefs of an IDL."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._places: dict[_Key, str] = {}
        self._parts: dict[_Key, list[_Key]] = {}
        paths: dict[str, list[Path]] = {}  # by the name by which other files refer to them
        for source in sources:
            paths.setdefault(source.program, []).append(source.path)
        for source in sources:
            for line, name, parts in _typedefs_of(source.code):
                key = source.path, name
                self._places[key] = f"{source.shown}:{line}"
                self._parts.setdefault(key, []).extend(_key(part, source, paths) for part in parts)

    def check(self) -> None:
        """Refuse the typedefs that are circular or too large.

        :raises CompileError: there is one.
        """
        sizes: dict[_Key, tuple[int, int]] = {}  # levels and parts
        for first in self._parts:
            path = [first]
            while path:
                name = path[-1]
                missing = [part for part in self._parts[name] if part in self._parts and part not in sizes]
                if not missing:
                    sizes[path.pop()] = self._size(name, sizes)
                elif missing[0] in path:
                    raise CompileError(f"{self._places[name]}: this typedef stands for itself")
                else:
                    path.append(missing[0])
                if len(path) > LONGEST:
                    self._refuse(first)

    def _size(self, name: _Key, sizes: dict[_Key, tuple[int, int]]) -> tuple[int, int]:
        inner = [sizes.get(part, (1, 1)) for part in self._parts[name]]
        levels, parts = 1 + max((size[0] for size in inner), default=0), sum(size[1] for size in inner)
        if levels > LONGEST or parts > LARGEST:
            self._refuse(name)
        return levels, parts

    def _refuse(self, name: _Key) -> None:
        raise CompileError(
            f"{self._places[name]}: this typedef stands for more than {LARGEST} types, or for {LONGEST} typedefs in a "
            "row; make a struct of some of them"
        )


def _key(part: str, source: Source, paths: Mapping[str, list[Path]]) -> _Key:
    """Return the key of a part of a typedef in `source`. Of two files of one name, it is not known which is meant."""
    program, _, name = part.rpartition(".")
    files = paths.get(program, []) if program else [source.path]
    return (files[0], name) if len(files) == 1 else (source.path, part)


def _typedefs_of(code: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the line, the name and the parts of each typedef."""
    line = position = 0
    for found in _TYPEDEF.finditer(code):
        if found["typedef"] is None:
            continue
        line += code.count("\n", position, found.start())
        position = found.start()
        parts: list[str] = []
        angles = rounds = 0
        for token in _TOKEN.finditer(code, found.end()):
            sign = token[0]
            angles += (sign == "<") - (sign == ">")
            rounds += (sign == "(") - (sign == ")")
            if not re.fullmatch(r"[\w.]+", sign) or rounds:
                continue
            if parts and not angles:
                yield line + 1, sign, parts
                break
            parts.append(sign)
