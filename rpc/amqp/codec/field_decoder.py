"""Decodes field tables (AMQP 0-9-1, section 4.2.5); see :mod:`rpc.amqp.codec.fields`."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from datetime import datetime, timedelta
from struct import Struct
from struct import error as StructError
from typing import Any

from rpc.amqp.codec.field_encoder import EPOCH, MAX_DEPTH, LateTimestamp
from rpc.amqp.codec.short_strings import Buffer, decode_short_string
from rpc.errors import CodecError

_unpack_long = Struct("!L").unpack_from

_EXACT = decimal.Context(prec=10)
"""A number of 32 bits has at most ten digits. The thread's own context could round it."""


def decode_table(buffer: Buffer, offset: int) -> tuple[dict[str, Any], int]:
    """Return the field table at ``offset``, and the offset behind it.

    S gives ``str``, or ``bytes`` when it is not UTF-8; T gives an aware ``datetime`` in UTC, or
    :class:`~rpc.amqp.codec.field_encoder.LateTimestamp` past the year 9999 (some senders write milliseconds). Of equal
    keys the last counts.

    :raises CodecError: it ends past the buffer's end, a field past its table's end, a type is unknown, or tables and
        arrays are nested deeper than :data:`MAX_DEPTH`.
    """
    if offset < 0:
        raise CodecError(f"a table cannot stand at offset {offset}")
    try:
        return _decode_table(buffer, offset, len(buffer), 1)
    except (StructError, IndexError):
        raise CodecError(f"the table at offset {offset} ends past the buffer's end") from None


def split_table(buffer: bytes) -> dict[str, bytes]:
    """Return the fields of an encoded table, still encoded, by name: to change some and keep the others unchanged.

    The inside of values is not looked at: a table or array may be malformed.

    :raises CodecError: it ends past the buffer's end, a field past the table's end, or the type of one is unknown.
    """
    fields: dict[str, bytes] = {}
    try:
        start, end = _extent(buffer, 0, len(buffer))
        while start < end:
            at = start + 1 + buffer[start]  # behind the name
            size = FIXED_SIZES.get(buffer[at])
            next_start = _end_of_counted(buffer, at, end) if size is None else at + 1 + size
            if next_start > end:
                raise CodecError(f"the value at offset {at} ends past its table's end")
            fields[str(buffer[start + 1 : at], "utf-8", "surrogateescape")] = buffer[at:next_start]
            start = next_start
    except (StructError, IndexError):
        raise CodecError("the table ends past the buffer's end") from None
    return fields


def decode_field(field: bytes) -> Any:
    """Return the value of a field that :func:`split_table` returns.

    :raises CodecError: as :func:`decode_table`.
    """
    try:
        return _decode_value(field, 0, len(field), 1)[0]
    except (StructError, IndexError):
        raise CodecError("the field ends past its buffer's end") from None


def _end_of_counted(buffer: Buffer, offset: int, limit: int) -> int:
    kind = buffer[offset]
    if kind not in _COUNTED:
        raise CodecError(f"unknown field type {chr(kind)!r} at offset {offset}")
    return _extent(buffer, offset + 1, limit)[1]


def _decode_table(buffer: Buffer, offset: int, limit: int, depth: int) -> tuple[dict[str, Any], int]:
    if depth > MAX_DEPTH:
        raise CodecError(f"tables and arrays are nested deeper than {MAX_DEPTH}")
    start, end = _extent(buffer, offset, limit)
    table: dict[str, Any] = {}
    while start < end:
        key, start = decode_short_string(buffer, start)
        table[key], start = _decode_value(buffer, start, end, depth)
    return table, end


def _decode_array(buffer: Buffer, offset: int, limit: int, depth: int) -> tuple[list[Any], int]:
    if depth == MAX_DEPTH:
        raise CodecError(f"tables and arrays are nested deeper than {MAX_DEPTH}")
    start, end = _extent(buffer, offset, limit)
    array = []
    while start < end:
        value, start = _decode_value(buffer, start, end, depth + 1)
        array.append(value)
    return array, end


def _extent(buffer: Buffer, offset: int, limit: int) -> tuple[int, int]:
    """Where the counted content at ``offset`` begins and ends."""
    start = offset + 4
    end = start + int(_unpack_long(buffer, offset)[0])
    if end > limit:
        raise CodecError(f"the length at offset {offset} points {end - limit} bytes past the end")
    return start, end


def _decode_value(buffer: Buffer, offset: int, limit: int, depth: int) -> tuple[Any, int]:
    kind = buffer[offset]
    offset += 1
    if kind == 0x56:  # V has no content
        value, end = None, offset
    elif (fixed := _FIXED.get(kind)) is not None:
        unpack, size, convert = fixed
        end = offset + size
        values = unpack(buffer, offset)
        value = values[0] if convert is None else convert(*values)
    elif (counted := _COUNTED.get(kind)) is not None:
        value, end = counted(buffer, offset, limit, depth)
    else:
        raise CodecError(f"unknown field type {chr(kind)!r} at offset {offset - 1}")
    if end > limit:
        raise CodecError(f"the value at offset {offset} ends past its table's end")
    return value, end


def _decode_long_string(buffer: Buffer, offset: int, limit: int, depth: int) -> tuple[str | bytes, int]:
    data, end = _decode_bytes(buffer, offset, limit, depth)
    try:
        return data.decode(), end
    except UnicodeDecodeError:
        return data, end


def _decode_bytes(buffer: Buffer, offset: int, limit: int, depth: int) -> tuple[bytes, int]:
    start, end = _extent(buffer, offset, limit)
    return bytes(buffer[start:end]), end


def _timestamp(seconds: int) -> datetime | int:
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return LateTimestamp(seconds)


def _scaled(scale: int, mantissa: int) -> decimal.Decimal:
    return decimal.Decimal(mantissa).scaleb(-scale, _EXACT)


def _fixed(layout: str, convert: Callable[..., Any] | None = None) -> tuple[Callable[..., Any], int, Any]:
    struct = Struct(layout)
    return struct.unpack_from, struct.size, convert


_FIXED = {
    ord("t"): _fixed("!B", bool),
    ord("b"): _fixed("!b"),
    ord("B"): _fixed("!B"),
    ord("s"): _fixed("!h"),
    ord("u"): _fixed("!H"),
    ord("I"): _fixed("!l"),
    ord("i"): _fixed("!L"),
    ord("l"): _fixed("!q"),
    ord("L"): _fixed("!q"),
    ord("f"): _fixed("!f"),
    ord("d"): _fixed("!d"),
    # The standard calls the number unsigned; RabbitMQ passes the bits on, and clients read them as signed.
    ord("D"): _fixed("!Bl", _scaled),
    ord("T"): _fixed("!Q", _timestamp),
}

FIXED_SIZES = {ord("V"): 0} | {kind: size for kind, (_, size, _) in _FIXED.items()}
"""Bytes of the values of each type whose values are all of one size."""

_COUNTED: dict[int, Callable[[Buffer, int, int, int], tuple[Any, int]]] = {
    ord("S"): _decode_long_string,
    ord("x"): _decode_bytes,
    ord("A"): _decode_array,
    ord("F"): lambda buffer, offset, limit, depth: _decode_table(buffer, offset, limit, depth + 1),
}
