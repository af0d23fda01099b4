"""Names of exchanges and queues: the broker's own, reserved ones, and new unique ones."""

from __future__ import annotations

import secrets
from typing import Final

from rpc.broker.exchange import DIRECT, FANOUT, HEADERS, TOPIC
from rpc.broker.protocol_error import ProtocolError
from rpc.reply_codes import ACCESS_REFUSED

DEFAULT: Final = ""
RESERVED: Final = "amq."
PREDECLARED: Final = {
    "amq.direct": DIRECT,
    "amq.fanout": FANOUT,
    "amq.topic": TOPIC,
    "amq.headers": HEADERS,
    "amq.match": HEADERS,
    "amq.rabbitmq.trace": TOPIC,
}


def server_name(kind: str) -> str:
    """Return a new unique name of a queue (``"gen"``) or a consumer (``"ctag"``)."""
    return f"{RESERVED}{kind}-{secrets.token_urlsafe(16)}"


def check_not_default(exchange: str) -> None:
    """Check that an exchange is not the default one.

    :raises ProtocolError: 403, it is.
    """
    if exchange == DEFAULT:
        raise ProtocolError(ACCESS_REFUSED, "operation not permitted on the default exchange")


def check_not_reserved(what: str, name: str) -> None:
    """Check that a client may declare something of this name (AMQP 0-9-1, queue.declare and exchange.declare).

    :raises ProtocolError: 403, the name begins with the reserved prefix.
    """
    if name.startswith(RESERVED):
        raise ProtocolError(ACCESS_REFUSED, f"{what} name '{name}' contains reserved prefix '{RESERVED}*'")
