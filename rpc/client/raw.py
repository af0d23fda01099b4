"""Calls without a stub: a Thrift message goes out as it is, and its reply comes back as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from thrift.Thrift import TMessageType

from rpc.client.operation import Operation
from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions
from rpc.client.reply_values import RawReply
from rpc.client.stub_operation import check_reply_header
from rpc.envelope import CODECS, Codec
from rpc.errors import InvalidReply, InvalidRequest, MalformedMessage


@attrs.define(eq=False, slots=False)
class RawOperation(Operation):
    """One call of :meth:`rpc.Connection.call_raw`.

    The seqid in the message is replaced by the call's own, because a reply without a correlation id is found by its
    seqid. The reply then gets the message's own seqid.
    """

    message: bytes = attrs.field(kw_only=True)

    def encode(self, seqid: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bytes:
        if len(self.message) > self.options.max_message_size:
            raise self.too_large(len(self.message))
        return with_seqid(self.codec, self.message, seqid)

    def decode(self, seqid: int, body: bytes) -> tuple[Any, Exception | None]:
        try:
            name, kind, answered, _ = self.codec.read_header(body)
            check_reply_header(kind, answered, seqid)
            if kind == TMessageType.REPLY and name != self.name:
                raise MalformedMessage(f"the answer of {name[:80]!r}")
            _, _, own_seqid, _ = self.codec.read_header(self.message)
            return with_seqid(self.codec, body, own_seqid), None
        except MalformedMessage as error:
            raise InvalidReply(f"{self.label}: the reply is {error}") from error


def raw_operation(message: bytes, options: ClientOptions) -> RawOperation:
    """Return the operation that sends `message` to the service ``options.name``.

    :raises InvalidRequest: the message does not begin like a Thrift message of the options' protocol, of type CALL or
        ONEWAY.
    """
    codec, service = CODECS[options.protocol], options.name or ""
    try:
        name, kind, _, _ = codec.read_header(message)
    except MalformedMessage as error:
        raise InvalidRequest(f"{service}: the message is {error}") from error
    if kind not in (TMessageType.CALL, TMessageType.ONEWAY):
        raise InvalidRequest(f"{service}: the message is of Thrift's message type {kind}, not a CALL or ONEWAY")
    return RawOperation(
        name=name,
        oneway=kind == TMessageType.ONEWAY,
        options=options,
        service=service,
        timeout=options.timeout or DEFAULT_TIMEOUT,
        make_reply=_raw_reply,
        message=message,
    )


def _raw_reply(message: bytes | None, headers: Mapping[str, Any]) -> RawReply:
    return RawReply(message or b"", headers)


def with_seqid(codec: Codec, message: bytes, seqid: int) -> bytes:
    """Return a Thrift message with another seqid. Its struct is not read.

    :raises MalformedMessage: the head of the message cannot be read.
    """
    name, kind, _, start = codec.read_header(message)
    return codec.encode_header(name, kind, seqid) + message[start:]
