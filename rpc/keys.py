"""The keys that sign messages: a file with names and secrets, which is read again when it changes.

A line of the file is ``NAME SECRET``: a name, and at least 16 bytes in hexadecimal digits. Empty lines, and lines that
begin with ``#``, say nothing. All keys of the file verify. One of them signs: the first, or the one that is named.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import attrs

from rpc import log
from rpc.errors import ConfigurationError
from rpc.small_files import read_text, state_of

INTERVAL: Final = 5.0
"""Seconds between two looks at the file. Messages cause the looks: without messages there is none, and no timer."""

SHORTEST_SECRET: Final = 16
LONGEST_SECRET: Final = 1024
"""Bytes. RFC 2104, section 3, discourages keys shorter than the hash, which has 32; 16 cannot be guessed either."""

CLOCK_SKEW: Final = 60.0

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@attrs.frozen
class Key:
    """One key. Its secret is not shown.

    :ivar name: goes with each signature.
    """

    name: str
    secret: bytes = attrs.field(repr=False)


class Keys:
    """The keys of one file.

    A file that has changed is read again within :data:`INTERVAL`. One that cannot be used changes nothing: the log says
    why, and the last keys stay in use.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sign_with: str | None = None,
        skew: float = CLOCK_SKEW,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        :param path: of the file.
        :param sign_with: the name of the key that signs; default: the first of the file.
        :param skew: seconds that the clocks of two machines may differ.
        :param wall: returns seconds since the epoch.
        :param clock: returns seconds that never jump; for the looks at the file.
        :raises ConfigurationError: the file cannot be read, a line of it is malformed, or an argument is wrong. The
            text quotes nothing of the file but names.
        """
        if isinstance(skew, bool) or not isinstance(skew, (int, float)) or not 0 <= skew <= 86400:
            raise ConfigurationError(f"skew={skew!r}: must be a number of seconds from 0 to 86400")
        self._path = os.fspath(path)
        self._sign_with = sign_with
        self.skew = skew
        self._wall = wall
        self._clock = clock
        self._looked_at = clock()
        self._state = state_of(self._path)  # first: a change while the file is read is noticed by the next look
        self._keys = self._read()

    def __repr__(self) -> str:
        return f"<keys of {self._path}>"

    def now(self) -> int:
        """Return the time of day: milliseconds since the epoch."""
        return int(self._wall() * 1000)

    @property
    def signing(self) -> Key:
        """The key that signs."""
        keys = self._current()
        return next(iter(keys.values())) if self._sign_with is None else keys[self._sign_with]

    def find(self, name: str) -> Key | None:
        """Return a key by its name."""
        return self._current().get(name)

    def _current(self) -> dict[str, Key]:
        now = self._clock()
        if now - self._looked_at >= INTERVAL:
            self._looked_at = now
            state = state_of(self._path)
            if state != self._state:
                self._state = state
                self._read_again()
        return self._keys

    def _read_again(self) -> None:
        try:
            self._keys = self._read()
        except ConfigurationError as error:
            log.warn(f"{error}; the keys read before stay in use")
        else:
            log.msg(f"keys={self._path}: read again: {', '.join(self._keys)}")

    def _read(self) -> dict[str, Key]:
        option = f"keys={self._path}"
        keys = parse_keys(read_text("keys", self._path), option)
        if self._sign_with is not None and self._sign_with not in keys:
            raise ConfigurationError(f"{option}: has no key {self._sign_with!r} to sign with; it has {', '.join(keys)}")
        return keys


def parse_keys(text: str, option: str) -> dict[str, Key]:
    """Return the keys of a file's text by name, in its order.

    :param option: names the file in errors.
    :raises ConfigurationError: a line is malformed, two keys have one name, or there is no key.
    """
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not _NAME.fullmatch(words[0]):
            raise ConfigurationError(
                f"{option}, line {number}: must be NAME SECRET; a name has 1 to 64 of the characters A-Z a-z 0-9 . _ -"
            )
        name, digits = words
        if name in keys:
            raise ConfigurationError(f"{option}, line {number}: a second key {name!r}")
        keys[name] = Key(name, _secret(digits, f"{option}, line {number}"))
    if not keys:
        raise ConfigurationError(f"{option}: has no key")
    return keys


def _secret(digits: str, where: str) -> bytes:
    secret = b""
    if digits.isascii() and digits.isalnum():
        with suppress(ValueError):
            secret = bytes.fromhex(digits)
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        del digits  # no traceback shows it
        raise ConfigurationError(
            f"{where}: the secret must be {SHORTEST_SECRET} to {LONGEST_SECRET} bytes in hexadecimal digits, such as "
            "'openssl rand -hex 32' prints"
        )
    return secret


def as_keys(value: Any) -> Keys | None:
    """Return the option ``keys``: :class:`Keys`, a path, or ``None``.

    :raises ConfigurationError: it is neither, or the file cannot be used.
    """
    if value is None or isinstance(value, Keys):
        return value
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigurationError(f"keys={value!r}: must be the path of a file, or a rpc.Keys")
    return Keys(value)
