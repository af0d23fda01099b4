"""A codec made of one of Thrift's protocol classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thrift.protocol.TProtocol import TProtocolBase
from thrift.Thrift import TApplicationException
from thrift.transport.TTransport import TMemoryBuffer

from rpc.envelope.codec import (
    LONGEST_HEAD,
    Header,
    Message,
    check_name,
    check_seqid,
    malformed,
    read_value,
    refuse_trailing,
)
from rpc.envelope.element_costs import message_cost
from rpc.envelope.limits import MAX_ELEMENTS
from rpc.envelope.skim import Skim, check_elements
from rpc.envelope.text import ReplacementFound, bytes_check, replacement_search, specification_in_bytes
from rpc.generated_structs import is_accelerated, is_written_accelerated
from rpc.struct_checks import Check

NewProtocol = Callable[[TMemoryBuffer], TProtocolBase]


class ProtocolCodec:
    """Encodes and decodes each message with a new protocol object.

    :param new_protocol: makes the object for a transport.
    :param new_plain_protocol: makes it for the structs that Thrift's C extension cannot handle.
    :param skim_class: counts elements.
    """

    def __init__(
        self, content_type: str, new_protocol: NewProtocol, new_plain_protocol: NewProtocol, skim_class: type[Skim]
    ) -> None:
        self.content_type = content_type
        self._new_protocol = new_protocol
        self._is_plain = new_protocol is new_plain_protocol  # Thrift was installed without its extension
        self._new_plain_protocol = new_plain_protocol
        self._skim_class = skim_class

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        struct_class: type = type(struct)
        check = bytes_check(struct_class)
        if check is not None:
            check(struct)
        transport = TMemoryBuffer()
        protocol = self._protocol(transport, is_written_accelerated(struct_class))
        protocol.writeMessageBegin(name, kind, seqid)
        struct_class.write(struct, protocol)  # type: ignore[attr-defined]  # a field may be called write
        protocol.writeMessageEnd()
        return transport.getvalue()

    def encode_header(self, name: str, kind: int, seqid: int) -> bytes:
        transport = TMemoryBuffer()
        self._new_protocol(transport).writeMessageBegin(name, kind, seqid)
        return transport.getvalue()

    def read_header(self, body: bytes) -> Header:
        transport = TMemoryBuffer(body[:LONGEST_HEAD])
        try:
            name, kind, seqid = self._new_protocol(transport).readMessageBegin()
        except Exception as error:
            raise malformed("Thrift message", error) from error
        check_name(len(name.encode()))
        check_seqid(seqid)
        return name, kind, seqid, transport.cstringio_buf.tell()

    def with_seqid(self, message: Message, seqid: int) -> bytes:
        body, (name, kind, _, start) = message
        return self.encode_header(name, kind, seqid) + body[start:]

    def read_struct(
        self, body: bytes, start: int, struct_class: type, replace: bool = False, most: int = MAX_ELEMENTS
    ) -> Any:
        accelerated = is_accelerated(struct_class)
        cost = message_cost(struct_class, self._is_plain or not accelerated or struct_class is TApplicationException)
        if len(body) * cost.per_byte > most:
            check_elements(self._skim_class, body, start, cost, most)
        transport = TMemoryBuffer(body)
        protocol = self._protocol(transport, accelerated)
        if replace:  # only Thrift's C extension replaces by itself
            protocol.readString = lambda: protocol.readBinary().decode("utf-8", "replace")  # type: ignore[method-assign]
        try:
            protocol.readMessageBegin()
            value = read_value(struct_class, protocol)
            protocol.readMessageEnd()
        except Exception as error:
            raise malformed(struct_class.__name__, error) from error
        refuse_trailing(len(body) - transport.cstringio_buf.tell())
        # Thrift's protocols in Python have refused invalid text by now.
        search = replacement_search(struct_class) if accelerated and not replace else None
        if search is not None and not body[start:].isascii():
            self.refuse_invalid_text(body, value, search)
        return value

    def _protocol(self, transport: TMemoryBuffer, accelerated: bool) -> TProtocolBase:
        return self._new_protocol(transport) if accelerated else self._new_plain_protocol(transport)

    def refuse_invalid_text(self, body: bytes, value: Any, search: Check) -> None:
        """Look for U+FFFD in the struct that was read from a message. A peer may have sent it; or Thrift's C extension
        has put it in the place of invalid UTF-8. So the message is read again, its text as bytes, to decode these.

        :raises MalformedMessage: some text is not UTF-8.
        """
        try:
            search(value)
        except ReplacementFound:
            self._decode_again(body, type(value))

    def _decode_again(self, body: bytes, struct_class: type) -> None:
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
