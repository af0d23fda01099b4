"""Signed calls: the requests of clients with keys, their cancellations, and the proof of the replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpc.amqp.codec.properties import encode_properties, split_properties
from rpc.amqp.content import Delivery
from rpc.client.call import Call
from rpc.client.operation import Operation
from rpc.client.replies import refusal
from rpc.errors import CodecError, InvalidReply
from rpc.headers import CANCEL, OUTCOME
from rpc.keys import Keys
from rpc.messages import Properties
from rpc.signing import NOTICE_LIFETIME, ONEWAY_LIFETIME, Kind, NotSigned, SignatureError, sign, verify

CANCELLATION = encode_properties(Properties(type=CANCEL))


def service_of(operation: Operation) -> str:
    """Return the service's name that is signed: without an instance."""
    return operation.service.partition("@")[0]


def signed_request(call: Call, keys: Keys, properties: bytes, milliseconds: bytes) -> bytes:
    """Return the encoded properties of the next attempt of `call`, signed. The call keeps the signature.

    :param milliseconds: to the deadline.
    :raises CodecError: a header cannot be signed.
    """
    operation = call.operation
    lifetime = ONEWAY_LIFETIME if operation.oneway else int(milliseconds)
    signed, text = sign(
        keys, keys.signing, Kind.REQUEST, service_of(operation), properties, call.body, lifetime=lifetime
    )
    call.signatures = (*call.signatures, text)
    return signed


def cancellation_properties(keys: Keys | None, service: str, body: bytes) -> bytes:
    """Return the encoded properties of a cancellation, signed if there are keys."""
    if keys is None:
        return CANCELLATION
    return sign(keys, keys.signing, Kind.CANCELLATION, service, CANCELLATION, body, lifetime=NOTICE_LIFETIME)[0]


def check_signature(call: Call, delivery: Delivery, kind: Kind, keys: Keys, headers: Mapping[str, Any]) -> None:
    """Check that a message of the reply queue is signed, for one of the attempts of `call`.

    :param headers: the message's.
    :raises InvalidReply: it is not. The error has the text of a rejection that is not signed at all.
    """
    try:
        parts = split_properties(delivery.encoded_properties)
        verify(keys, kind, service_of(call.operation), parts, delivery.body, call.signatures)
    except NotSigned as error:
        says = f". It says: {refusal(call, headers, delivery)}" if OUTCOME in headers else ""
        raise InvalidReply(f"{call.operation.label}: the reply is refused: {error}{says}") from error
    except (SignatureError, CodecError) as error:
        raise InvalidReply(f"{call.operation.label}: the reply is refused: {error}") from error
