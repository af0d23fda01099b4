"""A file that exists while something is so: the program is ready, or runs."""

from __future__ import annotations

import os
from contextlib import suppress

from rpc import log
from rpc.errors import ConfigurationError


class MarkerFile:
    """A file with the process id in it.

    One that is left over from a killed process is replaced, and never keeps a program from starting: in a container,
    each run has the same process id.
    """

    def __init__(self, option: str, path: str) -> None:
        """Remove the file of an earlier run.

        :param option: names the file in errors.
        :raises ConfigurationError: no file can be written here.
        """
        self._named = f"{option}={path}"
        self._path = os.path.abspath(path)  # the program may change its folder later
        try:
            self._write()
            os.unlink(self._path)
        except (OSError, ValueError) as error:  # ValueError: a zero byte
            words = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigurationError(f"{self._named}: no file can be written here: {words}") from error
        self._exists = False
        self._failed = False

    def _write(self) -> None:
        """Replace the file at once: a reader sees all of it, or none. A link is replaced, not followed."""
        new = f"{self._path}.{os.getpid()}"
        try:
            with open(new, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
            os.replace(new, self._path)
        except OSError:
            with suppress(OSError):
                os.unlink(new)
            raise

    def set(self, exists: bool) -> None:
        """Write or remove the file, unless that is done. An error is logged once, and the next call tries again."""
        if exists == self._exists:
            return
        try:
            if exists:
                self._write()
            else:
                with suppress(FileNotFoundError):
                    os.unlink(self._path)
        except OSError as error:
            if not self._failed:
                log.warn(f"{self._named}: cannot be {'written' if exists else 'removed'}: {error.strerror}")
            self._failed = True
        else:
            self._exists, self._failed = exists, False
