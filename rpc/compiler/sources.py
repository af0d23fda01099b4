"""The IDL files to compile, with everything they include, in an order in which each comes after its includes.

Thrift's compiler only warns of an include that it cannot find, says no line for many errors, and has no list of what
it read. So the text is searched here; it is not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import attrs

from rpc.errors import CompileError

_STRING_OR_COMMENT: Final = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|/\*.*?\*/|(?://|\#)[^\n]*""", re.DOTALL
)
_INCLUDE: Final = re.compile(r"""^[ \t]*include[ \t]+(["'])(?P<path>[^"'\n]+)\1""", re.MULTILINE)


@attrs.frozen
class Source:
    """One IDL file.

    :ivar path: where it is, all links resolved: two ways to the same file are one source.
    :ivar shown: how messages call it: the way the user did.
    :ivar code: its text with comments blanked, character for character.
    :ivar includes: the sources it includes, in its own order.
    """

    path: Path
    shown: str
    code: str = attrs.field(repr=False)
    includes: tuple[Source, ...] = attrs.field(repr=False)

    @property
    def program(self) -> str:
        """Thrift's name for the file, by which others refer to what it defines: the file's name up to the dot."""
        return self.path.stem

    def closure(self) -> tuple[Source, ...]:
        """Give the file and all it includes, directly or not, each once."""
        found: dict[Path, Source] = {}
        waiting = [self]
        while waiting:
            source = waiting.pop()
            if source.path not in found:
                found[source.path] = source
                waiting.extend(source.includes)
        return tuple(found.values())

    def locate(self, *phrases: str) -> str:
        """Say where phrases stand, each searched for after the one before it: ``file:line``, or the file alone.

        :param phrases: words or signs with a blank between them, such as ``struct Work`` or ``add (``.
        """
        position, line = 0, None
        for phrase in phrases:
            pattern = r"\s*".join(re.escape(part) for part in phrase.split())
            end = r"(?!\w)" if phrase[-1:].isalnum() or phrase.endswith("_") else ""
            found = re.compile(rf"(?<![\w.]){pattern}{end}").search(self.code, position)
            if found is None:
                break
            position, line = found.end(), self.code.count("\n", 0, found.end()) + 1
        return self.shown if line is None else f"{self.shown}:{line}"


def find(paths: Iterable[Path], include_dirs: Sequence[Path] = ()) -> tuple[Source, ...]:
    """Find the sources below paths (files, or folders that are searched for ``*.thrift``) and what they include.

    :param include_dirs: where an include is looked for when it is not beside the file that includes it.
    :raises CompileError: a path or an include does not exist, a folder holds no IDL, a file includes itself, or two
        files that are used together have the same name.
    """
    reader = _Reader(include_dirs)
    for path in paths:
        if path.is_dir():
            files = sorted(path.rglob("*.thrift"))
            if not files:
                raise CompileError(f"{path}: there is no .thrift file in this folder")
        elif path.is_file():
            files = [path]
        else:
            raise CompileError(f"{path}: no such file or folder")
        for file in files:
            reader.read(file)
    if not reader.ordered:
        raise CompileError("nothing to compile: name .thrift files or folders that hold some")
    return tuple(reader.ordered)


def _without_comments(text: str) -> str:
    def blank(found: re.Match[str]) -> str:
        return found[0] if found["string"] is not None else re.sub(r"[^\n]", " ", found[0])

    return _STRING_OR_COMMENT.sub(blank, text)


class _Reader:
    """Reads each file once, its includes before it."""

    def __init__(self, include_dirs: Sequence[Path]) -> None:
        self.include_dirs = include_dirs
        self.ordered: list[Source] = []
        self._done: dict[Path, Source] = {}
        self._open: list[Path] = []

    def read(self, path: Path) -> Source:
        real = path.resolve()
        if real in self._done:
            return self._done[real]
        if real in self._open:
            raise CompileError(f"{path}: includes itself, directly or through another file")
        try:
            code = _without_comments(path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n"))
        except OSError as error:
            raise CompileError(f"{path}: cannot be read: {error.strerror}") from error
        self._open.append(real)
        includes = tuple(self._include(path, code, found) for found in _INCLUDE.finditer(code))
        self._open.pop()
        source = Source(real, str(path), code, includes)
        _check_names(source)
        self._done[real] = source
        self.ordered.append(source)
        return source

    def _include(self, path: Path, code: str, found: re.Match[str]) -> Source:
        for folder in (path.parent, *self.include_dirs):
            candidate = folder / found["path"]
            if candidate.is_file():
                return self.read(candidate)
        line = code.count("\n", 0, found.start()) + 1
        searched = ", ".join(str(folder) for folder in (path.parent, *self.include_dirs))
        raise CompileError(
            f"{path}:{line}: the included file {found['path']!r} is not in {searched}; add its folder with -I"
        )


def _check_names(source: Source) -> None:
    """Thrift tells included files apart by their name alone, so two of one name would mix up their types."""
    by_name: dict[str, Source] = {}
    for other in source.closure():
        rival = by_name.setdefault(other.program, other)
        if rival is not other:
            raise CompileError(
                f"{source.shown}: uses both {rival.shown} and {other.shown}, but Thrift tells included files apart "
                "by their name alone: rename one"
            )
