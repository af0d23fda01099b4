"""Waiting in a reactor for what other processes do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

clock: Any = reactor

POLL = 0.02


class Late(Exception):
    """Something did not happen in time."""


def pause(seconds: float = 0.0) -> Deferred[None]:
    """Fires so much later."""
    waited: Deferred[None] = deferLater(clock, seconds)
    return waited


async def until(what: str, holds: Callable[[], object], within: float) -> float:
    """Wait until `holds` does, and return how many seconds that took.

    :raises Late: it takes longer.
    """
    began = clock.seconds()
    while not holds():
        if clock.seconds() - began > within:
            raise Late(f"not within {within:g} s: {what}")
        await pause(POLL)
    return float(clock.seconds() - began)
