"""The headers of messages that peers write: the number of their values is bounded, and so is their cost.

A header frame of 128 KiB holds up to 130,000 values, whose decoding takes up to 30 ms (measured with Python 3.11): more
than 1,000 calls. RabbitMQ has no limit of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rpc.amqp.codec.field_count import count_values
from rpc.amqp.codec.fields import decode_table, encode_table, split_table
from rpc.errors import CodecError

MOST_SENT: Final = 500
"""Values in the headers that a client gives to a request, or a handler to its reply. A table or array is one value, and
so is each value in it.
"""

MOST_READ: Final = 600
"""Values in the headers of a message that is read. Workers and brokers add some to those that were sent."""


def encode_headers(headers: Mapping[str, Any]) -> bytes:
    """Return headers as an encoded table.

    :raises CodecError: a value has no AMQP form, or there are more than :data:`MOST_SENT`.
    """
    table = encode_table(headers)
    _check_number(table, MOST_SENT)
    return table


def decode_headers(table: bytes) -> dict[str, Any]:
    """Return the headers of an encoded table.

    :raises CodecError: it cannot be decoded, or has more than :data:`MOST_READ` values; then none was decoded.
    """
    _check_number(table, MOST_READ)
    return decode_table(table, 0)[0]


def split_headers(table: bytes) -> dict[str, bytes]:
    """Return the headers of an encoded table by name, still encoded.

    :raises CodecError: as :func:`decode_headers`.
    """
    _check_number(table, MOST_READ)
    return split_table(table)


def _check_number(table: bytes, most: int) -> None:
    """Refuse a table with too many values. Each of them takes at least a byte, so a small table is not counted."""
    if len(table) > most and count_values(table, most) > most:
        raise CodecError(f"the headers have more than {most} values, those in tables and arrays counted")
