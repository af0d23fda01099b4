"""Waiting for other processes while the reactor runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

clock: Any = reactor

Value = TypeVar("Value")

POLL = 0.02


class Late(Exception):
    """Something did not happen in time."""


def pause(seconds: float = 0.0) -> Deferred[None]:
    """Fires so much later."""
    waited: Deferred[None] = deferLater(clock, seconds)
    return waited


async def together(coroutines: Iterable[Coroutine[Any, Any, Value]]) -> list[Value]:
    """Run all to their ends, also after a failure; return their results, or raise the first exception."""
    ends: list[tuple[bool, Any]] = await DeferredList(
        [Deferred.fromCoroutine(each) for each in coroutines], consumeErrors=True
    )
    for succeeded, result in ends:
        if not succeeded:
            result.raiseException()
    return [result for _, result in ends]


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
