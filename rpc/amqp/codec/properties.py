"""A message's properties as bytes: flags and property list of a content header (AMQP 0-9-1, section 4.2.6.1).

Class id, weight and body size, which come before them in the frame, are not part of this. Every call encodes and
decodes properties twice, so work that depends only on *which* properties are there is done once: decoding keeps a plan
per flags, and :class:`PropertyTemplate` keeps the bytes that are the same in every message of its kind.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from struct import Struct
from struct import error as StructError
from typing import Any

import attrs

from rpc.amqp.codec.fields import decode_table, encode_short_string, encode_table
from rpc.errors import CodecError
from rpc.messages import Properties

_word = Struct("!H")
_pack_long_long = Struct("!Q").pack
_pack_octet = Struct("!B").pack
_pack_word = _word.pack
_unpack_word = _word.unpack_from

# Kinds of properties; where all values are of one size, that size.
_SHORT_STRING, _OCTET, _TIMESTAMP, _TABLE = 0, 1, 8, -1
_OTHERS = {"headers": _TABLE, "delivery_mode": _OCTET, "priority": _OCTET, "timestamp": _TIMESTAMP}

# The attributes of Properties stand in the wire's order; the first has the highest bit.
_NAMES = tuple(attribute.name for attribute in attrs.fields(Properties))
_KINDS = tuple(_OTHERS.get(name, _SHORT_STRING) for name in _NAMES)
_FLAGS = tuple(0x8000 >> place for place in range(len(_NAMES)))
_UNKNOWN = 0xFFFF & ~sum(_FLAGS)
_CONTINUED = 0x0001
ALL_ABSENT: Sequence[bytes | None] = (None,) * len(_NAMES)
"""The result of :func:`split_properties` for a message without properties."""


CONTENT_TYPE = _NAMES.index("content_type")
HEADERS = _NAMES.index("headers")
CORRELATION_ID = _NAMES.index("correlation_id")
REPLY_TO = _NAMES.index("reply_to")
EXPIRATION = _NAMES.index("expiration")
MESSAGE_ID = _NAMES.index("message_id")
TYPE = _NAMES.index("type")
DELIVERY_MODE = _NAMES.index("delivery_mode")
PRIORITY = _NAMES.index("priority")
USER_ID = _NAMES.index("user_id")
APP_ID = _NAMES.index("app_id")


def encode_properties(properties: Properties) -> bytes:
    """Return the flags and the property list.

    :raises CodecError: a value does not fit its property; the message names the property.
    """
    flags = 0
    parts = [b""]
    for name, kind, flag in zip(_NAMES, _KINDS, _FLAGS, strict=True):
        value = getattr(properties, name)
        if value is not None:
            flags |= flag
            parts.append(_encode_property(name, kind, value))
    parts[0] = _pack_word(flags)
    return b"".join(parts)


def split_properties(buffer: bytes) -> Sequence[bytes | None]:
    """Return the encoded value of each property by its place (:data:`CONTENT_TYPE` …), ``None`` where absent.

    Most readers need two or three properties of a message, and pass some of them on unchanged.

    :param buffer: exactly flags and property list.
    :raises CodecError: the list ends past the buffer's end or before it, or a flag stands for no property of class
        basic.
    """
    try:
        flags = buffer[0] << 8 | buffer[1]
        offset = 2
        if flags & _UNKNOWN:
            offset = _skip_flags(flags, buffer, offset)
        parts = [*ALL_ABSENT]
        for place, size in _plan(flags):
            if not size:  # a short string
                end = offset + 1 + buffer[offset]
            elif size > 0:
                end = offset + size
            else:  # a table
                end = offset + 4 + int.from_bytes(buffer[offset : offset + 4], "big")
            parts[place] = buffer[offset:end]
            offset = end
    except (IndexError, StructError):
        raise CodecError("the properties end past the buffer's end") from None
    # A value that was cut short by the slice is found here too: its end was counted in full.
    if offset != len(buffer):
        raise CodecError(f"the properties end at byte {offset}, their buffer at {len(buffer)}")
    return parts


def join_properties(parts: Sequence[bytes | None]) -> bytes:
    """Return the flags and the property list of parts that :func:`split_properties` returns."""
    flags = 0
    present = [b""]
    for flag, part in zip(_FLAGS, parts, strict=True):
        if part is not None:
            flags |= flag
            present.append(part)
    present[0] = _pack_word(flags)
    return b"".join(present)


def decode_properties(buffer: bytes) -> Properties:
    """Return the properties in `buffer`, which is exactly flags and property list.

    :raises CodecError: as :func:`split_properties`, and when a header cannot be decoded.
    """
    parts = split_properties(buffer)
    return Properties(
        *[None if part is None else _decode_property(kind, part) for kind, part in zip(_KINDS, parts, strict=True)]
    )


def _decode_property(kind: int, part: bytes) -> Any:
    if kind == _SHORT_STRING:
        return decode_text(part)
    if kind == _TABLE:
        return decode_table(part, 0)[0]
    return int.from_bytes(part, "big")


def decode_text(part: bytes) -> str:
    """Return the text of an encoded short string."""
    return str(part[1:], "utf-8", "surrogateescape")


class PropertyTemplate:
    """The properties of many messages that differ in their headers and a few short strings: all else is encoded once.

    :param fixed: the properties that are the same in every message.
    :param variable: the names of the properties that :meth:`encode` is given, in the wire's order.
    :raises CodecError: a variable property is not a short string or the headers, is fixed as well, or stands out of
        order; or a fixed value does not fit its property.
    """

    __slots__ = ("_parts", "variable")

    def __init__(self, fixed: Properties, variable: tuple[str, ...]) -> None:
        self.variable = variable
        expected = tuple(name for name in _NAMES if name in variable)
        if expected != variable:
            raise CodecError(f"variable properties are {expected} in the wire's order, not {variable}")
        flags = 0
        # Constant bytes at the even places, the variable strings at the odd ones.
        parts = [b""]
        for name, kind, flag in zip(_NAMES, _KINDS, _FLAGS, strict=True):
            value = getattr(fixed, name)
            if name in variable:
                if kind not in (_SHORT_STRING, _TABLE) or value is not None:
                    raise CodecError(f"{name} cannot be variable: it is fixed as well, or no short string or table")
                parts += [b"", b""]
            elif value is not None:
                parts[-1] += _encode_property(name, kind, value)
            else:
                continue
            flags |= flag
        parts[0] = _pack_word(flags) + parts[0]
        self._parts = parts

    def encode(self, *values: bytes) -> bytes:
        """Return the flags and the property list with these values.

        :param values: one for each variable property, as :func:`~rpc.amqp.codec.fields.encode_short_string` makes them,
            and :func:`~rpc.amqp.codec.fields.encode_table`.
        :raises CodecError: there are more or fewer values than variable properties.
        """
        parts = self._parts.copy()
        try:
            parts[1::2] = values
        except ValueError:
            raise CodecError(f"{len(values)} values for the properties {self.variable}") from None
        return b"".join(parts)


def _encode_property(name: str, kind: int, value: Any) -> bytes:
    try:
        if kind == _SHORT_STRING:
            return encode_short_string(value)
        if kind == _TABLE:
            return encode_table(value)
        return _pack_octet(value) if kind == _OCTET else _pack_long_long(value)
    except StructError as error:
        raise CodecError(f"{name}: {error}") from None
    except CodecError as error:
        raise CodecError(f"{name}: {error}") from None


# A peer may send any of 16,384 combinations; few are in use.
@functools.lru_cache(maxsize=256)
def _plan(flags: int) -> tuple[tuple[int, int], ...]:
    """Return place and kind of each property that is there."""
    return tuple((place, _KINDS[place]) for place, flag in enumerate(_FLAGS) if flags & flag)


def _skip_flags(flags: int, buffer: bytes, offset: int) -> int:
    """Return the offset behind the last word of flags. Class basic has no property for the bits of further words."""
    unknown = flags & _UNKNOWN & ~_CONTINUED
    while flags & _CONTINUED:
        (flags,) = _unpack_word(buffer, offset)
        offset += 2
        unknown |= flags & ~_CONTINUED
    if unknown:
        raise CodecError("the flags name properties that class basic does not have")
    return offset
