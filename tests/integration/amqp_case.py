"""The base of the tests of the AMQP layer on a real broker."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.protocol import Factory, Protocol

from rpc.amqp.channel import Channel
from rpc.amqp.content import Delivery
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.amqp.protocol import AMQPConnection
from rpc.uri import parse
from tests.support import BrokerTestCase


class AMQPTestCase(BrokerTestCase):
    """Connections and channels that are closed when the test ends."""

    async def connect(self, uri: str | None = None) -> AMQPConnection:
        """An open connection to the URI, or to the broker's plain listener."""
        endpoint = BrokerEndpoint(reactor, parse(uri or self.url), self.id, lambda error: None)
        protocol: Any = await endpoint.connect(Factory.forProtocol(Protocol))
        connection = protocol.transport
        assert isinstance(connection, AMQPConnection)
        self.addCleanup(connection.close)
        return connection

    async def channel(self, uri: str | None = None) -> Channel:
        """A channel on a connection of its own."""
        connection = await self.connect(uri)
        return await connection.open_channel()

    async def queue(self, channel: Channel, **options: Any) -> str:
        """The name of a new queue, which goes with the connection."""
        declared = await channel.queue_declare(**{"queue": "", "exclusive": True, "auto_delete": True, **options})
        name: str = declared.queue
        return name

    async def consume(self, channel: Channel, queue: str) -> DeferredQueue[Delivery]:
        """Return the queue of the deliveries, which need no acks."""
        arrived: DeferredQueue[Delivery] = DeferredQueue()
        await channel.consume(queue, arrived.put, lambda: None, no_ack=True)
        return arrived


def later(seconds: float = 0.0) -> Deferred[None]:
    """Fires after so many seconds of the reactor."""
    from twisted.internet.task import deferLater

    clock: Any = reactor
    return deferLater(clock, seconds, lambda: None)
