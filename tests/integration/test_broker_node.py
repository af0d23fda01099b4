"""The operations of a broker node (``tools/nodes/broker_node.py``), on the broker that pytest has chosen."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.protocol import AMQPConnection
from rpc.errors import AuthenticationFailed, BrokerUnreachable, ChannelClosed, ConnectionClosed
from rpc.messages import Properties
from tests.integration.amqp_case import AMQPTestCase


class BrokerNodeTests(AMQPTestCase):
    """The operations, on a broker of their own."""

    own_broker = True
    timeout = 90.0

    async def assert_closed(self, connection: AMQPConnection, words: str) -> None:
        """The broker closes a connection, as an operator does, and says why."""
        await connection.ended
        assert isinstance(connection.reason, ConnectionClosed)
        self.assertEqual(connection.reason.code, 320)
        self.assertIn(words, connection.reason.text)

    async def test_users_and_virtual_hosts_survive_a_restart(self) -> None:
        """A user gets into the virtual host that was made for it, with its own password, and so after a restart."""
        vhost, user = self.unique("vhost"), self.unique("user")
        await deferToThread(self.broker.add_virtual_host, vhost)
        await deferToThread(self.broker.add_user, user, "secret", vhost)
        address = f"127.0.0.1:{self.broker.port}/{vhost}"
        before = await self.connect(f"amqp://{user}:secret@{address}")
        await deferToThread(self.broker.restart)
        await self.assert_closed(before, "")
        for login in ("guest:guest", f"{user}:secret"):
            self.assertTrue(await self.connect(f"amqp://{login}@{address}"))
        wrong: Deferred[Any] = Deferred.fromCoroutine(self.connect(f"amqp://{user}:wrong@{address}"))
        await self.assertFailure(wrong, AuthenticationFailed)

    async def test_connections_of_one_virtual_host_are_closed(self) -> None:
        """Those to others go on, until all are closed."""
        vhost = self.unique("vhost")
        await deferToThread(self.broker.add_virtual_host, vhost)
        here, there = await self.connect(), await self.connect(f"{self.url}/{vhost}")
        await deferToThread(self.broker.close_connections, "maintenance", vhost)
        await self.assert_closed(there, "maintenance")
        self.assertTrue(await here.open_channel())
        await deferToThread(self.broker.close_connections, "the end")
        await self.assert_closed(here, "the end")

    async def test_durable_messages_survive_a_restart(self) -> None:
        """Persistent messages of a durable queue are there after a shutdown and after a crash; all else is gone."""
        queue, exclusive = self.unique("durable"), self.unique("exclusive")
        await self.publish(queue, exclusive, b"first")
        await deferToThread(self.broker.restart)
        await self.publish(queue, exclusive, b"second")
        await deferToThread(self.broker.kill)
        down: Deferred[Any] = Deferred.fromCoroutine(self.connect())
        await self.assertFailure(down, BrokerUnreachable)
        await deferToThread(self.broker.start)
        channel = await self.channel()
        arrived = await self.consume(channel, queue)
        self.assertEqual([(await arrived.get()).body for _ in range(2)], [b"first", b"second"])
        self.assertEqual((await channel.queue_declare(queue=queue, passive=True)).message_count, 0)
        self.assertEqual(arrived.pending, [])
        await self.assertFailure(channel.queue_declare(queue=exclusive, passive=True), ChannelClosed)

    async def publish(self, queue: str, exclusive: str, body: bytes) -> None:
        """Have the broker confirm a transient message and a persistent one, in a durable queue and an exclusive one."""
        channel = await self.channel()
        await channel.queue_declare(queue=queue, durable=True)
        await channel.queue_declare(queue=exclusive, exclusive=True)
        await channel.confirm_select()
        left = {1, 2, 3, 4}
        confirmed: Deferred[None] = Deferred()

        def confirm(tag: int, multiple: bool, acknowledged: bool) -> None:
            self.assertTrue(acknowledged)
            left.difference_update(range(1, tag + 1) if multiple else [tag])
            if not left:
                confirmed.callback(None)

        channel.on_confirm = confirm
        for name in (queue, exclusive):
            channel.publish("", name, encode_properties(Properties(delivery_mode=1)), b"transient")
            channel.publish("", name, encode_properties(Properties(delivery_mode=2)), body)
        await confirmed
