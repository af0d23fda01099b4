"""Which headers of a request are its metadata, and travel on with the calls that are made for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROUTING = frozenset(("CC", "BCC"))
"""RabbitMQ's sender-selected distribution: whoever calls a worker must not choose where its own requests go."""

RESERVED = (
    "rpc-",
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
    "x-stream-",
)
"""Beginnings of headers that this framework and RabbitMQ write about one message. (``x-request-id`` is a user's.)"""


def metadata_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata among a request's `headers`."""
    return {name: value for name, value in headers.items() if name not in ROUTING and not name.startswith(RESERVED)}
