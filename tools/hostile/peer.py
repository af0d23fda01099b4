"""A peer that publishes any bytes, on a connection of its own."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from rpc import uri
from rpc.amqp.channel import Channel
from rpc.amqp.content import Delivery
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.amqp.protocol import AMQPConnection
from rpc.messages import Properties
from rpc.topology import EXCLUSIVE_QUEUE, REQUESTS
from tools.hostile.messages import encoded


class HostilePeer:
    """Has the permissions of any client of the service.

    :ivar replies: messages that workers have sent to it.
    """

    def __init__(self, connection: AMQPConnection, channel: Channel, reply_queue: str) -> None:
        self.connection = connection
        self.channel = channel
        self.reply_queue = reply_queue
        self.replies: list[Delivery] = []

    @classmethod
    async def connect(cls, url: str) -> HostilePeer:
        """Connect, with a queue for replies."""
        endpoint = BrokerEndpoint(reactor, uri.parse(url), lambda: "hostile", lambda _: None)
        protocol: Any = await endpoint.connect(Factory.forProtocol(Protocol))
        connection = protocol.transport
        channel = await connection.open_channel()
        answer = await channel.declare(EXCLUSIVE_QUEUE)
        peer = cls(connection, channel, answer.queue)
        await channel.consume(answer.queue, peer.replies.append, lambda: None, no_ack=True)
        return peer

    def publish(self, key: str, body: bytes, properties: Properties | bytes) -> None:
        """Publish to the exchange of requests."""
        self.channel.publish(REQUESTS, key, encoded(properties), body)
