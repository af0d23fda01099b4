"""The declarations of a service."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.topology import (
    DEAD,
    DEAD_LETTER_BYTES,
    DEAD_LETTERS_KEPT,
    EXCHANGES,
    DeadLetterKind,
    Declaration,
    ServiceTopology,
    instance_of,
)


def named(declarations: list[Declaration], method: str) -> list[dict[str, Any]]:
    """Arguments of the declarations that invoke `method`."""
    return [dict(declaration.arguments) for declaration in declarations if declaration.method == method]


class TopologyTests(SynchronousTestCase):
    """ServiceTopology."""

    def test_names_follow_from_the_service(self) -> None:
        """Names on the broker follow from the service's name (DESIGN, the wire)."""
        topology = ServiceTopology("Calculator")
        self.assertEqual((topology.exchange, topology.queue), ("rpc", "rpc.Calculator"))
        self.assertEqual(topology.dead_queue, "rpc.Calculator.dead")
        self.assertEqual(topology.instance_key("host.1.ab"), "Calculator@host.1.ab")

    def every(self, **options: Any) -> list[Declaration]:
        """All that a service may need."""
        topology = ServiceTopology("S", **options)
        dead = [declaration for kind in DeadLetterKind for declaration in topology.dead_letters(kind)]
        return [*EXCHANGES, *topology.requests(), *topology.quarantine(), *dead]

    def test_all_exchanges_are_direct_and_durable(self) -> None:
        """Those of requests and broadcasts are always there, that of dead letters when one is needed."""
        exchanges = named(self.every(), "exchange_declare")
        self.assertEqual([exchange["exchange"] for exchange in exchanges], ["rpc", "rpc.broadcast", *["rpc.dead"] * 3])
        for exchange in exchanges:
            self.assertEqual((exchange["type"], exchange["durable"]), ("direct", True))

    def test_shared_queues_are_durable_and_bound_by_the_name_of_the_service(self) -> None:
        """RabbitMQ 4 refuses transient queues that are not exclusive."""
        for queue in named(self.every(), "queue_declare"):
            self.assertTrue(queue["durable"])
            self.assertFalse(queue.get("exclusive") or queue.get("auto_delete"))
        bindings = [tuple(binding.values()) for binding in named(self.every(), "queue_bind")]
        dead = [("rpc.S.dead", DEAD, "S"), *((f"rpc.S.dead.{it}", DEAD, f"S@{it}") for it in ("unserved", "invalid"))]
        self.assertEqual(bindings, [("rpc.S", "rpc", "S"), *dead])

    def test_a_service_that_is_not_durable_declares_as_txamqp_does(self) -> None:
        """Exchange and request queue only: queues that a worker alone uses stay durable."""
        declared = ServiceTopology("S", "services", "pool", durable=False).requests()
        self.assertEqual(named(declared, "exchange_declare")[0]["durable"], False)
        queue = {"queue": "pool", "durable": False, "auto_delete": True, "arguments": {}}
        self.assertEqual(named(declared, "queue_declare"), [queue])
        given = {"backlog": 5, "queue_arguments": {"x-a": 1}}
        (bounded,) = named(self.every(durable=False, **given), "queue_declare")[:1]
        self.assertEqual(bounded["arguments"], {"x-max-length": 5, "x-overflow": "reject-publish", "x-a": 1})
        for other in named(self.every(durable=False), "queue_declare")[1:]:
            self.assertTrue(other["durable"])
        for exchange in named(self.every(durable=False), "exchange_declare"):
            self.assertTrue(exchange["durable"])

    def test_options_are_arguments_of_the_request_queue(self) -> None:
        """A full queue rejects. The quarantine has no bound, since a counted request must always fit."""
        queues = named(self.every(queue_type="quorum", backlog=5, consumer_timeout=2.5), "queue_declare")
        common = {"x-queue-type": "quorum", "x-consumer-timeout": 2500}
        self.assertEqual(queues[0]["arguments"], common | {"x-max-length": 5, "x-overflow": "reject-publish"})
        self.assertEqual(queues[1]["arguments"], common)
        self.assertEqual(named(self.every(), "queue_declare")[0]["arguments"], {"x-queue-type": "classic"})

    def test_further_arguments_are_of_the_request_queue_alone(self) -> None:
        """Every bound rejects, unless the user has it otherwise."""
        given = {"max_priority": 5, "queue_arguments": {"x-max-length-bytes": 9}}
        queues = named(self.every(**given), "queue_declare")
        classic = {"x-queue-type": "classic"}
        bounded = {"x-max-length-bytes": 9, "x-overflow": "reject-publish"}
        self.assertEqual(queues[0]["arguments"], classic | {"x-max-priority": 5} | bounded)
        self.assertEqual(queues[1]["arguments"], classic)
        dropping = {"x-max-length-bytes": 9, "x-overflow": "drop-head"}
        queue = named(self.every(queue_arguments=dropping), "queue_declare")[0]
        self.assertEqual(queue["arguments"], classic | dropping)

    def test_a_queue_of_an_operator_is_only_bound(self) -> None:
        """A passive declaration tells whether it is there (AMQP 0-9-1, queue.declare)."""
        declarations = ServiceTopology("S", declare_queue=False).requests()
        self.assertEqual(named(declarations, "queue_declare"), [{"queue": "rpc.S", "passive": True}])
        self.assertEqual(len(named(declarations, "queue_bind")), 1)

    def test_dead_letters_are_bounded_and_drop_the_oldest(self) -> None:
        """In number and in bytes, each kind by itself, independent of the backlog of the service."""
        _, _, *queues = named(self.every(backlog=5), "queue_declare")
        bounds = {"x-max-length": DEAD_LETTERS_KEPT, "x-max-length-bytes": DEAD_LETTER_BYTES}
        self.assertEqual([each["arguments"] for each in queues], [{"x-queue-type": "classic"} | bounds] * 3)

    def test_the_queue_of_earlier_versions_keeps_its_name_binding_and_arguments(self) -> None:
        """Workers of both declare it, and RabbitMQ refuses another argument (406)."""
        _, queue, binding = ServiceTopology("S", queue_type="quorum").dead_letters()
        arguments = {"x-queue-type": "quorum", "x-max-length": 10_000, "x-max-length-bytes": 268_435_456}
        self.assertEqual(queue.arguments, {"queue": "rpc.S.dead", "durable": True, "arguments": arguments})
        self.assertEqual(binding.arguments, {"queue": "rpc.S.dead", "exchange": "rpc.dead", "routing_key": "S"})

    def test_the_names_of_peers_replace_ours(self) -> None:
        """Their exchange is declared, and the queue of dead letters is named after their queue."""
        topology = ServiceTopology("calc", "services", "calc_pool")
        self.assertEqual(named(topology.requests(), "exchange_declare")[0]["exchange"], "services")
        bindings = [
            tuple(binding.values()) for binding in named([*topology.requests(), *topology.dead_letters()], "queue_bind")
        ]
        self.assertEqual(bindings, [("calc_pool", "services", "calc"), ("calc_pool.dead", DEAD, "calc")])

    def test_the_queue_of_a_worker_is_bound_by_its_instance_and_for_broadcasts(self) -> None:
        """By the key of nested calls only when its handlers call services."""
        for nested, keys in ((False, ["S@i"]), (True, ["S@i", "S@i/nested"])):
            bound = named(ServiceTopology("S").instance_bindings("i", "q", nested=nested), "queue_bind")
            expected = [*(("q", "rpc", key) for key in keys), ("q", "rpc.broadcast", "S")]
            self.assertEqual([tuple(binding.values()) for binding in bound], expected)

    def test_an_instance_is_read_from_the_key_that_names_it(self) -> None:
        """A key without one names a service."""
        topology = ServiceTopology("S")
        self.assertEqual(instance_of(topology.instance_key("i")), "i")
        self.assertEqual(instance_of(topology.nested_key("i")), "i")
        self.assertIsNone(instance_of("S"))
