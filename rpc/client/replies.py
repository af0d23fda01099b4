"""Reading a message of the reply queue: the call that it answers, and the refusal of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from rpc.amqp.codec.headers import decode_headers
from rpc.amqp.codec.properties import (
    CONTENT_TYPE,
    CORRELATION_ID,
    HEADERS,
    decode_text,
    split_properties,
)
from rpc.amqp.content import Delivery
from rpc.client.call import Call
from rpc.client.pending_calls import PendingCalls
from rpc.envelope import codec_for
from rpc.errors import (
    AccessDenied,
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
from rpc.headers import ACCESS_DENIED, MAYBE_EXECUTED, OUTCOME, OVERLOADED, TOO_LARGE
from rpc.log_limit import LogLimit

REFUSALS: Mapping[str, type[MessageTooLarge | Overloaded | AccessDenied]] = {
    TOO_LARGE: MessageTooLarge,
    OVERLOADED: Overloaded,
    ACCESS_DENIED: AccessDenied,
}
"""Errors by the header ``rpc-outcome`` of a reply; other values are ``ServiceUnavailable``. The request was not run."""


def find_call(pending: PendingCalls, delivery: Delivery, unreadable: LogLimit) -> tuple[Call | None, bytes | None]:
    """Return the call that a message answers, ``None`` when there is none, and the message's encoded headers.

    Some peers send no correlation id. Their replies are found by Thrift's seqid, which others can guess: only for calls
    with the option ``uncorrelated_replies``.

    :param unreadable: writes the messages that cannot be read to the log.
    """
    try:
        parts = split_properties(delivery.encoded_properties)
        correlation_id = parts[CORRELATION_ID]
        if correlation_id is not None:
            return pending.calls.get(correlation_id), parts[HEADERS]
        content_type = parts[CONTENT_TYPE]
        codec = codec_for(None if content_type is None else decode_text(content_type), delivery.body)
        return pending.by_seqid.get(codec.read_header(delivery.body)[2]), parts[HEADERS]
    except (CodecError, MalformedMessage, UnknownProtocol) as error:
        unreadable.note(partial("a reply that cannot be read: {}".format, str(error)))
        return None, None


def read_headers(call: Call, encoded: bytes) -> dict[str, Any]:
    """Return the headers of a message that answers `call`.

    :raises InvalidReply: they cannot be decoded, or are too many.
    """
    try:
        return decode_headers(encoded)
    except CodecError as error:
        raise InvalidReply(f"{call.operation.label}: the headers of the reply: {error}") from error


def refusal(call: Call, headers: Mapping[str, Any], delivery: Delivery) -> RPCError:
    """Return the error of a rejection: this worker has not run the request. Another worker may have run it before."""
    try:
        message = call.operation.refusal_text(call.seqid, delivery.body)
    except InvalidReply as invalid:
        message = str(invalid)
    outcome = Outcome.UNKNOWN if headers.get(MAYBE_EXECUTED) else Outcome.REJECTED
    return REFUSALS.get(str(headers[OUTCOME]), ServiceUnavailable)(message, outcome)
