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

from rpc.headers import DELIVERIES, whole

DELIVERY_COUNT = "x-delivery-count"
"""RabbitMQ's header in quorum queues: how many deliveries were not settled. A classic queue has only a flag."""


class Next(enum.Enum):
    """Where a request goes that was delivered before."""

    QUEUE = "the end of its queue"
    QUARANTINE = "quarantine"
    DEAD = "the dead letters"


def unfinished_deliveries(headers: Mapping[str, Any], redelivered: bool) -> int:
    """How many times a request was delivered to a worker that did not finish it, as far as one can tell."""
    before = whole(headers.get(DELIVERIES)) or 0
    return before + (whole(headers.get(DELIVERY_COUNT)) or 1) if redelivered else before


def destination(deliveries: int, limit: int) -> Next:
    """Where a request goes after so many unfinished deliveries (from 1), when `limit` are allowed."""
    if deliveries > limit:
        return Next.DEAD
    return Next.QUEUE if deliveries == 1 and limit > 2 else Next.QUARANTINE
