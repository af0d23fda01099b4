"""What client and worker agree on: names of headers, message types and outcome words.

``docs/wire.md`` describes them for programs in other languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OWN = "rpc-"
"""Every header of this framework begins so."""

# -- headers of a request

ATTEMPT = "rpc-attempt"
"""How many times the caller has sent the call, with this request; absent on the first."""

LIVENESS = "rpc-liveness"
"""Milliseconds. The caller takes the worker for lost when no keepalive comes for this time."""

DELIVERIES = "rpc-deliveries"
"""How often workers may have begun the request without finishing it. The worker that republishes it writes this."""

RENEWALS = "rpc-renewals"
"""How many times a worker has republished the request because the broker had delivered it often."""

CALLER = "rpc-caller"
"""Of a copy: the user that sent the original. RabbitMQ refuses a copy with another user id than its publisher's. Peers
can write this header as well, so a worker believes it only beside its own user id.
"""
# -- headers of all signed messages

SIGNATURE = "rpc-signature"
"""Version, name of the key, time, lifetime and MAC; see ``rpc/signing.py``."""

# -- headers of messages on the reply queue

KEEPALIVE = "rpc-keepalive"
"""Of a message that is no reply: the instance that runs the call."""

WORKER = "rpc-worker"
"""Of the reply to a request with :data:`LIVENESS`: the instance that has run the call. A run that ended at once has
sent no keepalive.
"""

OUTCOME = "rpc-outcome"
"""Of a reply: one of the outcome words below. The worker rejected the request and did not run it."""

MAYBE_EXECUTED = "rpc-maybe-executed"
"""Of a rejection: ``True`` when an earlier delivery or attempt of the call may have been run."""

TOO_LARGE = "too-large"
OVERLOADED = "overloaded"
STOPPING = "stopping"
UNAVAILABLE = "unavailable"
ACCESS_DENIED = "access-denied"

# -- headers of a dead letter

OF_DEAD_LETTERS = "rpc-dead-"
"""The headers that a worker adds to a dead letter begin so."""

DEAD_REASON = "rpc-dead-reason"
"""Why no worker could run the request."""

DEAD_SIZE = "rpc-dead-size"
"""Bytes of the request's body, of which the letter has only the first ones; absent when it has all."""

DEAD_SHA256 = "rpc-dead-sha256"
"""The SHA-256 of the whole body, in hexadecimal digits; beside :data:`DEAD_SIZE`, if the worker had all bytes."""

# -- message types (AMQP property ``type``)

CANCEL = "rpc.cancel"
"""Of a message to workers: its body names calls to cancel, one message id a line."""

QUARANTINE = "rpc.quarantine"
"""Of a message to workers: the service's quarantine queue exists now, and is to be consumed."""

SHORTEST_LIVENESS = 1.0
"""Seconds. A peer's shorter time is raised to this, so that it cannot demand a flood of keepalives."""

ROUTING = frozenset(("CC", "BCC"))
"""Headers by which a sender selects further queues (RabbitMQ: "Sender-selected Distribution"). They are never copied:
a caller must not choose where a worker's own messages go.
"""

DELIVERY_COUNT = "x-delivery-count"
"""RabbitMQ's header in quorum queues: the number of deliveries that were not settled. A classic queue has only a flag.
(RabbitMQ documentation, "Quorum Queues: Poison Message Handling".)
"""

NOT_COPIED = ROUTING | {DELIVERY_COUNT, "x-acquired-count"}
"""Headers that no copy of a message has: those of :data:`ROUTING`, and the broker's counts of the original."""

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
    """Return `value` if it is a whole number from 1 to 2^31 - 1, else ``None``: a peer can send any value."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None


def metadata_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata among a request's `headers`, which nested calls inherit."""
    return {name: value for name, value in headers.items() if name not in ROUTING and not name.startswith(RESERVED)}
