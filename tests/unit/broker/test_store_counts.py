"""Delivery counts of quorum queues in the state file."""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.internet.defer import Deferred

from rpc.amqp.channel import Channel
from rpc.broker.state_file import VERSION
from tests.unit.broker.test_store import PERSISTENT
from tests.unit.broker.test_store_crash import CrashCase

LIMITED = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 2,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "dead",
}


class DeliveryCountTests(CrashCase):
    """Messages that are returned by their consumers, and by the consumers after a restart."""

    async def declare(self) -> Channel:
        """Start a broker, and declare the queue and that of its dead letters."""
        channel = await self.channel(await self.start())
        await channel.queue_declare(queue="dead", durable=True)
        await channel.queue_declare(queue="q", durable=True, arguments=LIMITED)
        return channel

    async def publish_one(self, queue: str, body: bytes) -> None:
        """Publish a message; return when it is confirmed."""
        await self.publish(await self.channel(self.servers[-1]), "", queue, body)

    async def return_one(self) -> Any:
        """Take a message and return it; give the count in its header."""
        channel = await self.channel(self.servers[-1])
        (taken,) = await self.take(channel, "q", 1)
        await channel.cancel_consumer("c1")
        channel.reject(taken.delivery_tag, requeue=True)
        await channel.queue_declare(queue="q", passive=True)  # the broker has read the reject
        await self.written(self.servers[-1])
        return (taken.properties.headers or {}).get("x-delivery-count")

    async def test_a_limit_is_reached_over_restarts(self) -> None:
        """The broker is killed after each return."""
        await self.declare()
        await self.publish_one("q", b"returned")
        self.crash()
        counts = []
        for _ in range(3):
            await self.declare()
            counts.append(await self.return_one())
            self.crash()
        channel = await self.declare()
        self.assertEqual(counts, [None, 1, 2])
        self.assertEqual(await self.drain(channel, "q"), [])
        self.assertIn(b"returned", [body for body, _ in await self.drain(channel, "dead")])

    async def test_a_message_may_be_returned_before_it_is_written(self) -> None:
        """Between two transactions, and may be settled then as well."""
        channel = await self.declare()
        await self.publish_one("dead", b"a sign")
        opened = self.gate(self.servers[-1])
        await channel.exchange_declare(exchange="keeps the writer busy", type="fanout", durable=True)
        seen: Deferred[None] = Deferred()

        def take(delivery: Any) -> None:
            if not delivery.redelivered:
                channel.reject(delivery.delivery_tag, requeue=True)
            elif delivery.body == b"settled":
                channel.ack(delivery.delivery_tag)
                seen.callback(None)

        await channel.consume("q", take, lambda: None)
        for body in (b"stays", b"settled"):
            channel.publish("", "q", PERSISTENT, body)
        await seen
        await channel.queue_declare(queue="q", passive=True)  # the broker has read the ack
        opened.callback(None)
        await self.stop(self.servers[-1])
        found = [(row[5], row[-1]) for row in self.rows("message") if row[2] == "q"]
        self.assertEqual(found, [(2, b"stays")])  # the end of its channel has returned it once more

    async def test_the_memory_of_a_restored_message_is_released(self) -> None:
        """The header with its count makes it larger."""
        await self.declare()
        await self.publish_one("q", b"returned")
        await self.return_one()
        self.crash()
        channel = await self.declare()
        self.assertEqual(await self.drain(channel, "q"), [(b"returned", True)])
        await self.drain(channel, "dead")
        await channel.queue_declare(queue="q", passive=True)  # the broker has read the acks
        self.assertEqual(self.servers[-1].broker.memory.held, 0)

    async def test_takes_a_file_of_version_1(self) -> None:
        """It has no counts."""
        await self.declare()
        await self.publish_one("q", b"old")
        await self.stop(self.servers[-1])
        self.make_version_1()
        for count in (None, 1):
            await self.declare()
            self.assertEqual(await self.return_one(), count)
            await self.stop(self.servers[-1])
        database = sqlite3.connect(self.file)
        self.assertEqual(database.execute("PRAGMA user_version").fetchone(), (VERSION,))
        database.close()
