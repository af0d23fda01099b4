"""Files that a user's option names: certificates, passwords, URLs. They are small, and read without waiting."""

from __future__ import annotations

import os
import stat
from typing import Final

from rpc.errors import ConfigurationError

LARGEST: Final = 4 * 1024 * 1024
"""Bytes; the authorities of a system are a quarter of a megabyte."""


def read_file(option: str, path: str) -> bytes:
    """Return the bytes of a regular file.

    It is read while the reactor waits. A pipe or device could make it wait for ever, so it is refused.

    :param option: names the file in the error.
    :raises ConfigurationError: it cannot be read, is no regular file, or is larger than :data:`LARGEST`.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise ConfigurationError(f"{option}={path}: is no regular file, which can be read again and again")
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"{option}={path}: {words}") from error
    if len(content) > LARGEST:
        raise ConfigurationError(f"{option}={path}: is larger than {LARGEST} bytes")
    return content


def state_of(path: str | None) -> object:
    """Return a value that changes when the file does. It is the same for all files that cannot be found."""
    try:
        status = None if path is None else os.stat(path)
    except (OSError, ValueError):
        return None
    return status and (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def read_text(option: str, path: str) -> str:
    """Return the text of a file that holds one value, without one line end behind it.

    :raises ConfigurationError: as :func:`read_file`; or it is empty, or not UTF-8. The message quotes nothing of it.
    """
    try:
        text = read_file(option, path).decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{option}={path}: is not UTF-8") from None
    if not text:  # also while another program is writing it
        raise ConfigurationError(f"{option}={path}: is empty")
    return text
