"""Thrift messages as bytes: the three protocols, told apart by AMQP content type.

A body is exactly one Thrift message, not framed. Whatever bytes come, reading gives a value or raises
:class:`~rpc.errors.MalformedMessage`, in time proportional to their number: Thrift's own decoders raise nearly
anything, and the JSON one spins on a truncated number. Pure: bytes in, values out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from struct import Struct
from typing import Any, ClassVar, Protocol

from thrift.protocol.TBinaryProtocol import TBinaryProtocol, TBinaryProtocolAccelerated
from thrift.protocol.TCompactProtocol import TCompactProtocolAccelerated
from thrift.protocol.TJSONProtocol import TJSONProtocol
from thrift.protocol.TProtocol import TProtocolBase
from thrift.Thrift import TApplicationException, TType
from thrift.transport.TTransport import TMemoryBuffer

from rpc.errors import MalformedMessage, UnknownProtocol

try:
    from thrift.protocol import fastbinary
except ImportError:  # Thrift was installed without its compiled part
    fastbinary = None  # type: ignore[assignment]

MAX_MESSAGE_SIZE = 16 * 1024 * 1024
"""Bytes of a body, unless an option says otherwise: RabbitMQ 4 takes no larger message by default, and closes the
channel of who sends one.
"""

CONTAINER_LIMIT = 1_000_000
"""Elements of one list, set or map: an empty struct costs a byte on the wire and a hundred in memory."""

STRING_LIMIT = 2**31 - 1
"""Bytes of one string: what bounds it is the message's size. Thrift's own limit is below 16 MiB."""

LONG_STRING = 16384
"""Bytes or characters from which on a string that is itself an argument, or the result, is worth a way of its own."""

NUMBER_LIMIT = 1000
"""Digits of a number in JSON: without a limit Thrift reads one for ever where its input ends, and Python takes
quadratic time for a long one."""


Header = tuple[str, int, int, int]
"""How a Thrift message begins: name, Thrift's ``TMessageType``, seqid, and where the struct that follows begins."""


class Codec(Protocol):
    """One Thrift protocol."""

    content_type: str

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        """Return the whole message. Raises what Thrift raises for values that do not fit their types."""

    def read_header(self, body: bytes) -> Header:
        """Read how the message begins. Raises ``MalformedMessage``."""

    def read_struct(self, body: bytes, start: int, struct_class: type) -> Any:
        """Read the struct that ends the message. Raises ``MalformedMessage``, also for bytes behind its end."""


class ProtocolCodec:
    """A codec made of one of Thrift's protocol classes, with an object of it for every message."""

    def __init__(self, content_type: str, new_protocol: Callable[[TMemoryBuffer], TProtocolBase]) -> None:
        self.content_type = content_type
        self._new_protocol = new_protocol

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        transport = TMemoryBuffer()
        protocol = self._new_protocol(transport)
        protocol.writeMessageBegin(name, kind, seqid)
        struct.write(protocol)
        protocol.writeMessageEnd()
        return transport.getvalue()

    def read_header(self, body: bytes) -> Header:
        transport = TMemoryBuffer(body)
        try:
            name, kind, seqid = self._new_protocol(transport).readMessageBegin()
        except Exception as error:
            raise _malformed("Thrift message", error) from error
        return name, kind, seqid, transport.cstringio_buf.tell()

    def read_struct(self, body: bytes, start: int, struct_class: type) -> Any:
        transport = TMemoryBuffer(body)
        protocol = self._new_protocol(transport)
        try:
            protocol.readMessageBegin()
            value = read_value(struct_class, protocol)
            protocol.readMessageEnd()
        except Exception as error:
            raise _malformed(struct_class.__name__, error) from error
        _refuse_trailing(body, transport)
        return value


class JSONProtocol(TJSONProtocol):
    """Thrift's JSON protocol, with strings read at once; its own takes ten seconds for 16 MB, character by character.

    Only for a ``TMemoryBuffer``. Its string limit is left to hold for numbers alone.
    """

    trans: TMemoryBuffer

    _string = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)

    def readJSONString(self, skipContext: bool) -> str:
        if not skipContext:
            self.context.read()
        self.readJSONSyntaxChar(b'"')
        buffer = self.trans.cstringio_buf
        start = buffer.tell()
        with buffer.getbuffer() as body:
            found = self._string.match(body, start)
            if found is None:
                raise EOFError("a string without its end")
            literal = bytes(body[start : found.end()])
            del found  # it holds the buffer
        buffer.seek(len(literal), 1)
        decoded = literal.decode()  # not left to json.loads, which takes bytes with a NUL for UTF-16
        text: str = json.loads('"' + decoded, strict=False) if "\\" in decoded else decoded[:-1]
        text.encode()  # escapes may leave half of a surrogate pair
        return text


class FastBinaryCodec:
    """The binary protocol by Thrift's compiled part, with constants for what repeats.

    Same bytes as ``TBinaryProtocolAccelerated``, whose objects cost more to build than a message to encode. What the
    compiled part cannot do goes the long way.
    """

    content_type = "application/vnd.apache.thrift.binary"

    _VERSION_1: ClassVar[int] = 0x80010000
    _begin: ClassVar[Struct] = Struct("!Ii")
    _seqid: ClassVar[Struct] = Struct("!i")
    _string_field: ClassVar[Struct] = Struct("!bhi")

    def __init__(self) -> None:
        self._prefixes: dict[tuple[str, int], bytes] = {}
        self._types: dict[type, list[Any] | None] = {}
        self._strings: dict[type, list[str]] = {}
        self._readable: dict[type, list[Any] | None] = {}
        self._source: Any = _Source()
        self._slow = ProtocolCodec(self.content_type, _binary_protocol)

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        struct_class = type(struct)
        try:
            types = self._types[struct_class]
        except KeyError:
            types = self._types_of(struct_class)
        if types is None:
            return self._slow.encode(name, kind, seqid, struct)
        try:
            prefix = self._prefixes[name, kind]
        except KeyError:  # of a method, by now: names that a peer made up have no struct of their own
            prefix = self._prefix(name, kind)
        for field_name in self._strings[struct_class]:
            value = getattr(struct, field_name)
            if type(value) in (bytes, str) and len(value) >= LONG_STRING:
                return b"".join((prefix, self._seqid.pack(seqid), *self._field_by_field(struct, types)))
        return prefix + self._seqid.pack(seqid) + fastbinary.encode_binary(struct, types)

    def _field_by_field(self, struct: Any, types: list[Any]) -> Iterator[bytes]:
        """The parts of a struct with a long string as a field, which the compiled part would copy byte by byte.

        Strings deeper in it, in other structs and containers, are left to the compiled part.
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
        """What the compiled part wants to know of a struct; ``None`` when it cannot be left to it."""
        specification = getattr(struct_class, "thrift_spec", None)
        types = None if specification is None else [struct_class, specification]
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
                return self._slow.read_header(body)  # the old form without a version, or an error to be told
            end = 12 + length
            return body[8 : 8 + length].decode(), version & 0xFF, self._seqid.unpack_from(body, end - 4)[0], end
        except MalformedMessage:
            raise
        except Exception as error:
            raise _malformed("Thrift message", error) from error

    def read_struct(self, body: bytes, start: int, struct_class: type) -> Any:
        try:
            types = self._readable[struct_class]
        except KeyError:
            types = None if is_immutable(struct_class) else self._types_of(struct_class)
            self._readable[struct_class] = types
        if types is None:
            return self._slow.read_struct(body, start, struct_class)
        source = self._source
        source.cstringio_buf = buffer = BytesIO(body)
        buffer.seek(start)
        value = struct_class()
        try:
            fastbinary.decode_binary(value, source, types)
        except Exception as error:
            raise _malformed(struct_class.__name__, error) from error
        finally:
            source.cstringio_buf = _NOTHING  # or an idle worker would keep the last body
        if buffer.tell() != len(body):
            raise _trailing(len(body) - buffer.tell())
        return value


_NOTHING = BytesIO()


class _Source:
    """What Thrift's compiled part reads from: protocol and transport in one."""

    __slots__ = ("container_length_limit", "cstringio_buf", "string_length_limit", "trans")

    def __init__(self) -> None:
        self.trans = self
        self.string_length_limit = STRING_LIMIT
        self.container_length_limit = CONTAINER_LIMIT
        self.cstringio_buf = _NOTHING

    def cstringio_refill(self, partial: bytes, wanted: int) -> BytesIO:
        """A message is all there is."""
        raise EOFError("the message ends too early")


def is_immutable(struct_class: type) -> bool:
    """Whether it is an exception, or a struct annotated ``python.immutable``: their ``read`` is a class method that
    returns one.
    """
    return hasattr(struct_class.read, "__self__")  # type: ignore[attr-defined]


def read_value(struct_class: type, protocol: TProtocolBase) -> Any:
    """Read a `struct_class` by its generated ``read``."""
    read = struct_class.read  # type: ignore[attr-defined]
    if is_immutable(struct_class):
        return read(protocol)
    value = struct_class()
    read(value, protocol)
    return value


def _malformed(expected: str, error: Exception) -> MalformedMessage:
    """Say why in a line: the text of some errors holds all of the bytes, and would go to the log and the peer."""
    text = str(error)[:200] or ("it ends too early" if isinstance(error, EOFError) else "no more is known")
    return MalformedMessage(f"not a {expected}: {type(error).__name__}: {text}")


def _refuse_trailing(body: bytes, transport: TMemoryBuffer) -> None:
    left = len(body) - transport.cstringio_buf.tell()
    if left:
        raise _trailing(left)


def _trailing(left: int) -> MalformedMessage:
    return MalformedMessage(f"{left} bytes behind the end of the message")


def _binary_protocol(transport: TMemoryBuffer) -> TBinaryProtocol:
    return TBinaryProtocolAccelerated(
        transport, string_length_limit=STRING_LIMIT, container_length_limit=CONTAINER_LIMIT
    )


def _compact_protocol(transport: TMemoryBuffer) -> TProtocolBase:
    return TCompactProtocolAccelerated(
        transport, string_length_limit=STRING_LIMIT, container_length_limit=CONTAINER_LIMIT
    )


def _json_protocol(transport: TMemoryBuffer) -> TProtocolBase:
    return JSONProtocol(transport, string_length_limit=NUMBER_LIMIT)


def _binary_codec() -> Codec:
    return FastBinaryCodec() if fastbinary else ProtocolCodec(FastBinaryCodec.content_type, _binary_protocol)


CODECS: dict[str, Codec] = {
    "binary": _binary_codec(),
    "compact": ProtocolCodec("application/vnd.apache.thrift.compact", _compact_protocol),
    "json": ProtocolCodec("application/vnd.apache.thrift.json", _json_protocol),
}
"""The protocols by the name that options use."""

_BY_CONTENT_TYPE = {codec.content_type: codec for codec in CODECS.values()}


def codec_for(content_type: str | None) -> Codec:
    """Return the codec of a message's content type; no content type means binary.

    :raises UnknownProtocol: it is none of the three.
    """
    if content_type is None:
        return CODECS["binary"]
    try:
        return _BY_CONTENT_TYPE[content_type]
    except KeyError:
        known = ", ".join(sorted(_BY_CONTENT_TYPE))
        raise UnknownProtocol(f"content type {content_type!r} is none of {known}") from None


def read_application_exception(codec: Codec, body: bytes, start: int) -> TApplicationException:
    """Read the ``TApplicationException`` that is the struct of an EXCEPTION message. Raises ``MalformedMessage``."""
    exception: TApplicationException = codec.read_struct(body, start, TApplicationException)
    return exception
