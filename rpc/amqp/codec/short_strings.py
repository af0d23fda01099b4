"""Short strings (AMQP 0-9-1, section 4.2.5.3)."""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import TypeAlias

from rpc.errors import CodecError

Buffer: TypeAlias = "bytes | bytearray | memoryview"

_SHOWN = 40

_octet = Struct("!B")

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
        raise CodecError(f"{shown(value)} is {len(data)} bytes long: a short string takes 255") from None
    except (TypeError, UnicodeEncodeError):
        raise CodecError(f"{shown(value)} cannot be a short string: give a str that UTF-8 can encode") from None


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


def shown(value: object) -> str:
    """Return the start of a value, for messages. It never fails, and builds no large text for a large value."""
    if isinstance(value, (str, bytes, bytearray)):
        return repr(value if len(value) <= _SHOWN else value[:_SHOWN]) + ("…" if len(value) > _SHOWN else "")
    return f"a value of type {type(value).__name__}"
