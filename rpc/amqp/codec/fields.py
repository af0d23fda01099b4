"""Short strings and field tables (AMQP 0-9-1, section 4.2.5), because txAMQP's knows few types and mis-frames text.

The types are those that RabbitMQ speaks. They differ from the standard's list (RabbitMQ's "AMQP 0-9-1 errata"): ``s``
is a signed 16-bit number, ``l`` and ``L`` are both signed 64-bit numbers, and ``x`` is a byte array.

Both directions promise the same: a value, or :class:`~rpc.errors.CodecError`. The caller's objects are neither changed
nor kept. Buffers may be ``bytes``, ``bytearray`` or ``memoryview``; decoded values are always copies.
"""

from __future__ import annotations

from rpc.amqp.codec.field_decoder import decode_field, decode_table, split_table
from rpc.amqp.codec.field_encoder import MAX_DEPTH, LateTimestamp, LongLong, encode_field, encode_table, join_table
from rpc.amqp.codec.field_view import TableView
from rpc.amqp.codec.short_strings import SHORT_LENGTHS, Buffer, decode_short_string, encode_short_string

__all__ = [
    "MAX_DEPTH",
    "SHORT_LENGTHS",
    "Buffer",
    "LateTimestamp",
    "LongLong",
    "TableView",
    "decode_field",
    "decode_short_string",
    "decode_table",
    "encode_field",
    "encode_short_string",
    "encode_table",
    "join_table",
    "split_table",
]
