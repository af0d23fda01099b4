"""Consumers that share a channel's prefetch, or a slow connection: each has its share, as in RabbitMQ."""

from __future__ import annotations

from collections import Counter

from tests.unit.broker.peer import BUFFER, Client
from tests.unit.broker.queue_case import QueueCase

ONE_READ = 3
"""Messages that fill the transport of a slow reader."""


class SharedPrefetchTests(QueueCase):
    """Consumers of several queues on one channel (RabbitMQ: basic.qos with global)."""

    def test_consumers_of_one_channel_share_its_prefetch(self) -> None:
        """RabbitMQ's limiter begins with another queue each time it notifies them."""
        queues = ("a", "b", "c")
        for queue in queues:
            self.client.declare(1, queue)
            self.put(queue, *[b"x"] * 40)
        self.client.call(1, "basic.qos", 0, 1, True)
        for queue in queues:
            self.client.consume(1, queue, queue)
        seen: Counter[str] = Counter()
        for _ in range(30):
            (delivery,) = self.deliveries()
            seen[delivery[0]] += 1
            self.client.send(1, "basic.ack", delivery[1], False)
        self.assertLessEqual(max(seen.values()) - min(seen.values()), 2, seen)

    def test_consumers_of_one_queue_share_a_channels_prefetch(self) -> None:
        self.client.declare(1, "q")
        self.put("q", *[b"x"] * 40)
        self.client.call(1, "basic.qos", 0, 1, True)
        for tag in "abc":
            self.client.consume(1, "q", tag)
        seen: Counter[str] = Counter()
        for _ in range(30):
            (delivery,) = self.deliveries()
            seen[delivery[0]] += 1
            self.client.send(1, "basic.ack", delivery[1], False)
        self.assertLessEqual(max(seen.values()) - min(seen.values()), 2, seen)


class SlowReaderTests(QueueCase):
    """A client that reads more slowly than its full queues could be delivered."""

    def read_in_steps(self, client: Client, steps: int) -> Counter[str]:
        """Let the client read the buffer of its transport, again and again; count consumer tags."""
        seen: Counter[str] = Counter()
        for _ in range(steps):
            client.wire.reads = True
            wire = client.wire
            wire.io.write(bytes(wire.waiting))
            wire.waiting.clear()
            wire.reads = False
            if wire.producer is not None and wire._paused:
                wire._paused = False
                wire.producer.resumeProducing()
            seen.update(each[0] for each in self.deliveries(client))
        return seen

    def full_queues(self) -> Client:
        """Two queues with many messages, of which a few fill a transport; a client that does not read yet."""
        for queue in ("a", "b"):
            self.client.declare(1, queue)
            self.put(queue, *[bytes(BUFFER // ONE_READ)] * 40)
        client = Client(self.broker).login()
        client.channel(1)
        client.channel(2)
        client.wire.reads = False
        return client

    def test_a_full_queue_leaves_another_channel_its_share(self) -> None:
        client = self.full_queues()
        client.consume(1, "a", "a", no_ack=True)
        client.consume(2, "b", "b", no_ack=True)
        seen = self.read_in_steps(client, 12)
        self.assertLessEqual(abs(seen["a"] - seen["b"]), 2 * ONE_READ, seen)

    def test_a_full_queue_leaves_another_consumer_its_share(self) -> None:
        client = self.full_queues()
        client.consume(1, "a", "a", no_ack=True)
        client.consume(1, "b", "b", no_ack=True)
        seen = self.read_in_steps(client, 12)
        self.assertLessEqual(abs(seen["a"] - seen["b"]), 2 * ONE_READ, seen)
