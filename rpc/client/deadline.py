"""The deadline of a call."""

from __future__ import annotations

from rpc.context import CallContext


def deadline_of(timeout: float, now: float, serving: CallContext) -> float:
    """Return the deadline, in seconds of the clock that `now` was read from.

    A nested call inherits the time that is left to the call being served: a later answer is of no use to its caller.
    """
    deadline = now + timeout
    if serving.deadline is not None and serving.deadline < deadline:
        return serving.deadline
    return deadline


def passed(timeout: float, now: float, serving: CallContext | None) -> str:
    """Return which deadline has passed before the call was sent.

    A timeout below the resolution of the clock has passed at once.
    """
    if serving is not None and serving.deadline is not None and serving.deadline <= now:
        return "the served call's deadline has passed"
    return f"its timeout of {timeout:g} seconds has passed"
