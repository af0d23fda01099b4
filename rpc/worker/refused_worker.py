"""The end of a worker that the broker refuses for good, and when a refusal of its queues is for good."""

from __future__ import annotations

from typing import Final

EXIT: Final = "exit"
"""The program ends with status 1. For programs that only serve: their supervisor starts them again, and reports it."""

FAIL: Final = "fail"
"""``Worker.when_serving`` fails."""

WAIT: Final = "wait"
"""``Worker.when_serving`` waits until the broker accepts the worker."""

ON_REFUSAL: Final = (EXIT, FAIL, WAIT)

REFUSED_SECONDS = 60.0
"""How long the queues of a worker that has served may be refused, until the next refusal is for good. A migration may
be replacing them.
"""

FORGIVEN_SECONDS = 30.0
"""Attempts are at most 16 s apart (``rpc/backoff.py``). If none was refused for this long, one has succeeded."""

NEVER: Final = float("-inf")


class RefusedSince:
    """Since when the broker has refused the queues of a worker that has served."""

    def __init__(self) -> None:
        self._first = self._last = NEVER

    def forget(self) -> None:
        """The queues of all services are consumed."""
        self._last = NEVER

    def add(self, now: float) -> bool:
        """Note a refusal. Return whether there were refusals for :data:`REFUSED_SECONDS`."""
        if now - self._last > FORGIVEN_SECONDS:
            self._first = now
        self._last = now
        return now - self._first >= REFUSED_SECONDS


def log_line(on_refusal: str, error: Exception) -> str:
    """Return the log line for a worker that the broker refuses for good."""
    if on_refusal == EXIT:
        return (
            f"the worker ends: the broker refuses it: {error}. Correct this, or use --on-refusal wait "
            '(on_refusal="wait") to have the worker try again until the broker accepts it'
        )
    return f"the broker refuses the worker: {error}. Correct this: the worker tries again until it is stopped"
