"""Keys for tests of signed messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpc.keys import Keys

MOBILE = bytes(range(32))
BATCH = b"\xab" * 16

NOW = 1_767_225_600.0
"""Seconds since the epoch, on the clock of :func:`keys_of`."""


def write_keys(path: str, **secrets: bytes) -> str:
    """Write a file of keys, and return its path."""
    Path(path).write_text("".join(f"{name} {secret.hex()}\n" for name, secret in secrets.items()))
    return path


def keys_of(path: str, wall: Any = lambda: NOW, **secrets: bytes) -> Keys:
    """Write a file of keys, and return them; by default the key ``mobile`` alone."""
    return Keys(write_keys(path, **(secrets or {"mobile": MOBILE})), wall=wall)
