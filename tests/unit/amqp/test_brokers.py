"""The properties by which a broker describes itself."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.brokers import EMBEDDED, BrokerVersion
from rpc.topology import ServiceTopology
from tests.unit.amqp.peer import Peer, method, tune


class BrokerVersionTests(SynchronousTestCase):
    """Server properties of any shape."""

    def test_knows_the_brokers_that_survive_unknown_direct_replies(self) -> None:
        """RabbitMQ from 4.3 on, and the embedded broker."""
        for properties, survives in (
            ({"product": "RabbitMQ", "version": "3.10.8"}, False),
            ({"product": "RabbitMQ", "version": "4.0.5"}, False),
            ({"product": "RabbitMQ", "version": "4.3.6"}, True),
            ({"product": "RabbitMQ", "version": "4.10.0-rc.1"}, True),
            ({"product": "RabbitMQ", "version": "5.0"}, True),
            ({"product": EMBEDDED, "version": "0-9-1"}, True),
            ({"product": "another", "version": "9.9.9"}, False),
            ({"product": "RabbitMQ"}, False),
            ({"version": "4.3.6"}, False),
            ({}, False),
        ):
            self.assertEqual(BrokerVersion.read(properties).survives_unknown_direct_replies, survives, properties)

    def test_knows_the_brokers_that_take_new_secrets(self) -> None:
        """RabbitMQ from 3.8 on, and the embedded broker."""
        for properties, takes in (
            ({"product": "RabbitMQ", "version": "3.8.0"}, True),
            ({"product": "RabbitMQ", "version": "4.3.1+rc"}, True),
            ({"product": "RabbitMQ", "version": "3.7.28"}, False),
            ({"product": "RabbitMQ", "version": "new"}, False),
            ({"product": EMBEDDED, "version": "0-9-1"}, True),
            ({"product": "another", "version": "4.0"}, False),
            ({}, False),
        ):
            self.assertEqual(BrokerVersion.read(properties).takes_new_secrets, takes, properties)

    def test_reads_properties_of_any_type(self) -> None:
        """A hostile broker may send any value; such a broker is unknown."""
        odd: tuple[Any, ...] = (None, True, 4.3, -1, b"4.3", "", "4", "٤.٣x" * 9, "9" * 400 + ".1", [4, 3], {"a": 1})
        for product in odd:
            for version in odd:
                read = BrokerVersion.read({"product": product, "version": version})
                self.assertFalse(read.survives_unknown_direct_replies)

    def test_leaves_out_the_timeout_that_rabbitmq_4_3_refuses(self) -> None:
        """On classic queues, which have no timeout there."""
        for queue_type, version, is_kept in (
            ("classic", (4, 0), True),
            ("classic", (4, 3), False),
            ("quorum", (4, 3), True),
        ):
            topology = ServiceTopology("S", queue_type=queue_type, backlog=5, consumer_timeout=7.0)
            declaration, binding = topology.requests()
            self.assertIs(BrokerVersion("RabbitMQ", version).accepted(binding.arguments), binding.arguments)
            accepted = BrokerVersion("RabbitMQ", version).accepted(declaration.arguments)
            kept = dict(declaration.arguments["arguments"])
            if not is_kept:
                del kept["x-consumer-timeout"]
            self.assertEqual(accepted, {**declaration.arguments, "arguments": kept})

    def test_a_connection_knows_its_broker(self) -> None:
        """From connection.start on."""
        peer = Peer().connect()
        self.assertEqual(peer.connection.broker, BrokerVersion())
        start = {"product": "RabbitMQ", "version": "4.3.6"}
        peer.feed(method(0, "connection.start", 0, 9, start, b"PLAIN", b"en_US"), tune())
        self.assertEqual(peer.connection.broker, BrokerVersion("RabbitMQ", (4, 3)))
