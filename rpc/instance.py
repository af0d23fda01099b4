"""The unique name of a process on the broker."""

from __future__ import annotations

import os
import secrets
import socket


def instance_name() -> str:
    """Return ``<host>.<pid>.<random>``, another one with each call."""
    return f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
