"""Putting the compiled files in place, and saying how a folder differs from them.

The rule of ownership: ``idl.json`` lists the files that were written with it. Those are replaced, and removed when
they no longer belong. Every other file in the folder is somebody's: it is left alone, and where a compiled file would
have to replace one, the command refuses and writes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import attrs

from rpc.errors import CompileError
from rpc.idl import FILE_NAME


@attrs.frozen
class Difference:
    """How a folder differs from what the IDL compiles to; paths below the folder, with ``/``, sorted.

    :ivar missing: not there yet.
    :ivar stale: there, with other content.
    :ivar extra: written by an earlier run and no longer part of the output.
    """

    missing: tuple[str, ...]
    stale: tuple[str, ...]
    extra: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale or self.extra)

    def lines(self) -> list[str]:
        """Give a line for each file: what is wrong with it, and its path."""
        return [
            f"{word}: {path}"
            for word, paths in (("missing", self.missing), ("stale", self.stale), ("extra", self.extra))
            for path in paths
        ]


def compare(out: Path, files: Mapping[str, bytes]) -> Difference:
    """Say how a folder, which need not exist, differs from the files it should hold.

    :raises CompileError: something in the folder cannot be read.
    """
    missing, stale = [], []
    for path in sorted(files):
        there = _read(out / path)
        if there is None:
            missing.append(path)
        elif there != files[path]:
            stale.append(path)
    extra = [path for path in sorted(_owned(out) - set(files)) if (out / path).is_file()]
    return Difference(tuple(missing), tuple(stale), tuple(extra))


def install(out: Path, files: Mapping[str, bytes]) -> Difference:
    """Make a folder hold the files; gives what it changed.

    All files are written beside their places first, then renamed into them, ``idl.json`` last.

    :raises CompileError: a file that an earlier run did not write is in the way, or the folder cannot be written to.
        Nothing was changed.
    """
    difference = compare(out, files)
    if not difference:
        return difference
    owned = _owned(out)
    foreign = [out / path for path in difference.stale if path not in owned and path != FILE_NAME]
    if foreign:
        raise CompileError(
            "\n".join(f"{path}: was not written by thrift-rpc compile, and would be replaced" for path in foreign)
            + "\nmove it away, or choose another --out"
        )
    changed = sorted((*difference.missing, *difference.stale), key=lambda path: (path == FILE_NAME, path))
    staging = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".compile-", dir=out))
        for path in changed:
            (staging / path).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).write_bytes(files[path])
            (out / path).parent.mkdir(parents=True, exist_ok=True)
        for path in changed:
            os.replace(staging / path, out / path)
        for path in difference.extra:
            (out / path).unlink()
            _remove_empty_folders(out, path)
    except OSError as error:
        raise CompileError(f"{error.filename or out}: cannot be written: {error.strerror}") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return difference


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CompileError(f"{path}: cannot be read: {error.strerror}") from error


def _owned(out: Path) -> set[str]:
    """Give the files that an earlier run says it wrote; none when its list is gone or makes no sense."""
    try:
        listed = json.loads(_read(out / FILE_NAME) or b"{}").get("files", [])
        paths = {str(path) for path in listed}
    except (ValueError, AttributeError, TypeError):
        return set()
    return {path for path in paths if not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts}


def _remove_empty_folders(out: Path, path: str) -> None:
    """Remove the folders that a removed file leaves empty but for Python's caches of it."""
    for parent in PurePosixPath(path).parents:
        folder = out / str(parent)
        if str(parent) == "." or any(child.name != "__pycache__" for child in folder.iterdir()):
            return
        shutil.rmtree(folder)
