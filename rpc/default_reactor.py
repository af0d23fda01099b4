"""The reactor for those who name none: the one place below the doors that knows of a global one."""

from __future__ import annotations

from typing import Any


def default_reactor() -> Any:
    """Return Twisted's global reactor. Importing it installs one, so that is done only when it is asked for."""
    from twisted.internet import reactor  # noqa: PLC0415, TID251

    return reactor
