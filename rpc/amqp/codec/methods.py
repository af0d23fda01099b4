"""Method frames' payloads: class id, method id and arguments (AMQP 0-9-1, section 4.2.4), by the specification.

This is the general way, for control methods. The methods of every call (publish, deliver, ack) are packed where they
are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from struct import error as StructError
from typing import Any

import txamqp.spec

from rpc.amqp.codec.fields import Buffer, decode_short_string, decode_table, encode_short_string, encode_table
from rpc.errors import CodecError, FrameError

SYNTAX_ERROR = 502
NOT_IMPLEMENTED = 540

_ids = Struct("!HH")
_long = Struct("!L")
_numbers = {
    "octet": Struct("!B"),
    "short": Struct("!H"),
    "long": _long,
    "longlong": Struct("!Q"),
    "timestamp": Struct("!Q"),
}


def encode_arguments(method: txamqp.spec.Method, args: Sequence[Any]) -> bytes:
    """Return the payload of a method's frame.

    :param args: one for each field, in the specification's order: ``bool`` for a bit, ``int``, ``str`` (or ``bytes``)
        for short and long strings, a mapping for a table.
    :raises CodecError: there are more or fewer arguments than fields, or one does not fit its field's type; the
        message names method and field.
    """
    fields = list(method.fields)
    name = f"{method.klass.name}.{method.name}"
    if len(args) != len(fields):
        raise CodecError(f"{name} takes {len(fields)} arguments, not {len(args)}")
    parts = [_ids.pack(method.klass.id, method.id)]
    bits = place = 0
    for field, value in zip(fields, args, strict=True):
        if field.type == "bit":
            # Neighbouring bits share octets, the first in the lowest place (section 4.2.5.2).
            if place == 8:
                parts.append(bytes((bits,)))
                bits = place = 0
            bits |= bool(value) << place
            place += 1
            continue
        if place:
            parts.append(bytes((bits,)))
            bits = place = 0
        try:
            parts.append(_encoders[field.type](value))
        except (CodecError, StructError) as error:
            raise CodecError(f"{name}, {field.name}: {error}") from None
    if place:
        parts.append(bytes((bits,)))
    return b"".join(parts)


def decode_method(
    spec: txamqp.spec.Spec, payload: Buffer, offset: int = 0
) -> tuple[txamqp.spec.Method, tuple[Any, ...]]:
    """Return the method in a payload from ``offset`` to its end, and its arguments in the specification's order.

    A bit gives ``bool``, a number ``int``, a short string ``str``, a long string ``bytes``, a table ``dict``.

    :raises FrameError: 540 (not implemented) when the specification has no such class or method; 502 (syntax error)
        when an argument cannot be decoded, or the arguments end before or past the payload's end.
    """
    try:
        class_id, method_id = _ids.unpack_from(payload, offset)
    except StructError:
        raise FrameError(SYNTAX_ERROR, "a method's payload ends within its number") from None
    try:
        method = spec.classes.byid[class_id].methods.byid[method_id]
    except KeyError:
        raise FrameError(NOT_IMPLEMENTED, f"unknown method {class_id}.{method_id}") from None
    try:
        values, end = _decode_fields(method, payload, offset + _ids.size)
    except (CodecError, StructError, IndexError) as error:
        raise FrameError(SYNTAX_ERROR, f"{method.klass.name}.{method.name}: {error}") from None
    if end != len(payload):
        raise FrameError(SYNTAX_ERROR, f"{method.klass.name}.{method.name} ends at byte {end} of {len(payload)}")
    return method, values


def _decode_fields(method: txamqp.spec.Method, payload: Buffer, offset: int) -> tuple[tuple[Any, ...], int]:
    values: list[Any] = []
    bits, place = 0, 8
    for field in method.fields:
        if field.type == "bit":
            if place == 8:
                bits, place = payload[offset], 0
                offset += 1
            values.append(bool(bits >> place & 1))
            place += 1
            continue
        place = 8
        value, offset = _decoders[field.type](payload, offset)
        values.append(value)
    return tuple(values), offset


def _encode_long_string(value: str | bytes) -> bytes:
    if isinstance(value, str):
        try:
            value = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise CodecError("the text holds a lone surrogate: UTF-8 cannot encode it") from None
    elif not isinstance(value, (bytes, bytearray, memoryview)):
        raise CodecError(f"a value of type {type(value).__name__} cannot be a long string: give str or bytes")
    data = bytes(value)
    return _long.pack(len(data)) + data


def _decode_long_string(payload: Buffer, offset: int) -> tuple[bytes, int]:
    start = offset + _long.size
    end = start + int(_long.unpack_from(payload, offset)[0])
    if end > len(payload):
        raise CodecError(f"a long string at offset {offset} ends past the payload's end")
    return bytes(payload[start:end]), end


def _number_decoder(struct: Struct) -> Callable[[Buffer, int], tuple[int, int]]:
    def decode(payload: Buffer, offset: int) -> tuple[int, int]:
        return int(struct.unpack_from(payload, offset)[0]), offset + struct.size

    return decode


_encoders: dict[str, Callable[[Any], bytes]] = {
    **{name: struct.pack for name, struct in _numbers.items()},
    "shortstr": encode_short_string,
    "longstr": _encode_long_string,
    "table": encode_table,
}
_decoders: dict[str, Callable[[Buffer, int], tuple[Any, int]]] = {
    **{name: _number_decoder(struct) for name, struct in _numbers.items()},
    "shortstr": decode_short_string,
    "longstr": _decode_long_string,
    "table": decode_table,
}
