"""Direct replies (RabbitMQ extension: direct reply-to): a consumer of replies without a queue."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from rpc.broker.consumer import Outlet
from rpc.broker.message import Message

if TYPE_CHECKING:
    from rpc.broker.channel import Channel

REPLY_TO: Final = "amq.rabbitmq.reply-to"
"""The pseudo-queue that is consumed, and named as ``reply_to``; how the names begin that stand for its consumers."""


class DirectReply(Outlet):
    """Delivers the replies to requests that one channel has published.

    :ivar routing_key: replaces :data:`REPLY_TO` in those requests.
    """

    __slots__ = ("routing_key",)

    def __init__(self, channel: Channel, tag: str) -> None:
        super().__init__(channel, tag)
        self.routing_key = f"{REPLY_TO}.{secrets.token_urlsafe(24)}"

    def publish(self, message: Message) -> bool:
        """Deliver a reply. It is dropped when the client has too much to read: there is no queue to keep it."""
        if not self.connection.overfull:
            self.send(message, False)
        return True
