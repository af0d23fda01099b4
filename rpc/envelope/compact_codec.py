"""The compact protocol by Thrift's classes, but for the beginning of a message.

Thrift reads and writes the beginning in Python, byte by byte: 3 and 2 microseconds. A gateway reads nothing else, and
spent as much on it as on all the rest of a call.
"""

from __future__ import annotations

from typing import Final

from rpc.envelope.codec import Header
from rpc.envelope.limits import NAME_LIMIT
from rpc.envelope.protocol_codec import ProtocolCodec

_PROTOCOL_ID: Final = 0x82

_VERSION: Final = 1
"""In the lower five bits of the second byte; the upper three are the type (Thrift specification, "Thrift Compact
protocol encoding")."""

_LONGEST: Final = 5
"""Bytes of a varint of 32 bits."""


class CompactCodec(ProtocolCodec):
    """The compact protocol."""

    def encode_header(self, name: str, kind: int, seqid: int) -> bytes:
        encoded = name.encode()
        begin = bytes((_PROTOCOL_ID, _VERSION | kind << 5))
        return b"".join((begin, _varint(seqid & 0xFFFFFFFF), _varint(len(encoded)), encoded))

    def read_header(self, body: bytes) -> Header:
        try:
            seqid, position = _read_varint(body, 2)
            length, start = _read_varint(body, position)
            end = start + length
            name = body[start:end].decode()
        except (IndexError, ValueError):
            return super().read_header(body)  # its error names the fault
        kind = body[1]
        is_usual = body[0] == _PROTOCOL_ID and kind & 0x1F == _VERSION
        if not is_usual or end > len(body) or length > NAME_LIMIT or seqid >= 2**32:
            return super().read_header(body)
        return name, kind >> 5, seqid if seqid < 2**31 else seqid - 2**32, end


def _varint(number: int) -> bytes:
    """Return a number of at least 0 in groups of seven bits, the lowest first."""
    if number < 0x80:
        return bytes((number,))
    groups = bytearray()
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    """Return a number, and the offset behind it.

    :raises IndexError: the bytes end within it.
    :raises ValueError: it has more than 32 bits.
    """
    group = body[position]
    number = group & 0x7F
    shift = 0
    while group & 0x80:
        position += 1
        shift += 7
        if shift == 7 * _LONGEST:
            raise ValueError
        group = body[position]
        number |= (group & 0x7F) << shift
    return number, position + 1
