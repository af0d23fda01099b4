"""Which headers of a request are its metadata, and travel on with the calls that are made for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHORTEST_LIVENESS = 0.1
"""Seconds: a peer must not have us send it signs of life all the time."""

CANCEL = "rpc.cancel"
"""The property ``type`` of a message that tells workers which calls nobody waits for any more."""

ROUTING = frozenset(("CC", "BCC"))
"""RabbitMQ's sender-selected distribution: whoever calls a worker must not choose where its own requests go."""

OWN = "rpc-"
"""Beginning of the headers by which the two ends of a call speak with each other:"""

ATTEMPT = "rpc-attempt"
"""Of a request: how many times it has been sent with this; absent for the first."""

LIVENESS = "rpc-liveness"
"""Of a request: milliseconds within which the caller wants to hear of whoever works on it."""

KEEPALIVE = "rpc-keepalive"
"""Of a message on the reply queue that is no reply: the instance that is working on the call."""

OUTCOME = "rpc-outcome"
"""Of a reply: why the worker did not run the request."""

DELIVERIES = "rpc-deliveries"
"""Of a request that a worker has put back: how many times it was delivered to workers that did not finish it."""

DEAD_REASON = "rpc-dead-reason"
"""Of a dead letter: why it is one."""

RESERVED = (
    OWN,
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
    "x-stream-",
)
"""Beginnings of headers that this framework and RabbitMQ write about one message. (``x-request-id`` is a user's.)"""


def whole(value: Any) -> int | None:
    """Return the number above 0 that a header holds, or ``None``: a header is what its sender pleases."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None


def metadata_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata among a request's `headers`."""
    return {name: value for name, value in headers.items() if name not in ROUTING and not name.startswith(RESERVED)}
