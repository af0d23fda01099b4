"""The lines that the code under test writes to Twisted's log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase

from rpc.access_log import NAMESPACE


def access_log_events(case: SynchronousTestCase) -> list[log.EventDict]:
    """Return a list that gets every event of an access log that is logged until the test ends."""
    events: list[log.EventDict] = []

    def observe(event: log.EventDict) -> None:
        if event.get("log_namespace") == NAMESPACE:
            events.append(event)

    log.addObserver(observe)
    case.addCleanup(log.removeObserver, observe)
    return events


def log_lines(case: SynchronousTestCase) -> list[str]:
    """Return a list that gets every message that is logged until the test ends."""
    lines: list[str] = []

    def observe(event: log.EventDict) -> None:
        lines.append(log.textFromEventDict(event) or "")

    log.addObserver(observe)
    case.addCleanup(log.removeObserver, observe)
    return lines


@contextmanager
def logged() -> Iterator[list[str]]:
    """Yield such a list, for a test that is a function."""
    lines: list[str] = []

    def observe(event: log.EventDict) -> None:
        lines.append(log.textFromEventDict(event) or "")

    log.addObserver(observe)
    yield lines
    log.removeObserver(observe)
