"""The account of memory: every byte that is taken is released, after any sequence of operations."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from rpc.messages import Properties
from tests.unit.broker.queue_case import DEAD, QueueCase

QUEUES: dict[str, dict[str, Any]] = {
    "classic": {},
    "quorum": {"x-queue-type": "quorum"},
    "limited": {"x-queue-type": "quorum", "x-delivery-limit": 1, **DEAD},
    "short": {"x-max-length": 1, **DEAD},
    "rejects": {"x-max-length": 1, "x-overflow": "reject-publish-dlx", **DEAD},
    "expires": {"x-message-ttl": 10, "x-dead-letter-exchange": "amq.fanout"},
    "dead": {},
}

steps = some.lists(
    some.one_of(
        some.tuples(some.just("publish"), some.sampled_from([*QUEUES, "amq.fanout"])),
        some.tuples(some.sampled_from(["get", "purge", "consume"]), some.sampled_from([*QUEUES])),
        some.tuples(some.sampled_from(["ack", "requeue", "reject", "recover", "wait", "lose"]), some.just("")),
    ),
    max_size=40,
)


class MemoryAccountTests(QueueCase):
    """Messages over a connection in memory, and the broker's account of them."""

    def begin(self) -> None:
        """A new broker with its queues."""
        self.setUp()
        for name, arguments in QUEUES.items():
            self.client.declare(1, name, arguments, durable=True)
            self.client.call(1, "queue.bind", 0, name, "amq.fanout", "", False, {})

    def play(self, step: str, name: str) -> None:
        """One thing that a client does, or that happens to it."""
        client, properties = self.client, Properties(headers={"mine": 1}, delivery_mode=2)
        settle: dict[str, tuple[Any, ...]] = {"ack": ("basic.ack", 0, True), "requeue": ("basic.nack", 0, True, True)}
        if step == "publish":
            exchange, key = (name, "") if name == "amq.fanout" else ("", name)
            client.publish(1, exchange, key, b"body", properties=properties)
        elif step == "get":
            client.send(1, "basic.get", 0, name, False)
        elif step == "purge":
            client.send(1, "queue.purge", 0, name, False)
        elif step == "consume":
            client.consume(1, name)
        elif step == "recover":
            client.send(1, "basic.recover", True)
        elif step == "wait":
            self.advance(0.011)
        elif step == "lose":
            client.lose()
            self.client = type(client)(self.broker).login()
            self.client.channel()
        else:
            name, *arguments = settle.get(step, ("basic.nack", 0, True, False))
            client.send(1, name, *arguments)
        self.assertGreaterEqual(self.broker.memory.held, 0)

    @given(steps)
    @settings(max_examples=60, deadline=None)
    def test_returns_to_zero_after_any_sequence(self, steps: list[tuple[str, str]]) -> None:
        """After publishes, requeues, rejections, expirations and purges: with empty queues, nothing is held."""
        self.begin()
        for step, name in steps:
            self.play(step, name)
        self.client.lose()
        for queue in [*self.broker.vhosts["/"].queues.values()]:
            self.broker.vhosts["/"].delete_unused(queue)
        self.advance(0)
        self.assertEqual(self.broker.memory.held, 0)

    def test_requeues_to_a_quorum_queue_are_accounted(self) -> None:
        """The header x-delivery-count makes a message larger: it is counted when it is added."""
        self.client.declare(1, "q", {"x-queue-type": "quorum"}, durable=True)
        self.client.consume(1, "q")
        for tag in range(1, 401, 2):
            self.put("q", b"body")
            self.client.send(1, "basic.reject", tag, True)
            self.client.send(1, "basic.ack", tag + 1, False)
            self.assertEqual(self.broker.memory.held, 0)
