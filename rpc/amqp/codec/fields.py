"""Short strings and field tables (AMQP 0-9-1, section 4.2.5), because txAMQP's knows few types and mis-frames text.

The types are those that RabbitMQ speaks. They differ from the standard's list (RabbitMQ's "AMQP 0-9-1 errata"): ``s``
is a signed 16-bit number, ``l`` and ``L`` are both signed 64-bit numbers, and ``x`` is a byte array.

Both directions promise the same: a value, or :class:`~rpc.errors.CodecError`. The caller's objects are neither changed
nor kept. Buffers may be ``bytes``, ``bytearray`` or ``memoryview``; decoded values are always copies.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from struct import Struct
from struct import error as StructError
from typing import Any, TypeAlias

from rpc.errors import CodecError

Buffer: TypeAlias = "bytes | bytearray | memoryview"


class LongLong(int):
    """A number that is encoded in 64 bits (l), even a small one."""


MAX_DEPTH = 64
"""How deep tables and arrays may be nested, the outermost table counted. A peer must not choose how deep we recurse."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)
_SHOWN = 40

_octet = Struct("!B")
_long = Struct("!L")
_longlong = Struct("!Q")
_signed_long = Struct("!l")
_signed_longlong = Struct("!q")
_double = Struct("!d")
_decimal = Struct("!Bl")

_pack_long = _long.pack
_unpack_long = _long.unpack_from


SHORT_LENGTHS = tuple(bytes((length,)) for length in range(256))
"""The first octet of a short string, by its length in bytes."""


def encode_short_string(value: str | bytes) -> bytes:
    """Return a short string: one octet of length, then UTF-8 (AMQP 0-9-1, section 4.2.5.3).

    Surrogates that :func:`decode_short_string` made of other bytes become those bytes again.

    :raises CodecError: the value is over 255 bytes long, holds a lone surrogate, or is no string.
    """
    try:
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(memoryview(value))
        return _octet.pack(len(data)) + data
    except StructError:
        raise CodecError(f"{_shown(value)} is {len(data)} bytes long: a short string takes 255") from None
    except (TypeError, UnicodeEncodeError):
        raise CodecError(f"{_shown(value)} cannot be a short string: give a str that UTF-8 can encode") from None


def decode_short_string(buffer: Buffer, offset: int) -> tuple[str, int]:
    """Return the short string at ``offset``, and the offset behind it. Bytes that are not UTF-8 become surrogates.

    :raises CodecError: the string ends past the buffer's end.
    """
    if not 0 <= offset < len(buffer):
        raise CodecError(f"a short string is missing at offset {offset}")
    end = offset + 1 + buffer[offset]
    if end > len(buffer):
        raise CodecError(f"a short string at offset {offset} ends past the buffer's end")
    return str(buffer[offset + 1 : end], "utf-8", "surrogateescape"), end


def encode_table(table: Mapping[str, Any]) -> bytes:
    """Return a field table with its four octets of length.

    ``bool`` → t, ``int`` → I or l (the smaller that fits), ``float`` → d, ``decimal.Decimal`` → D, ``str`` → S,
    ``bytes`` → x, an aware ``datetime`` → T (whole seconds, earlier ones rounded down), ``None`` → V, a mapping → F,
    ``list`` and ``tuple`` → A.

    :raises CodecError: a key or value has no such form, or they are nested deeper than :data:`MAX_DEPTH` (as a table
        that contains itself is); the message names the key.
    """
    if not isinstance(table, Mapping):
        raise CodecError(f"{_shown(table)} cannot be a table: give a mapping")
    return _encode_table(table, 1)


def decode_table(buffer: Buffer, offset: int) -> tuple[dict[str, Any], int]:
    """Return the field table at ``offset``, and the offset behind it.

    S gives ``str``, or ``bytes`` when it is not UTF-8; T gives an aware ``datetime`` in UTC, or ``int`` when it lies
    past the year 9999 (some senders write milliseconds). Of equal keys the last counts.

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

    :raises CodecError: as :func:`decode_table`.
    """
    fields: dict[str, bytes] = {}
    try:
        start, end = _extent(buffer, 0, len(buffer))
        while start < end:
            name, start = decode_short_string(buffer, start)
            _, next_start = _decode_value(buffer, start, end, 1)
            fields[name] = buffer[start:next_start]
            start = next_start
    except (StructError, IndexError):
        raise CodecError("the table ends past the buffer's end") from None
    return fields


def join_table(fields: Mapping[str, bytes]) -> bytes:
    """Return the field table of fields that :func:`split_table` and :func:`encode_field` return."""
    return _with_length(b"".join(encode_short_string(name) + value for name, value in fields.items()))


def encode_field(value: Any) -> bytes:
    """Return a field's value with its type, as in :func:`encode_table`.

    :raises CodecError: it has no such form.
    """
    return _encode_value(value, 1)


def _shown(value: object) -> str:
    """Return the start of a value, for messages. It never fails, and builds no large text for a large value."""
    if isinstance(value, (str, bytes, bytearray)):
        return repr(value if len(value) <= _SHOWN else value[:_SHOWN]) + ("…" if len(value) > _SHOWN else "")
    return f"a value of type {type(value).__name__}"


def _encode_table(table: Mapping[Any, Any], depth: int) -> bytes:
    if depth > MAX_DEPTH:
        raise CodecError(f"tables and arrays are nested deeper than {MAX_DEPTH}")
    parts = []
    for key, value in table.items():
        if not isinstance(key, str):
            raise CodecError(f"{_shown(key)} cannot name a field: give a str")
        parts.append(encode_short_string(key))
        try:
            parts.append(_encode_value(value, depth))
        except CodecError as error:
            # Only the outermost key is named: a table in itself would name every level.
            raise error if depth > 1 else CodecError(f"field {_shown(key)}: {error}") from None
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
            raise CodecError(f"{_shown(value)} holds a lone surrogate: UTF-8 cannot encode it") from None
    if value is None:
        return b"V"
    if isinstance(value, bool):  # before int, of which bool is a subclass
        return b"t\x01" if value else b"t\x00"
    if isinstance(value, int):
        return _encode_integer(value)
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
    raise CodecError(f"{_shown(value)} has no AMQP form")


def _encode_integer(value: int) -> bytes:
    if -0x80000000 <= value <= 0x7FFFFFFF and not isinstance(value, LongLong):
        return b"I" + _signed_long.pack(value)
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return b"l" + _signed_longlong.pack(value)
    raise CodecError("an int of over 64 bits has no AMQP form")


def _encode_timestamp(value: datetime) -> bytes:
    if value.utcoffset() is None:
        raise CodecError(f"{value!r} has no time zone: give an aware datetime")
    seconds = (value - _EPOCH) // _SECOND
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
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return seconds


def _scaled(scale: int, mantissa: int) -> decimal.Decimal:
    # Built from its parts: arithmetic would round to the thread's decimal context.
    return decimal.Decimal((int(mantissa < 0), tuple(map(int, str(abs(mantissa)))), -scale))


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

_COUNTED: dict[int, Callable[[Buffer, int, int, int], tuple[Any, int]]] = {
    ord("S"): _decode_long_string,
    ord("x"): _decode_bytes,
    ord("A"): _decode_array,
    ord("F"): lambda buffer, offset, limit, depth: _decode_table(buffer, offset, limit, depth + 1),
}
