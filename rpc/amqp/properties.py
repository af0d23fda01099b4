"""A message's properties as bytes: flags and property list of a content header (AMQP 0-9-1, section 4.2.6.1).

Class id, weight and body size, which stand before them in the frame, are not part of this. Every call encodes and
decodes properties twice, so what depends only on *which* properties are there is worked out once: decoding keeps a
plan per flags, and :class:`PropertyTemplate` keeps the bytes that are the same in every message of its kind.
"""

from __future__ import annotations

import functools
from struct import Struct
from struct import error as StructError
from typing import Any

import attrs

from rpc.amqp.fields import Buffer, decode_table, encode_short_string, encode_table
from rpc.errors import CodecError
from rpc.messages import Properties

_word = Struct("!H")
_long_long = Struct("!Q")
_pack_octet = Struct("!B").pack
_pack_word = _word.pack
_unpack_word = _word.unpack_from
_pack_long_long = _long_long.pack
_unpack_long_long = _long_long.unpack_from

_SHORT_STRING, _TABLE, _OCTET, _TIMESTAMP = range(4)
_OTHERS = {"headers": _TABLE, "delivery_mode": _OCTET, "priority": _OCTET, "timestamp": _TIMESTAMP}

# The attributes of Properties stand in the wire's order; the first has the highest bit.
_NAMES = tuple(attribute.name for attribute in attrs.fields(Properties))
_KINDS = tuple(_OTHERS.get(name, _SHORT_STRING) for name in _NAMES)
_FLAGS = tuple(0x8000 >> place for place in range(len(_NAMES)))
_KNOWN = sum(_FLAGS)
_CONTINUED = 0x0001
_ABSENT: list[Any] = [None] * len(_NAMES)


def encode_properties(properties: Properties) -> bytes:
    """The flags and the property list.

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


def decode_properties(buffer: Buffer, offset: int = 0) -> Properties:
    """The properties in the bytes from ``offset`` to the buffer's end, which are flags and property list exactly.

    :raises CodecError: the list ends past the buffer's end or before it, a flag stands for no property of class
        basic, or a header cannot be decoded.
    """
    try:
        (flags,) = _unpack_word(buffer, offset)
        offset += 2
        if flags & ~_KNOWN:
            offset = _skip_flags(flags, buffer, offset)
        values = _ABSENT.copy()
        for place, kind in _plan(flags):
            if kind == _SHORT_STRING:
                start = offset + 1
                offset = start + buffer[offset]
                values[place] = str(buffer[start:offset], "utf-8", "surrogateescape")
            elif kind == _OCTET:
                values[place] = buffer[offset]
                offset += 1
            elif kind == _TABLE:
                values[place], offset = decode_table(buffer, offset)
            else:
                (values[place],) = _unpack_long_long(buffer, offset)
                offset += 8
    except (IndexError, StructError):
        raise CodecError("the properties end past the buffer's end") from None
    # A string that was cut short by the slice is found here too: its end was counted in full.
    if offset != len(buffer):
        raise CodecError(f"the properties end at byte {offset}, their buffer at {len(buffer)}")
    return Properties(*values)


class PropertyTemplate:
    """The properties of many messages that differ in a few short strings: all else is encoded once.

    :param fixed: what is the same in every message.
    :param variable: the names of the properties that :meth:`encode` is given, in the wire's order.
    :raises CodecError: a variable property is not a short string, is fixed as well, or stands out of order; or a
        fixed value does not fit its property.
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
                if kind != _SHORT_STRING or value is not None:
                    raise CodecError(f"{name} cannot be variable: it is fixed as well, or no short string")
                parts += [b"", b""]
            elif value is not None:
                parts[-1] += _encode_property(name, kind, value)
            else:
                continue
            flags |= flag
        parts[0] = _pack_word(flags) + parts[0]
        self._parts = parts

    def encode(self, *values: bytes) -> bytes:
        """The flags and the property list with these values.

        :param values: one for each variable property, as :func:`~rpc.amqp.fields.encode_short_string` makes them.
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
    """Place and kind of each property that is there."""
    return tuple((place, _KINDS[place]) for place, flag in enumerate(_FLAGS) if flags & flag)


def _skip_flags(flags: int, buffer: Buffer, offset: int) -> int:
    """The offset behind the last word of flags; further words may be there, but no property stands for their bits."""
    unknown = flags & ~_KNOWN & ~_CONTINUED
    while flags & _CONTINUED:
        (flags,) = _unpack_word(buffer, offset)
        offset += 2
        unknown |= flags & ~_CONTINUED
    if unknown:
        raise CodecError("the flags name properties that class basic does not have")
    return offset
