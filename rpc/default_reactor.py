"""Twisted's global reactor, for callers that pass none. Below the entry points, only this module imports it."""

from __future__ import annotations

from typing import Any


def default_reactor() -> Any:
    """Return Twisted's global reactor. The import installs one, so it happens in the call, not before."""
    from twisted.internet import reactor  # noqa: PLC0415, TID251

    return reactor
