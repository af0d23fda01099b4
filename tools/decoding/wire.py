"""Thrift messages of any size, built from bytes: our encoders would take minutes, and refuse some."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack
from typing import Final

from thrift.Thrift import TMessageType, TType

SEQID: Final = 1

COMPACT: Final = {
    TType.BOOL: 1,
    TType.BYTE: 3,
    TType.I16: 4,
    TType.I32: 5,
    TType.I64: 6,
    TType.DOUBLE: 7,
    TType.STRING: 8,
    TType.LIST: 9,
    TType.SET: 10,
    TType.MAP: 11,
    TType.STRUCT: 12,
    TType.UUID: 13,
}
"""The types of the compact protocol (Thrift specification, "Thrift Compact protocol encoding")."""


def varint(number: int) -> bytes:
    """Return an unsigned number of the compact protocol."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> bytes:
    """Return a signed number of the compact protocol."""
    return varint((number << 1) ^ (number >> 63))


class Binary:
    """The binary protocol."""

    name = "binary"

    def head(self, method: str, kind: int) -> bytes:
        """Return what comes before the struct."""
        return pack("!Ii", 0x80010000 | kind, len(method)) + method.encode() + pack("!i", SEQID)

    def field(self, ttype: int, number: int, value: bytes) -> bytes:
        """Return a field of a struct."""
        return pack("!bh", ttype, number) + value

    def sequence(self, ttype: int, count: int, elements: bytes) -> bytes:
        """Return a list or set."""
        return pack("!bi", ttype, count) + elements

    def map(self, key: int, value: int, count: int, pairs: bytes) -> bytes:
        """Return a map."""
        return pack("!bbi", key, value, count) + pairs

    def i32(self, number: int) -> bytes:
        """Return an i32."""
        return pack("!i", number)

    def i64(self, number: int) -> bytes:
        """Return an i64."""
        return pack("!q", number)

    def text(self, data: bytes) -> bytes:
        """Return a string."""
        return pack("!i", len(data)) + data


class Compact:
    """The compact protocol. All field numbers are written in the long form."""

    name = "compact"

    def head(self, method: str, kind: int) -> bytes:
        """Return what comes before the struct."""
        return bytes((0x82, 1 | kind << 5)) + varint(SEQID) + varint(len(method)) + method.encode()

    def field(self, ttype: int, number: int, value: bytes) -> bytes:
        """Return a field of a struct."""
        return bytes((COMPACT[ttype],)) + zigzag(number) + value

    def sequence(self, ttype: int, count: int, elements: bytes) -> bytes:
        """Return a list or set."""
        if count < 15:
            return bytes((count << 4 | COMPACT[ttype],)) + elements
        return bytes((0xF0 | COMPACT[ttype],)) + varint(count) + elements

    def map(self, key: int, value: int, count: int, pairs: bytes) -> bytes:
        """Return a map."""
        return varint(count) + bytes((COMPACT[key] << 4 | COMPACT[value],) if count else ()) + pairs

    def i32(self, number: int) -> bytes:
        """Return an i32."""
        return zigzag(number)

    i64 = i32

    def text(self, data: bytes) -> bytes:
        """Return a string."""
        return varint(len(data)) + data


Wire = Binary | Compact

WIRES: Final[tuple[Wire, ...]] = (Binary(), Compact())


def messages(wire: Wire, method: str, fields: Callable[[int], bytes]) -> dict[str, bytes]:
    """Return the message as a worker and as a client gets it.

    :param fields: makes the fields of the struct, for the number of the argument or of the result.
    """
    return {
        "worker": wire.head(method, TMessageType.CALL) + fields(1) + b"\0",
        "client": wire.head(method, TMessageType.REPLY) + fields(0) + b"\0",
    }


def json_messages(method: str, fields: Callable[[int], str]) -> dict[str, bytes]:
    """Return the same in JSON."""
    return {
        "worker": f'[1,"{method}",1,{SEQID},{{{fields(1)}}}]'.encode(),
        "client": f'[1,"{method}",2,{SEQID},{{{fields(0)}}}]'.encode(),
    }
