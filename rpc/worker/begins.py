"""How often a request may have begun, and where it goes then. Pure.

A worker that finds the flag *redelivered* on a request that it does not know must assume that another worker began it
and did not finish. It publishes a copy with the count, so that the next begin is counted before it happens. A request
therefore begins at most ``redelivery_limit`` + 1 times, however its runs end.

Copies go to the end of the request queue once. From the second time on they go to quarantine, of which each worker runs
one request at a time: a crash then identifies the request that caused it, and not those prefetched beside it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from rpc.headers import DELIVERIES, DELIVERY_COUNT, whole

RENEW_AT = 10
"""Deliveries from which on a message is replaced by a copy. RabbitMQ 4 drops a message of a quorum queue at its 21st
delivery, unless the queue was declared with another limit. It counts each loss of a channel, also for requests that the
worker only held (RabbitMQ documentation, "Quorum Queues: Poison Message Handling").
"""


def nears_broker_limit(headers: Mapping[str, Any]) -> bool:
    """Whether the broker may soon drop a message with these headers, because it has delivered it often."""
    return (whole(headers.get(DELIVERY_COUNT)) or 0) >= RENEW_AT


class Destination(enum.Enum):
    """Where a copy goes."""

    QUEUE = "the end of its queue"
    QUARANTINE = "quarantine"
    DEAD_LETTERS = "the dead letters"


def believed(headers: Mapping[str, Any], exchange: str) -> Mapping[str, Any]:
    """Return the headers of a message without a count that its sender wrote.

    :param exchange: the message's. Workers publish copies to the default exchange. Callers need no permission to write
        there (docs/security.md).
    """
    if DELIVERIES not in headers or not exchange:
        return headers
    return {name: value for name, value in headers.items() if name != DELIVERIES}


def possible_begins(headers: Mapping[str, Any], redelivered: bool) -> int:
    """Return how often a request may have begun before this delivery."""
    before = whole(headers.get(DELIVERIES)) or 0
    return before + (whole(headers.get(DELIVERY_COUNT)) or 1) if redelivered else before


def destination(begins: int, limit: int) -> Destination:
    """Return the destination of a request that may have begun `begins` times, 1 or more.

    :param limit: the service's ``redelivery_limit``.
    """
    if begins > limit:
        return Destination.DEAD_LETTERS
    return Destination.QUEUE if begins == 1 and limit > 2 else Destination.QUARANTINE
