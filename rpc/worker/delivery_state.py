"""The states of a delivery in a worker, and the transitions between them.

Each delivery is settled once: acked, requeued, or lost with its channel. ``docs/architecture.md`` shows this table.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class DeliveryState(enum.Enum):
    """Where a delivery is."""

    RECEIVED = "received"
    """It has just arrived, and its intake is not decided yet."""

    HELD = "held"
    """It waits: for a free slot, for the end of a cancelled run, or for the ack of its original. It has not begun."""

    ACKING = "acking"
    """With ``acknowledge="before"``: it waits until the broker has taken the ack."""

    RUNNING = "running"
    """Its interceptors decide, or its handler works."""

    CANCELLING = "cancelling"
    """Its handler was cancelled, and has not ended yet."""

    JOINED = "joined"
    """The same call runs already for an earlier delivery; it is settled with that run."""

    REPUBLISHING = "republishing"
    """A copy is being published to a queue; it is acked when the broker has confirmed the copy."""

    SETTLED = "settled"
    """It was acked or requeued, or its run has ended."""

    LOST = "lost"
    """Its channel was lost before its handler began: the broker delivers it again."""


S = DeliveryState

TRANSITIONS: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    S.RECEIVED: frozenset({S.HELD, S.ACKING, S.RUNNING, S.JOINED, S.REPUBLISHING, S.SETTLED}),
    S.HELD: frozenset({S.HELD, S.ACKING, S.RUNNING, S.JOINED, S.REPUBLISHING, S.SETTLED, S.LOST}),
    S.ACKING: frozenset({S.HELD, S.RUNNING, S.JOINED, S.SETTLED, S.LOST}),
    S.RUNNING: frozenset({S.CANCELLING, S.REPUBLISHING, S.SETTLED}),
    S.CANCELLING: frozenset({S.SETTLED}),
    S.JOINED: frozenset({S.REPUBLISHING, S.SETTLED, S.LOST}),
    S.REPUBLISHING: frozenset({S.REPUBLISHING, S.SETTLED, S.LOST}),
    S.SETTLED: frozenset(),
    S.LOST: frozenset(),
}
"""The states that may follow a state."""
