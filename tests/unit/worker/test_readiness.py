"""A worker's readiness, as a table."""

from __future__ import annotations

import itertools

from rpc.worker.readiness import Readiness, readiness_of
from rpc.worker.worker_state import CONNECTS, WorkerState


def test_readiness_of_each_state() -> None:
    """A stop comes first, then a lost connection, then a blocked broker."""
    for state, *facts in itertools.product(WorkerState, *((True, False),) * 3):
        connected, serving, blocked = facts
        if state not in CONNECTS:
            expected = Readiness.STOPPING
        elif not connected:
            expected = Readiness.DISCONNECTED
        elif blocked:
            expected = Readiness.BLOCKED
        else:
            expected = Readiness.READY if serving else Readiness.CONNECTING
        assert readiness_of(state, connected, serving, blocked) is expected
