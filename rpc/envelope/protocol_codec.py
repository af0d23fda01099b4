"""A codec made of one of Thrift's protocol classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thrift.protocol.TProtocol import TProtocolBase
from thrift.transport.TTransport import TMemoryBuffer

from rpc.envelope.codec import Header, malformed, read_value, refuse_trailing
from rpc.generated_structs import is_accelerated, is_written_accelerated

NewProtocol = Callable[[TMemoryBuffer], TProtocolBase]


class ProtocolCodec:
    """Encodes and decodes each message with a new protocol object.

    :param new_protocol: makes the object for a transport.
    :param new_plain_protocol: makes it for the structs that Thrift's C extension cannot handle, where `new_protocol`
        makes one that uses the extension.
    """

    def __init__(
        self, content_type: str, new_protocol: NewProtocol, new_plain_protocol: NewProtocol | None = None
    ) -> None:
        self.content_type = content_type
        self._new_protocol = new_protocol
        self._new_plain_protocol = new_plain_protocol or new_protocol

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        transport = TMemoryBuffer()
        struct_class: type = type(struct)
        protocol = self._protocol(transport, is_written_accelerated(struct_class))
        protocol.writeMessageBegin(name, kind, seqid)
        struct_class.write(struct, protocol)  # type: ignore[attr-defined]  # a field may be called write
        protocol.writeMessageEnd()
        return transport.getvalue()

    def read_header(self, body: bytes) -> Header:
        transport = TMemoryBuffer(body)
        try:
            name, kind, seqid = self._new_protocol(transport).readMessageBegin()
        except Exception as error:
            raise malformed("Thrift message", error) from error
        return name, kind, seqid, transport.cstringio_buf.tell()

    def read_struct(self, body: bytes, start: int, struct_class: type) -> Any:
        transport = TMemoryBuffer(body)
        protocol = self._protocol(transport, is_accelerated(struct_class))
        try:
            protocol.readMessageBegin()
            value = read_value(struct_class, protocol)
            protocol.readMessageEnd()
        except Exception as error:
            raise malformed(struct_class.__name__, error) from error
        refuse_trailing(len(body) - transport.cstringio_buf.tell())
        return value

    def _protocol(self, transport: TMemoryBuffer, accelerated: bool) -> TProtocolBase:
        return self._new_protocol(transport) if accelerated else self._new_plain_protocol(transport)
