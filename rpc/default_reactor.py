"""Twisted's global reactor, for callers that pass none. Below the entry points, only this module imports it."""

from __future__ import annotations

from asyncio import get_running_loop
from typing import Any


def default_reactor() -> Any:
    """Return Twisted's global reactor. The import installs one, so it happens in the call, not before."""
    from twisted.internet import reactor  # noqa: PLC0415, TID251

    return reactor


def refuse_foreign_loop(reactor: Any) -> None:
    """Refuse the global reactor in a program that runs asyncio alone: what waits for the reactor would wait for ever.

    :raises RuntimeError: a loop of asyncio runs here, and `reactor` neither runs nor lives on such a loop.
    """
    try:
        get_running_loop()
    except RuntimeError:  # none runs
        return
    from twisted.internet.asyncioreactor import AsyncioSelectorReactor  # noqa: PLC0415  # few programs need it

    if not reactor.running and not isinstance(reactor, AsyncioSelectorReactor):
        raise RuntimeError("asyncio runs here, and Twisted's reactor does not: use rpc.aio.connect")
