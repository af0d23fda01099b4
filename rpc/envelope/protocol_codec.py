"""A codec made of one of Thrift's protocol classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thrift.protocol.TProtocol import TProtocolBase
from thrift.transport.TTransport import TMemoryBuffer

from rpc.envelope.codec import Header, malformed, read_value, refuse_trailing
from rpc.envelope.text import ReplacementFound, bytes_check, replacement_search, specification_in_bytes


class ProtocolCodec:
    """Encodes and decodes each message with a new protocol object, which `new_protocol` makes for a transport."""

    def __init__(self, content_type: str, new_protocol: Callable[[TMemoryBuffer], TProtocolBase]) -> None:
        self.content_type = content_type
        self._new_protocol = new_protocol

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        check = bytes_check(type(struct))
        if check is not None:
            check(struct)
        transport = TMemoryBuffer()
        protocol = self._new_protocol(transport)
        protocol.writeMessageBegin(name, kind, seqid)
        struct.write(protocol)
        protocol.writeMessageEnd()
        return transport.getvalue()

    def encode_header(self, name: str, kind: int, seqid: int) -> bytes:
        transport = TMemoryBuffer()
        self._new_protocol(transport).writeMessageBegin(name, kind, seqid)
        return transport.getvalue()

    def read_header(self, body: bytes) -> Header:
        transport = TMemoryBuffer(body)
        try:
            name, kind, seqid = self._new_protocol(transport).readMessageBegin()
        except Exception as error:
            raise malformed("Thrift message", error) from error
        return name, kind, seqid, transport.cstringio_buf.tell()

    def read_struct(self, body: bytes, start: int, struct_class: type, replace: bool = False) -> Any:
        transport = TMemoryBuffer(body)
        protocol = self._new_protocol(transport)
        if replace:  # only Thrift's C extension replaces by itself
            protocol.readString = lambda: protocol.readBinary().decode("utf-8", "replace")  # type: ignore[method-assign]
        try:
            protocol.readMessageBegin()
            value = read_value(struct_class, protocol)
            protocol.readMessageEnd()
        except Exception as error:
            raise malformed(struct_class.__name__, error) from error
        refuse_trailing(len(body) - transport.cstringio_buf.tell())
        search = None if replace else replacement_search(struct_class)
        if search is not None and not body[start:].isascii():
            try:
                search(value)
            except ReplacementFound:
                self.refuse_invalid_text(body, struct_class)
        return value

    def refuse_invalid_text(self, body: bytes, struct_class: type) -> None:
        """Read a message again, its text as bytes, and decode these.

        :raises MalformedMessage: some text is not UTF-8.
        """
        protocol = self._new_protocol(TMemoryBuffer(body))
        decode: Any = getattr(protocol, "_fast_decode", None)
        check = bytes_check(struct_class)
        if decode is None or check is None:  # without the extension, Thrift refuses such text
            return
        protocol.readMessageBegin()
        value = decode(None, protocol, [struct_class, specification_in_bytes(struct_class)])
        try:
            check(value)
        except UnicodeDecodeError as error:
            raise malformed(struct_class.__name__, error) from error
