"""When a call must be settled."""

from __future__ import annotations

from rpc.context import CallContext


def deadline_of(timeout: float, now: float, serving: CallContext) -> float:
    """Return the deadline, in seconds of the clock that `now` was read from.

    A call made while serving another one inherits what is left of that one's time: an answer the outer caller no
    longer waits for is of no use.
    """
    deadline = now + timeout
    if serving.deadline is not None and serving.deadline < deadline:
        return serving.deadline
    return deadline
