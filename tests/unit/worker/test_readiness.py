"""A worker's readiness, as a table."""

from __future__ import annotations

import itertools

from rpc.worker.readiness import Readiness, readiness_of
from rpc.worker.worker_state import CONNECTS, WorkerState


def test_readiness_of_each_state() -> None:
    """A stop comes first, then a blocked broker."""
    for state, serving, blocked in itertools.product(WorkerState, (True, False), (True, False)):
        if state not in CONNECTS:
            expected = Readiness.STOPPING
        elif blocked:
            expected = Readiness.BLOCKED
        else:
            expected = Readiness.READY if serving else Readiness.CONNECTING
        assert readiness_of(state, serving, blocked) is expected
