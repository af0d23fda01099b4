"""Names calls that take long, in the worker's log."""

from __future__ import annotations

from typing import Any

from rpc.interceptors import WorkerInterceptor
from rpc.interfaces import IClock
from rpc.log_limit import LogLimit

LINES = 10
"""A second, at most: when a database is slow, so are all calls."""


class SlowCalls(WorkerInterceptor):
    """Logs each call that takes longer than a number of seconds, at its end. A call ends at its deadline at the
    latest, unless its handler cannot be cancelled.
    """

    def __init__(self, clock: IClock, seconds: float) -> None:
        self._seconds = seconds
        self._limit = LogLimit(clock, LINES)

    def after(self, call: Any) -> None:
        """The call has succeeded."""
        self._look(call)

    def failed(self, call: Any) -> None:
        """The call has failed."""
        self._look(call)

    def _look(self, call: Any) -> None:
        took = call.ended - call.began
        if took > self._seconds:
            label, ending, message_id = call.label, call.ending.value, call.message_id
            self._limit.note(lambda: f"slow call: {label} took {took:.2f} s, and {ending}; message id {message_id}")
