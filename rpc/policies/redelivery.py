"""What becomes of a request that was delivered before, to a worker that did not finish it.

The worker may have been stopped, or its connection lost; or the request ends every worker that touches it. Put back at
the end of its queue the first time, it is run like any other. From the second time on (or at once, where no more than
two are allowed) it is a suspect: it goes to a
queue of which each worker takes one request at a time, lest those that happen to be with it share its lot. When it has
been in the hands of too many, it is a dead letter.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from rpc.policies.metadata import DELIVERIES

DELIVERY_COUNT = "x-delivery-count"
"""RabbitMQ's header in quorum queues: how many deliveries were not settled. A classic queue has only a flag."""


class Next(enum.Enum):
    """Where a request goes that was delivered before."""

    QUEUE = "the end of its queue"
    SUSPECTS = "the suspects"
    DEAD = "the dead letters"


def unfinished_deliveries(headers: Mapping[str, Any], redelivered: bool) -> int:
    """How many times a request was delivered to a worker that did not finish it, as far as one can tell."""
    before = _count(headers.get(DELIVERIES))
    return before + max(1, _count(headers.get(DELIVERY_COUNT))) if redelivered else before


def destination(deliveries: int, limit: int) -> Next:
    """Where a request goes after so many unfinished deliveries (from 1), when `limit` are allowed."""
    if deliveries > limit:
        return Next.DEAD
    return Next.QUEUE if deliveries == 1 and limit > 2 else Next.SUSPECTS


def _count(value: Any) -> int:
    """A header is what its sender pleases."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else 0
