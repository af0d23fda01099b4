"""The binary protocol by Thrift's C extension (Thrift specification, "Thrift Binary protocol encoding")."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from struct import Struct
from typing import Any, ClassVar

from thrift.Thrift import TApplicationException, TType

from rpc.envelope.binary_skim import BinarySkim
from rpc.envelope.codec import Header, Message, malformed, refuse_trailing
from rpc.envelope.described_fields import APPLICATION_EXCEPTION
from rpc.envelope.element_costs import message_cost
from rpc.envelope.limits import CONTAINER_LIMIT, MAX_ELEMENTS, NAME_LIMIT, STRING_LIMIT
from rpc.envelope.protocol_codec import ProtocolCodec
from rpc.envelope.skim import check_elements
from rpc.envelope.text import bytes_check, replacement_search
from rpc.errors import MalformedMessage
from rpc.generated_classes import fields_of, is_immutable
from rpc.generated_structs import is_accelerated, is_written_accelerated

try:
    from thrift.protocol import fastbinary
except ImportError:  # Thrift was installed without its extension
    fastbinary = None  # type: ignore[assignment]

AVAILABLE = fastbinary is not None

_VERSIONED = 0x80
"""The first byte of a message, but for those of the old form, which are written anew with a version."""

LONG_STRING = 16384
"""Bytes or characters of an argument, or of a result, from which on a string is not copied by the extension."""


class _Plan:
    """How the structs of one class are handled.

    :ivar types: the extension's description of the class; ``None`` when it cannot handle it.
    :ivar readable: the same, for reading.
    :ivar strings: the names of its fields of type ``string`` and ``binary``.
    :ivar check_bytes: refuses bytes for a ``string`` that are not UTF-8; ``None`` when there is no ``string``.
    :ivar cost: of decoding it.
    :ivar per_byte: elements of one byte of a message, at most.
    :ivar search: finds U+FFFD; ``None`` when there is no ``string``.
    """

    __slots__ = ("check_bytes", "cost", "per_byte", "readable", "search", "strings", "types")

    def __init__(self, struct_class: type) -> None:
        is_exception = struct_class is TApplicationException  # its own write takes 45 Python functions
        specification = APPLICATION_EXCEPTION if is_exception else getattr(struct_class, "thrift_spec", None)
        description = None if specification is None else [struct_class, specification]
        self.types = description if is_written_accelerated(struct_class) else None
        is_readable = is_accelerated(struct_class) and not is_immutable(struct_class) and not is_exception
        self.readable = description if is_readable else None
        self.strings = [field[2] for field in fields_of(struct_class) if field[1] == TType.STRING]
        self.check_bytes = _check_message if is_exception else bytes_check(struct_class)
        self.search = replacement_search(struct_class)
        self.cost = message_cost(struct_class, in_python=False)
        self.per_byte = self.cost.per_byte


def _check_message(error: Any) -> None:
    """Refuse bytes that are not UTF-8 as the message of a ``TApplicationException``, as for any ``string``."""
    if isinstance(error.message, bytes):
        error.message.decode()


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

    def __init__(self, general: ProtocolCodec) -> None:
        self._prefixes: dict[tuple[str, int], bytes] = {}
        self._plans: dict[type, _Plan] = {}
        self._source: Any = _Source()
        self._general = general

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        struct_class = type(struct)
        try:
            plan = self._plans[struct_class]
        except KeyError:
            plan = self._plans[struct_class] = _Plan(struct_class)
        types = plan.types
        if types is None:
            return self._general.encode(name, kind, seqid, struct)
        try:
            prefix = self._prefixes[name, kind]
        except KeyError:
            prefix = self.encode_header(name, kind, 0)[:-4]
            if struct_class is not TApplicationException:  # a peer chooses the name in the answer to an unknown method
                self._prefixes[name, kind] = prefix
        check_bytes = plan.check_bytes
        for field_name in plan.strings:
            value = getattr(struct, field_name)
            if type(value) in (bytes, str) and len(value) >= LONG_STRING:
                if check_bytes is not None:
                    check_bytes(struct)
                return b"".join((prefix, self._seqid.pack(seqid), *self._field_by_field(struct, types)))
        encoded = fastbinary.encode_binary(struct, types)
        if check_bytes is not None and not encoded.isascii():
            check_bytes(struct)
        return prefix + self._seqid.pack(seqid) + encoded

    def encode_header(self, name: str, kind: int, seqid: int) -> bytes:
        encoded = name.encode()
        length = len(encoded)
        return self._begin.pack(self._VERSION_1 | kind, length) + encoded + self._seqid.pack(seqid)

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

    def read_header(self, body: bytes) -> Header:
        try:
            version, length = self._begin.unpack_from(body)
            if version & 0xFFFFFF00 != self._VERSION_1 or not 0 <= length <= len(body) - 12 or length > NAME_LIMIT:
                return self._general.read_header(body)  # the old form without a version, or malformed
            end = 12 + length
            return body[8 : 8 + length].decode(), version & 0xFF, self._seqid.unpack_from(body, end - 4)[0], end
        except MalformedMessage:
            raise
        except Exception as error:
            raise malformed("Thrift message", error) from error

    def with_seqid(self, message: Message, seqid: int) -> bytes:
        body, (_, _, _, start) = message
        if body[0] != _VERSIONED:
            return self._general.with_seqid(message, seqid)
        return body[: start - 4] + self._seqid.pack(seqid) + body[start:]

    def read_struct(
        self, body: bytes, start: int, struct_class: type, replace: bool = False, most: int = MAX_ELEMENTS
    ) -> Any:
        try:
            plan = self._plans[struct_class]
        except KeyError:
            plan = self._plans[struct_class] = _Plan(struct_class)
        types = plan.readable
        if types is None:
            return self._general.read_struct(body, start, struct_class, replace, most)
        if len(body) * plan.per_byte > most:
            check_elements(BinarySkim, body, start, plan.cost, most)
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
        if plan.search is not None and not replace and not body[start:].isascii():
            self._general.refuse_invalid_text(body, value, plan.search)
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
