"""The properties of messages that a worker makes of a request: its reply, keepalives, copies, and its dead letter."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from rpc.amqp.codec.fields import SHORT_LENGTHS, encode_short_string, encode_table
from rpc.amqp.codec.properties import (
    CORRELATION_ID,
    DELIVERY_MODE,
    EXPIRATION,
    HEADERS,
    MESSAGE_ID,
    REPLY_TO,
    USER_ID,
    PropertyTemplate,
    decode_text,
    encode_properties,
    join_properties,
)
from rpc.headers import (
    ATTEMPT,
    KEEPALIVE,
    MAYBE_EXECUTED,
    NOT_COPIED,
    OF_DEAD_LETTERS,
    OUTCOME,
    WORKER,
    metadata_of,
    whole,
)
from rpc.messages import Properties
from rpc.worker.delivery_state import DeliveryState
from rpc.worker.request import NO_HEADERS, Request
from rpc.worker.sender import name_sender

RUNNING = DeliveryState.RUNNING

PERSISTENT: Final = b"\x02"
"""The delivery mode of messages that survive a restart of the broker (AMQP 0-9-1, class basic)."""


def keepalive_properties(request: Request, instance: str) -> bytes | None:
    """Return the encoded properties of a keepalive from `instance`.

    :return: ``None`` for a request without a correlation id: its caller could not tell which call it is about.
    """
    correlation_id = request.parts[CORRELATION_ID]
    attempt = whole(request.headers.get(ATTEMPT)) or 1
    return None if correlation_id is None else _keepalive_template(instance, attempt).encode(correlation_id)


def copy_properties(request: Request, headers: Mapping[str, Any], now: float, keeps_caller: bool = False) -> bytes:
    """Return the encoded properties of a copy for another queue, with further `headers` and the time that is left.

    :param keeps_caller: whether the copy names the sender of the original.
    :raises CodecError: a header cannot be encoded.
    """
    parts = _copied(request, {**request.headers, **headers}, keeps_caller)
    if request.deadline is not None:
        parts[EXPIRATION] = encode_short_string(b"%d" % max(1, int((request.deadline - now) * 1000)))
    return join_properties(parts)


def dead_letter_properties(
    request: Request, headers: Mapping[str, Any], with_headers: bool = True, keeps_caller: bool = False
) -> bytes:
    """Return the encoded properties of the request as a dead letter; it must not be routed elsewhere.

    :param headers: those of a dead letter, which its sender cannot write.
    :param with_headers: whether the request's own headers stay.
    :param keeps_caller: whether the letter names the sender of the request.
    :raises CodecError: a header cannot be encoded.
    """
    came = request.headers if with_headers else NO_HEADERS
    kept = {name: value for name, value in came.items() if not name.startswith(OF_DEAD_LETTERS)}
    parts = _copied(request, {**kept, **headers}, keeps_caller)
    parts[EXPIRATION] = None
    parts[DELIVERY_MODE] = PERSISTENT
    if request.reply_to is None:
        parts[REPLY_TO] = None
    return join_properties(parts)


def _copied(request: Request, headers: Mapping[str, Any], keeps_caller: bool) -> list[bytes | None]:
    """Return the encoded value of each of the request's properties, with these headers, less those that are not copied.
    They have no user id but our own: RabbitMQ closes the channel for another one.
    """
    parts = [*request.parts]
    kept = {name: value for name, value in headers.items() if name not in NOT_COPIED}
    user: str | None = None
    if keeps_caller:
        kept, user = name_sender(kept, request.user_id, request.own_user)
    parts[HEADERS] = encode_table(kept)
    parts[USER_ID] = None if user is None else encode_short_string(user)
    return parts


def reply_properties(request: Request, now: float, rejection: str | None = None, instance: str | None = None) -> bytes:
    """Return the encoded properties of the reply: the ids of the call are copied unchanged.

    :param rejection: an outcome word of ``rpc/headers.py``.
    :param instance: the worker's name, if the reply tells it.
    """
    correlation_id, message_id = request.parts[CORRELATION_ID], request.parts[MESSAGE_ID]
    expiration = None
    if request.deadline is not None:
        milliseconds = int((request.deadline - now) * 1000)
        left = b"%d" % milliseconds if milliseconds > 0 else b"1"
        expiration = SHORT_LENGTHS[len(left)] + left
    maybe_executed = rejection is not None and request.maybe_executed
    if rejection is None and request.state is RUNNING and request.context.has_reply_headers:
        return _with_reply_headers(request, expiration, instance)
    if correlation_id is not None and expiration is not None and message_id is not None:
        template = _reply_template(request.codec.content_type, request.label, rejection, maybe_executed, instance)
        return template.encode(correlation_id, expiration, message_id)
    given = {"correlation_id": correlation_id, "expiration": expiration, "message_id": message_id}
    there = {name: value for name, value in given.items() if value is not None}
    template = _reply_template(
        request.codec.content_type, request.label, rejection, maybe_executed, instance, tuple(there)
    )
    return template.encode(*there.values())


def _with_reply_headers(request: Request, expiration: bytes | None, instance: str | None) -> bytes:
    """Return the encoded properties of a reply whose handler has set headers.

    :raises CodecError: the headers are no values that AMQP has.
    """
    return encode_properties(
        Properties(
            content_type=request.codec.content_type,
            headers=metadata_of(request.context.reply_headers) | _naming(instance),
            delivery_mode=1,
            correlation_id=_text(request.parts[CORRELATION_ID]),
            expiration=_text(expiration),
            message_id=_text(request.parts[MESSAGE_ID]),
            type=request.label,
        )
    )


def _naming(instance: str | None) -> dict[str, Any]:
    return {} if instance is None else {WORKER: instance}


def _text(part: bytes | None) -> str | None:
    return None if part is None else decode_text(part)


@lru_cache(16)
def _keepalive_template(instance: str, attempt: int) -> PropertyTemplate:
    headers: dict[str, Any] = {KEEPALIVE: instance} | ({ATTEMPT: attempt} if attempt > 1 else {})
    return PropertyTemplate(Properties(headers=headers, delivery_mode=1), ("correlation_id",))


@lru_cache(1024)
def _reply_template(
    content_type: str,
    label: str | None,
    rejection: str | None,
    maybe_executed: bool,
    instance: str | None,
    variable: tuple[str, ...] = ("correlation_id", "expiration", "message_id"),
) -> PropertyTemplate:
    headers: dict[str, Any] | None = _naming(instance) or None
    if rejection is not None:
        headers = {OUTCOME: rejection} | ({MAYBE_EXECUTED: True} if maybe_executed else {})
    fixed = Properties(content_type=content_type, headers=headers, delivery_mode=1, type=label)
    return PropertyTemplate(fixed, variable)
