"""Why the broker has closed a channel or a connection: from its code and text to an error. Pure."""

from __future__ import annotations

import enum
import re

from rpc.errors import (
    AuthenticationFailed,
    ChannelClosed,
    ConnectionClosed,
    DeclarationRefused,
    DeliveryTimedOut,
    VirtualHostRefused,
)
from rpc.reply_codes import ACCESS_REFUSED, NOT_ALLOWED, NOT_FOUND, PRECONDITION_FAILED

RABBITMQ_SMALLEST_FRAME_MAX = 8192
"""From version 4.1 on; AMQP has 4096 (RabbitMQ's release notes for 4.1.0, "Initial AMQP 0-9-1 Maximum Frame Size").
RabbitMQ does not say so: it ends the connection, three seconds after tune-ok."""

_DECLARATIONS = ((40, 10), (50, 10))
"""Class and method of exchange.declare and queue.declare."""

_MISSING = ("NOT_FOUND - no queue '", "NOT_FOUND - no exchange '")
"""How RabbitMQ's answer to a passive declaration begins. A durable queue whose node is down has the same code, and
other texts: "home node ... is down or inaccessible", "failed to perform operation on queue ... due to timeout"."""

_TOO_MANY_QUEUES = re.compile(r"PRECONDITION_FAILED - cannot declare queue .* limit .*is reached")
"""RabbitMQ's words when a virtual host or a cluster has as many queues as it may have
(https://www.rabbitmq.com/docs/vhosts#limits). Other queues may be deleted."""

_TOO_LARGE = re.compile(r"message size \d+ is larger than configured max size (\d+)")
"""RabbitMQ's words when it closes a channel because of a message that is too large (406)."""

_WRONG_USER = re.compile(r"user_id property set to '(.*)' but authenticated user was")
"""RabbitMQ's words when it closes a channel because of the user id of a message (406)."""


class Phase(enum.Enum):
    """How far the handshake of a connection has come (AMQP 0-9-1, section 2.2.4)."""

    LOGIN = "login"
    """Until connection.tune: the broker checks user and password."""

    ENTERING = "entering"
    """Until connection.open-ok: the broker checks the virtual host."""

    OPEN = "open"
    """Channels can be opened."""


_HANDSHAKE_ERRORS: dict[tuple[Phase, int], type[ConnectionClosed]] = {
    (Phase.LOGIN, ACCESS_REFUSED): AuthenticationFailed,
    (Phase.ENTERING, ACCESS_REFUSED): VirtualHostRefused,
    (Phase.ENTERING, NOT_ALLOWED): VirtualHostRefused,
}


def connection_closed(phase: Phase, code: int, text: str, username: str, vhost: str) -> ConnectionClosed:
    """Return the error for a connection.close of the broker."""
    error = _HANDSHAKE_ERRORS.get((phase, code), ConnectionClosed)
    if error is AuthenticationFailed:
        text = f"{text} (user {username!r})"
    elif error is VirtualHostRefused:
        text = f"{text} (virtual host {vhost!r})"
    return error(code, text)


def cut_in_handshake(phase: Phase, frame_max: int, what: str) -> str:
    """Return why a connection has ended in the handshake without a ``connection.close``.

    :param frame_max: the bytes that this side has asked for.
    :param what: the end of the socket, in the system's words.
    """
    text = f"the connection ended before the handshake was over: {what}"
    if phase is Phase.ENTERING and 0 < frame_max < RABBITMQ_SMALLEST_FRAME_MAX:
        return (
            f"{text} From version 4.1 on, RabbitMQ cuts connections with a frame_max below "
            f"{RABBITMQ_SMALLEST_FRAME_MAX}, which logins by token may need; this one has {frame_max}: take frame_max "
            "out of the URL"
        )
    return text


def channel_closed(code: int, text: str, method: tuple[int, int] = (0, 0)) -> ChannelClosed:
    """Return the error for a channel.close of the broker.

    :param method: class and method that failed (AMQP 0-9-1, channel.close).

    RabbitMQ's delivery acknowledgement timeout has the code of many other errors, 406: only its text names it
    (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
    """
    if method in _DECLARATIONS and _is_about_declaration(code, text):
        return DeclarationRefused(code, text)
    timed_out = code == PRECONDITION_FAILED and "delivery acknowledgement on channel" in text
    return (DeliveryTimedOut if timed_out else ChannelClosed)(code, text)


def _is_about_declaration(code: int, text: str) -> bool:
    """Return whether the declaration itself is wrong, and not the present state of the broker."""
    if code == NOT_FOUND:
        return text.startswith(_MISSING)
    return code == PRECONDITION_FAILED and not _TOO_MANY_QUEUES.match(text)


def broker_limit(reason: Exception) -> int | None:
    """Return the broker's ``max_message_size`` in bytes, if it closed a channel because of a larger message.

    AMQP 0-9-1 has no other way to learn it.
    """
    found = _TOO_LARGE.search(str(reason))
    return int(found[1]) if found else None


def wrong_user(reason: BaseException | None) -> str | None:
    """Return the user id of a message, if the broker closed a channel because it is not the user's that has logged in.

    (RabbitMQ documentation, "Validated User-ID".)
    """
    found = _WRONG_USER.search(str(reason))
    return found[1] if found else None
