"""The account of memory, of single operations; ``test_account_machine.py`` has any sequence of them."""

from __future__ import annotations

from tests.unit.broker.queue_case import QueueCase


class MemoryAccountTests(QueueCase):
    """Messages over a connection in memory, and the broker's account of them."""

    def test_requeues_to_a_quorum_queue_are_accounted(self) -> None:
        """The header x-delivery-count makes a message larger: it is counted when it is added."""
        self.client.declare(1, "q", {"x-queue-type": "quorum"}, durable=True)
        self.client.consume(1, "q")
        for tag in range(1, 401, 2):
            self.put("q", b"body")
            self.client.send(1, "basic.reject", tag, True)
            self.client.send(1, "basic.ack", tag + 1, False)
            self.assertEqual(self.broker.memory.held, 0)
