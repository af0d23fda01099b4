"""Reading a message of the reply queue: the call that it answers, and the refusal of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.python import log

from rpc.amqp.codec.properties import (
    CONTENT_TYPE,
    CORRELATION_ID,
    HEADERS,
    decode_headers,
    decode_text,
    split_properties,
)
from rpc.amqp.content import Delivery
from rpc.client.call import Call
from rpc.envelope import codec_for
from rpc.errors import (
    CodecError,
    InvalidReply,
    MalformedMessage,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
    UnknownProtocol,
)
from rpc.headers import MAYBE_EXECUTED, OUTCOME

REFUSALS = {"too-large": MessageTooLarge, "overloaded": Overloaded}
"""Errors by the header ``rpc-outcome`` of a reply; other values are ``ServiceUnavailable``. The request was not run."""


def read_reply(delivery: Delivery) -> tuple[int, bytes | None]:
    """Return the number of the call that a message answers, 0 for none, and its encoded headers.

    The correlation id has the call's number; without one, Thrift's seqid has it.
    """
    try:
        parts = split_properties(delivery.encoded_properties)
        headers, correlation_id, content_type = parts[HEADERS], parts[CORRELATION_ID], parts[CONTENT_TYPE]
        if correlation_id is not None:
            return int(correlation_id[1:]), headers
        codec = codec_for(None if content_type is None else decode_text(content_type))
        return codec.read_header(delivery.body)[2], headers
    except (CodecError, MalformedMessage, UnknownProtocol, ValueError) as error:
        log.msg(f"a reply that cannot be read: {error}")
        return 0, None


def read_headers(call: Call, encoded: bytes) -> dict[str, Any]:
    """Return the headers of a message that answers `call`.

    :raises InvalidReply: they cannot be decoded.
    """
    try:
        return decode_headers(encoded)
    except CodecError as error:
        raise InvalidReply(f"{call.operation.label}: the headers of the reply: {error}") from error


def refusal(call: Call, headers: Mapping[str, Any], delivery: Delivery) -> RPCError:
    """Return the error of a rejection: this worker has not run the request. Another worker may have run it before."""
    try:
        _, message = call.operation.decode(call.number, delivery.body)
    except InvalidReply as invalid:
        message = invalid
    outcome = Outcome.UNKNOWN if headers.get(MAYBE_EXECUTED) else Outcome.REJECTED
    return REFUSALS.get(str(headers[OUTCOME]), ServiceUnavailable)(str(message), outcome)
