"""Puts the compiled files in place, and reports how a folder differs from them.

``idl.json`` lists the files that were written with it. They are replaced, and removed when they no longer belong to the
output. Every other file in the folder is foreign: it is left alone. Where a compiled file would replace a foreign one,
the command refuses and writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import attrs

from rpc.compiler.replacement import Replacement, locked
from rpc.errors import CompileError
from rpc.idl import FILE_NAME


@attrs.frozen
class Difference:
    """How a folder differs from the compiled files; paths below the folder, with ``/``, sorted.

    :ivar missing: files that do not exist yet.
    :ivar stale: files with other content.
    :ivar extra: files that an earlier run wrote and that are no longer part of the output.
    """

    missing: tuple[str, ...]
    stale: tuple[str, ...]
    extra: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale or self.extra)

    def lines(self) -> list[str]:
        """Return a line for each file: ``missing``, ``stale`` or ``extra``, and its path."""
        return [
            f"{word}: {path}"
            for word, paths in (("missing", self.missing), ("stale", self.stale), ("extra", self.extra))
            for path in paths
        ]


def compare(out: Path, files: Mapping[str, bytes]) -> Difference:
    """Return how a folder, which need not exist, differs from the files that it should hold.

    :raises CompileError: a file in the folder cannot be read.
    """
    missing, stale = [], []
    for path in sorted(files):
        found = _read(out / path)
        if found is None:
            missing.append(path)
        elif found != files[path]:
            stale.append(path)
    extra = [path for path in sorted(_owned(out) - set(files)) if (out / path).is_file()]
    return Difference(tuple(missing), tuple(stale), tuple(extra))


def install(out: Path, files: Mapping[str, bytes]) -> Difference:
    """Make a folder hold the files; returns the changes. A run that was killed before is undone first.

    :raises CompileError: a foreign file is in the way, or the folder cannot be written to. The folder is as it was.
    """
    try:
        with locked(out):
            replacement = Replacement(out, FILE_NAME)
            replacement.recover()
            difference = compare(out, files)
            _refuse_foreign(out, difference)
            if difference:
                changed = {path: files[path] for path in (*difference.missing, *difference.stale, FILE_NAME)}
                replacement.run(changed, difference.extra)
            return difference
    except OSError as error:
        raise CompileError(f"{error.filename or out}: cannot be written: {error.strerror}") from error


def _refuse_foreign(out: Path, difference: Difference) -> None:
    owned = _owned(out)
    foreign = [out / path for path in difference.stale if path not in owned and path != FILE_NAME]
    if foreign:
        raise CompileError(
            "\n".join(f"{path}: was not written by thrift-rpc compile, and would be replaced" for path in foreign)
            + "\nmove it away, or choose another --out"
        )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CompileError(f"{path}: cannot be read: {error.strerror}") from error


def _owned(out: Path) -> set[str]:
    """Return the files that an earlier run lists as its own; none when its list is missing or damaged."""
    try:
        listed = json.loads(_read(out / FILE_NAME) or b"{}").get("files", [])
        paths = {str(path) for path in listed}
    except (ValueError, AttributeError, TypeError):
        return set()
    return {path for path in paths if not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts}
