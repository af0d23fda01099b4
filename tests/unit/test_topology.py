"""What is declared for a service."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.topology import DEAD, DEAD_LETTER_BYTES, DEAD_LETTERS_KEPT, EXCLUSIVE_QUEUE, Declaration, ServiceTopology


def named(declarations: list[Declaration], method: str) -> list[dict[str, Any]]:
    """Arguments of the declarations that invoke `method`."""
    return [dict(declaration.arguments) for declaration in declarations if declaration.method == method]


class TopologyTests(SynchronousTestCase):
    """ServiceTopology."""

    def test_names(self) -> None:
        """Names on the broker follow from the service's name (DESIGN, the wire)."""
        topology = ServiceTopology("Calculator")
        self.assertEqual((topology.exchange, topology.queue), ("rpc", "rpc.Calculator"))
        self.assertEqual(topology.dead_queue, "rpc.Calculator.dead")
        self.assertEqual(topology.instance_key("host.1.ab"), "Calculator@host.1.ab")

    def test_exchanges(self) -> None:
        """All exchanges are direct and durable."""
        exchanges = named(ServiceTopology("S").shared(), "exchange_declare")
        self.assertEqual([exchange["exchange"] for exchange in exchanges], ["rpc", "rpc.broadcast", "rpc.dead"])
        for exchange in exchanges:
            self.assertEqual((exchange["type"], exchange["durable"]), ("direct", True))

    def test_queues(self) -> None:
        """Shared queues are durable, never transient: RabbitMQ 4 refuses those. Each is bound by the service's name."""
        shared = ServiceTopology("S").shared()
        for queue in named(shared, "queue_declare"):
            self.assertTrue(queue["durable"])
            self.assertFalse(queue.get("exclusive") or queue.get("auto_delete"))
        bindings = [tuple(binding.values()) for binding in named(shared, "queue_bind")]
        self.assertEqual(bindings, [("rpc.S", "rpc", "S"), ("rpc.S.dead", DEAD, "S")])

    def test_options(self) -> None:
        """Queue type and backlog are arguments of the request queue; a full one refuses."""
        request, suspects, _ = named(ServiceTopology("S", queue_type="quorum", backlog=5).shared(), "queue_declare")
        self.assertEqual(
            request["arguments"], {"x-queue-type": "quorum", "x-max-length": 5, "x-overflow": "reject-publish"}
        )
        self.assertEqual(suspects["arguments"], {"x-queue-type": "quorum"})
        request, *_ = named(ServiceTopology("S").shared(), "queue_declare")
        self.assertEqual(request["arguments"], {"x-queue-type": "classic"})

    def test_dead_letters_are_bounded(self) -> None:
        """The queue of dead letters is bounded in number and bytes, and drops the oldest."""
        *_, dead = named(ServiceTopology("S", backlog=5).shared(), "queue_declare")
        self.assertEqual(dead["arguments"]["x-max-length"], DEAD_LETTERS_KEPT)
        self.assertEqual(dead["arguments"]["x-max-length-bytes"], DEAD_LETTER_BYTES)
        self.assertNotIn("x-overflow", dead["arguments"])

    def test_peers_names(self) -> None:
        """Exchange and queue of peers that have their own replace ours, the dead letters' queue follows."""
        topology = ServiceTopology("calc", "services", "calc_pool")
        bindings = [tuple(binding.values()) for binding in named(topology.shared(), "queue_bind")]
        self.assertEqual(bindings, [("calc_pool", "services", "calc"), ("calc_pool.dead", DEAD, "calc")])

    def test_own_queue(self) -> None:
        """A worker's own queue is exclusive, and hears the instance's keys and what concerns every worker."""
        self.assertEqual(EXCLUSIVE_QUEUE.arguments, {"queue": "", "exclusive": True, "auto_delete": True})
        own = [tuple(binding.values()) for binding in named(ServiceTopology("S").own("i", "q"), "queue_bind")]
        keys = [("rpc", "S@i"), ("rpc", "S@i/nested"), ("rpc", "S@*"), ("rpc.broadcast", "S")]
        self.assertEqual(own, [("q", *key) for key in keys])
