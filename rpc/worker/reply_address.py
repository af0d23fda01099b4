"""Which queues a worker sends replies to. The caller chooses the queue, and a worker may write to all queues of its
virtual host. So only names of reply queues are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpc.amqp.codec.fields import encode_short_string
from rpc.amqp.codec.properties import decode_text

if TYPE_CHECKING:
    from rpc.amqp.channel import Channel

REPLY_QUEUES: Final = ("amq.gen-",)
"""How the names of reply queues begin: RabbitMQ names queues so that were declared without a name."""

DEFAULT_BEGINNINGS: Final = tuple(beginning.encode() for beginning in REPLY_QUEUES)

DIRECT_REPLY_TO: Final = b"amq.rabbitmq.reply-to"
"""RabbitMQ's direct reply-to: a client's replies without a queue, by a name with an Erlang process in it. Any client
can invent such a name, and RabbitMQ 3.10 and 4.0 close the connection of a publisher whose name they cannot use (541).
There is no safe way to answer on them: one request would end worker after worker. Later ones return the reply.
"""

DIRECT_REPLY_ADDRESS: Final = DIRECT_REPLY_TO + b"."
"""How the names begin that the broker gives to requests. RabbitMQ puts one in place of :data:`DIRECT_REPLY_TO`, so
this alone belongs to no client; a copy of the request that has it would be refused (406).
"""

EMPTY: Final = encode_short_string("")

LONGEST_SHOWN: Final = 80
"""Characters of a name in an error."""


def is_safe(reply_to: bytes, channel: Channel) -> bool:
    """Return whether a reply may be sent to `reply_to`, which is not the name of a reply queue: when it is empty, or an
    address of direct reply-to on a broker that survives an invented one.

    :param reply_to: the property, as an encoded short string.
    :param channel: the request came by it.
    """
    if reply_to.startswith(DIRECT_REPLY_ADDRESS, 1):
        return channel.client.broker.survives_unknown_direct_replies
    return reply_to == EMPTY


def why_unsafe(reply_to: bytes) -> str:
    """Return why no reply is sent to `reply_to`, for its caller and the dead letter."""
    if reply_to.startswith(DIRECT_REPLY_TO, 1):
        return (
            "the broker's direct reply-to cannot be answered safely: declare a queue for the replies, or use RabbitMQ "
            "4.3 or later"
        )
    shown = decode_text(reply_to)[:LONGEST_SHOWN]
    return f"reply_to is {shown!r}, which is no reply queue of this service (reply_queues)"
