"""Replaces several files of a folder, all or none.

POSIX renames one file atomically (``rename``), not several. So the previous files are copied into an undo folder first.
Then the new files are renamed into place. The rename of one chosen file, ``idl.json``, comes last and decides. A run
that fails before it is undone at once. If the process is killed before it, the next run undoes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final

from rpc.errors import CompileError

STAGING: Final = ".compile-staging"
"""The undo folder while it is being written."""

UNDO: Final = ".compile-undo"
"""The undo folder, inside the folder whose files are replaced. It exists only while a run is in progress."""

_NEW: Final = "new"
_OLD: Final = "old"
_LOG: Final = "log.json"


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Make a folder, and let one process at a time replace its files. A new folder that stays empty is removed.

    :raises OSError: the folder cannot be made.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        with suppress(OSError):  # NFS locks no folder; the lock only helps where two runs write to one folder
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
        for folder in made:
            if any(folder.iterdir()):
                break
            folder.rmdir()


def refuse_links(out: Path, paths: Collection[str]) -> None:
    """Refuse to write below a folder that is a symbolic link, or outside of `out`. `out` itself may be a link.

    :param paths: files (with ``/``) below `out`. A file may be a link: it is replaced, not followed.
    :raises CompileError: a path is absolute, has ``..``, or leads through a link.
    """
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise CompileError(f"{out / path}: is outside of {out}; nothing was written")
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    links = [out / folder for folder in sorted(folders - {"."}) if (out / folder).is_symlink()]
    if links:
        raise CompileError(
            "\n".join(f"{link}: is a symbolic link, and leads elsewhere" for link in links)
            + "\nremove it, or choose another --out; nothing was written"
        )


class Replacement:
    """A replacement of files in the folder `out`. The rename of its file `last` decides."""

    def __init__(self, out: Path, last: str) -> None:
        self._out = out
        self._last = last
        self._staging = out / STAGING
        self._undo = out / UNDO

    def recover(self) -> None:
        """Undo a run whose process was killed.

        :raises OSError: the folder cannot be written to.
        :raises CompileError: a file to restore is not inside the folder.
        """
        refuse_links(self._out, [f"{name}/{_NEW}/x" for name in (STAGING, UNDO)] + self._logged())
        shutil.rmtree(self._staging, ignore_errors=True)
        self._end()

    def run(self, changed: Mapping[str, bytes], removed: Collection[str]) -> None:
        """Write some files and remove others.

        :param changed: new content by path (with ``/``) below the folder; the deciding file is one of them.
        :param removed: paths of files that exist.
        :raises OSError: a file cannot be written or removed. All files are as they were.
        """
        try:
            self._prepare(changed, removed)
            for path in removed:
                (self._out / path).unlink()
            for path in sorted(changed, key=lambda path: (path == self._last, path)):
                (self._out / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self._undo / _NEW / path, self._out / path)
        finally:
            self._end()
        for path in removed:
            self._remove_empty_folders(path)

    def _prepare(self, changed: Mapping[str, bytes], removed: Collection[str]) -> None:
        """Write the new files, the previous ones and the log into a folder, and rename it to be the undo folder."""
        staging = self._staging
        try:
            for path, content in changed.items():
                (staging / _NEW / path).parent.mkdir(parents=True, exist_ok=True)
                (staging / _NEW / path).write_bytes(content)
            replaced = [path for path in (*changed, *removed) if os.path.lexists(self._out / path)]
            for path in replaced:
                (staging / _OLD / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._out / path, staging / _OLD / path, follow_symlinks=False)
            added = sorted(set(changed) - set(replaced))
            folders = sorted(self._missing_folders(changed), reverse=True)
            (staging / _LOG).write_text(json.dumps({"replaced": replaced, "added": added, "folders": folders}), "utf-8")
            os.rename(staging, self._undo)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _missing_folders(self, changed: Collection[str]) -> set[str]:
        parents = {str(parent) for path in changed for parent in PurePosixPath(path).parents}
        return {parent for parent in parents if not (self._out / parent).exists()}

    def _end(self) -> None:
        """Restore the previous files, unless the deciding rename was done; then remove the undo folder."""
        undecided = self._undo / _NEW / self._last
        if undecided.exists():
            self._restore()
            undecided.unlink()
        if self._undo.exists():
            shutil.rmtree(self._undo, ignore_errors=True)

    def _restore(self) -> None:
        log = json.loads((self._undo / _LOG).read_text("utf-8"))
        for path in log["replaced"]:
            if not _same(self._undo / _OLD / path, self._out / path):
                os.replace(self._undo / _OLD / path, self._out / path)
        for path in log["added"]:
            with suppress(NotADirectoryError):
                (self._out / path).unlink(missing_ok=True)
        for folder in log["folders"]:
            with suppress(OSError):  # it was not made yet, or another program has put a file there
                (self._out / folder).rmdir()

    def _logged(self) -> list[str]:
        """Return the files that an undo folder would restore; somebody else may have made it."""
        try:
            log = json.loads((self._undo / _LOG).read_text("utf-8"))
            return [str(path) for part in ("replaced", "added", "folders") for path in log[part]]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _remove_empty_folders(self, path: str) -> None:
        """Remove the folders that a removed file leaves empty but for Python's caches of it."""
        with suppress(OSError):  # the output is complete; a folder that cannot be removed does not change that
            for parent in PurePosixPath(path).parents:
                folder = self._out / str(parent)
                if str(parent) == "." or any(child.name != "__pycache__" for child in folder.iterdir()):
                    return
                shutil.rmtree(folder)


def _same(one: Path, other: Path) -> bool:
    """Return whether a file is unchanged; a second restoration finds the copies of the first one gone."""
    return not one.exists() or (other.exists() and one.read_bytes() == other.read_bytes())
