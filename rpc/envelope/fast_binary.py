"""The binary protocol by Thrift's C extension (Thrift specification, "Thrift Binary protocol encoding")."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from struct import Struct
from typing import Any, ClassVar

from thrift.Thrift import TType

from rpc.envelope.codec import Codec, Header, is_immutable, malformed, refuse_trailing
from rpc.envelope.limits import CONTAINER_LIMIT, STRING_LIMIT
from rpc.errors import MalformedMessage
from rpc.generated_structs import is_accelerated, is_written_accelerated

try:
    from thrift.protocol import fastbinary
except ImportError:  # Thrift was installed without its extension
    fastbinary = None  # type: ignore[assignment]

AVAILABLE = fastbinary is not None

LONG_STRING = 16384
"""Bytes or characters of an argument, or of a result, from which on a string is not copied by the extension."""


class FastBinaryCodec:
    """The binary protocol, by Thrift's C extension ``fastbinary``.

    It writes the bytes of ``TBinaryProtocolAccelerated``, whose objects cost more to make than a message to encode.
    Structs and messages that the extension cannot handle are left to a general codec.

    :param general: the codec for the others.
    """

    content_type = "application/vnd.apache.thrift.binary"

    _VERSION_1: ClassVar[int] = 0x80010000
    _begin: ClassVar[Struct] = Struct("!Ii")
    _seqid: ClassVar[Struct] = Struct("!i")
    _string_field: ClassVar[Struct] = Struct("!bhi")

    def __init__(self, general: Codec) -> None:
        self._prefixes: dict[tuple[str, int], bytes] = {}
        self._types: dict[type, list[Any] | None] = {}
        self._strings: dict[type, list[str]] = {}
        self._readable: dict[type, list[Any] | None] = {}
        self._source: Any = _Source()
        self._general = general

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        struct_class = type(struct)
        try:
            types = self._types[struct_class]
        except KeyError:
            types = self._types_of(struct_class)
        if types is None:
            return self._general.encode(name, kind, seqid, struct)
        try:
            prefix = self._prefixes[name, kind]
        except KeyError:  # bounded: only methods of a stub have structs, so a peer cannot add names
            prefix = self._prefix(name, kind)
        for field_name in self._strings[struct_class]:
            value = getattr(struct, field_name)
            if type(value) in (bytes, str) and len(value) >= LONG_STRING:
                return b"".join((prefix, self._seqid.pack(seqid), *self._field_by_field(struct, types)))
        return prefix + self._seqid.pack(seqid) + fastbinary.encode_binary(struct, types)

    def _field_by_field(self, struct: Any, types: list[Any]) -> Iterator[bytes]:
        """Yield the fields of a struct with a long string, which the extension would copy byte by byte.

        Strings in inner structs and containers are left to the extension.
        """
        struct_class, specification = types
        for field in specification:
            value = None if field is None else getattr(struct, field[2])
            if field is None or value is None:
                continue
            if field[1] == TType.STRING and type(value) in (bytes, str):
                data = value if type(value) is bytes else value.encode()
                yield self._string_field.pack(TType.STRING, field[0], len(data))
                yield data
            else:
                yield fastbinary.encode_binary(struct, [struct_class, (field,)])[:-1]  # without the struct's end
        yield b"\0"

    def _types_of(self, struct_class: type) -> list[Any] | None:
        """Return the extension's description of a struct; ``None`` when it cannot handle the struct."""
        specification = getattr(struct_class, "thrift_spec", None)
        known = specification is not None and is_written_accelerated(struct_class)
        types = [struct_class, specification] if known else None
        self._types[struct_class] = types
        fields = specification or ()
        self._strings[struct_class] = [field[2] for field in fields if field is not None and field[1] == TType.STRING]
        return types

    def _prefix(self, name: str, kind: int) -> bytes:
        encoded = name.encode()
        prefix = self._prefixes[name, kind] = self._begin.pack(self._VERSION_1 | kind, len(encoded)) + encoded
        return prefix

    def read_header(self, body: bytes) -> Header:
        try:
            version, length = self._begin.unpack_from(body)
            if version & 0xFFFFFF00 != self._VERSION_1 or not 0 <= length <= len(body) - 12:
                return self._general.read_header(body)  # the old form without a version, or malformed
            end = 12 + length
            return body[8 : 8 + length].decode(), version & 0xFF, self._seqid.unpack_from(body, end - 4)[0], end
        except MalformedMessage:
            raise
        except Exception as error:
            raise malformed("Thrift message", error) from error

    def read_struct(self, body: bytes, start: int, struct_class: type) -> Any:
        try:
            types = self._readable[struct_class]
        except KeyError:
            can_read = is_accelerated(struct_class) and not is_immutable(struct_class)
            types = self._types_of(struct_class) if can_read else None
            self._readable[struct_class] = types
        if types is None:
            return self._general.read_struct(body, start, struct_class)
        source = self._source
        source.cstringio_buf = buffer = BytesIO(body)
        buffer.seek(start)
        value = struct_class()
        try:
            fastbinary.decode_binary(value, source, types)
        except Exception as error:
            raise malformed(struct_class.__name__, error) from error
        finally:
            source.cstringio_buf = _NOTHING  # otherwise an idle worker would keep the last body
        if buffer.tell() != len(body):
            refuse_trailing(len(body) - buffer.tell())
        return value


_NOTHING = BytesIO()


class _Source:
    """Protocol and transport in one, for the extension to read from."""

    __slots__ = ("container_length_limit", "cstringio_buf", "string_length_limit", "trans")

    def __init__(self) -> None:
        self.trans = self
        self.string_length_limit = STRING_LIMIT
        self.container_length_limit = CONTAINER_LIMIT
        self.cstringio_buf = _NOTHING

    def cstringio_refill(self, partial: bytes, wanted: int) -> BytesIO:
        """Called when the message ends too early: no more bytes follow."""
        raise EOFError("the message ends too early")
