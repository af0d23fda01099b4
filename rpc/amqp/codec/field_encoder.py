"""Encodes field tables (AMQP 0-9-1, section 4.2.5); see :mod:`rpc.amqp.codec.fields`."""

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from struct import Struct
from struct import error as StructError
from typing import Any

from rpc.amqp.codec.short_strings import encode_short_string, shown
from rpc.errors import CodecError


class LongLong(int):
    """A number that is encoded in 64 bits (l), even a small one."""


class LateTimestamp(int):
    """A timestamp past the year 9999, in seconds since 1970; ``datetime`` cannot represent it. It stays one (T).

    Nested calls send the metadata of the call on, so every decoded value must be encoded again.
    """


MAX_DEPTH = 64
"""How deep tables and arrays may be nested, the outermost table counted. A peer must not choose how deep we recurse."""

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)

_signed_long = Struct("!l")
_signed_longlong = Struct("!q")
_longlong = Struct("!Q")
_double = Struct("!d")
_decimal = Struct("!Bl")

_pack_long = Struct("!L").pack


def encode_table(table: Mapping[str, Any]) -> bytes:
    """Return a field table with its four octets of length.

    ``bool`` → t, ``int`` → I or l (the smaller that fits), ``float`` → d, ``decimal.Decimal`` → D, ``str`` → S,
    ``bytes`` → x, an aware ``datetime`` → T (whole seconds, earlier ones rounded down), ``None`` → V, a mapping → F,
    ``list`` and ``tuple`` → A.

    :raises CodecError: a key or value has no such form, or they are nested deeper than :data:`MAX_DEPTH` (as a table
        that contains itself is); the message names the key.
    """
    if not isinstance(table, Mapping):
        raise CodecError(f"{shown(table)} cannot be a table: give a mapping")
    return _encode_table(table, 1)


def join_table(fields: Mapping[str, bytes]) -> bytes:
    """Return the field table of fields that :func:`split_table` and :func:`encode_field` return."""
    return _with_length(b"".join(encode_short_string(name) + value for name, value in fields.items()))


def encode_field(value: Any) -> bytes:
    """Return a field's value with its type, as in :func:`encode_table`.

    :raises CodecError: it has no such form.
    """
    return _encode_value(value, 1)


def _encode_table(table: Mapping[Any, Any], depth: int) -> bytes:
    if depth > MAX_DEPTH:
        raise CodecError(f"tables and arrays are nested deeper than {MAX_DEPTH}")
    parts = []
    for key, value in table.items():
        if not isinstance(key, str):
            raise CodecError(f"{shown(key)} cannot name a field: give a str")
        parts.append(encode_short_string(key))
        try:
            parts.append(_encode_value(value, depth))
        except CodecError as error:
            # Only the outermost key is named: a table in itself would name every level.
            raise error if depth > 1 else CodecError(f"field {shown(key)}: {error}") from None
    return _with_length(b"".join(parts))


def _with_length(data: bytes) -> bytes:
    try:
        return _pack_long(len(data)) + data
    except StructError:
        raise CodecError(f"{len(data)} bytes are too many: a field takes 4 GiB") from None


def _encode_value(value: Any, depth: int) -> bytes:
    if isinstance(value, str):
        try:
            return b"S" + _with_length(value.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            raise CodecError(f"{shown(value)} holds a lone surrogate: UTF-8 cannot encode it") from None
    if value is None:
        return b"V"
    if isinstance(value, bool):  # before int, of which bool is a subclass
        return b"t\x01" if value else b"t\x00"
    if isinstance(value, int):
        return b"T" + _longlong.pack(value) if isinstance(value, LateTimestamp) else _encode_integer(value)
    if isinstance(value, float):
        if math.isnan(value):  # RabbitMQ closes a connection that sends one (541)
            raise CodecError("a header cannot be NaN: RabbitMQ does not take it")
        return b"d" + _double.pack(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b"x" + _with_length(bytes(value))
    if isinstance(value, Mapping):
        return b"F" + _encode_table(value, depth + 1)
    if isinstance(value, (list, tuple)):
        if depth == MAX_DEPTH:
            raise CodecError(f"tables and arrays are nested deeper than {MAX_DEPTH}")
        return b"A" + _with_length(b"".join([_encode_value(item, depth + 1) for item in value]))
    if isinstance(value, datetime):
        return _encode_timestamp(value)
    if isinstance(value, decimal.Decimal):
        return _encode_decimal(value)
    raise CodecError(f"{shown(value)} has no AMQP form")


def _encode_integer(value: int) -> bytes:
    if -0x80000000 <= value <= 0x7FFFFFFF and not isinstance(value, LongLong):
        return b"I" + _signed_long.pack(value)
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return b"l" + _signed_longlong.pack(value)
    raise CodecError("an int of over 64 bits has no AMQP form")


def _encode_timestamp(value: datetime) -> bytes:
    if value.utcoffset() is None:
        raise CodecError(f"{value!r} has no time zone: give an aware datetime")
    seconds = (value - EPOCH) // _SECOND
    if seconds < 0:
        raise CodecError(f"{value!r} is before 1970: AMQP's timestamps begin there")
    return b"T" + _longlong.pack(seconds)


def _encode_decimal(value: decimal.Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    # An exponent above 9 cannot fit 32 bits; refusing it first keeps 10**exponent small.
    if isinstance(exponent, int) and -255 <= exponent <= 9 and len(digits) <= 10:
        mantissa = int("".join(map(str, digits))) * 10 ** max(exponent, 0) * (-1 if sign else 1)
        if -0x80000000 <= mantissa <= 0x7FFFFFFF:
            return b"D" + _decimal.pack(max(-exponent, 0), mantissa)
    raise CodecError("a Decimal takes a signed 32-bit number and up to 255 decimal places; this one does not fit")
