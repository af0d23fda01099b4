"""Whether a worker takes requests just now, in one word for operators and their programs."""

from __future__ import annotations

import enum

from rpc.worker.worker_state import CONNECTS, WorkerState


class Readiness(enum.Enum):
    """Whether requests are taken just now, or why not."""

    READY = "ready: all services are consumed"
    DISCONNECTED = "not ready: no connection to the broker; the log has the reason"
    CONNECTING = "not ready: not all services are consumed"
    BLOCKED = "not ready: the broker is blocked, and takes no messages"
    STOPPING = "not ready: stopping, or stopped"


def readiness_of(state: WorkerState, is_connected: bool, is_serving: bool, is_blocked: bool) -> Readiness:
    """Return the readiness of a worker.

    :param is_connected: whether there is a connection to the broker.
    :param is_serving: whether every service is consumed.
    :param is_blocked: whether the broker takes no messages, so replies and acks do not arrive.
    """
    if state not in CONNECTS:
        return Readiness.STOPPING
    if not is_connected:
        return Readiness.DISCONNECTED
    if is_blocked:
        return Readiness.BLOCKED
    return Readiness.READY if is_serving else Readiness.CONNECTING
