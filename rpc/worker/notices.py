"""Messages on a worker's queues that are no requests: cancellations, and notices of a quarantine queue."""

from __future__ import annotations

from rpc.amqp.codec.fields import encode_short_string
from rpc.amqp.codec.properties import TYPE, split_properties
from rpc.amqp.content import Delivery
from rpc.errors import CodecError
from rpc.headers import CANCEL, QUARANTINE

LONGEST_CANCEL = 1024 * 1024
"""Bytes that are read of a cancellation: some 30,000 message ids."""

CANCEL_TYPE = encode_short_string(CANCEL)
QUARANTINE_TYPE = encode_short_string(QUARANTINE)


def message_type(delivery: Delivery) -> bytes | None:
    """Return the property ``type`` of a message, as a short string; ``None`` when there is none or it is malformed."""
    try:
        return split_properties(delivery.encoded_properties)[TYPE]
    except CodecError:
        return None


def cancelled_ids(delivery: Delivery) -> list[bytes]:
    """Return the message ids that a cancellation names. An empty line names none."""
    return [line for line in delivery.body[:LONGEST_CANCEL].split(b"\n") if line]
