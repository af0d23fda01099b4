"""Publishes over a connection in memory: returns, confirms, alarms, routing, direct replies."""

from __future__ import annotations

from rpc.amqp.codec.properties import decode_properties
from rpc.broker.limits import Limits
from tests.unit.broker.peer import Client, new_broker, publish
from tests.unit.broker.queue_case import QueueCase


class PublishingTests(QueueCase):
    """Returns, confirms, alarms and routing."""

    def test_returns_an_unroutable_message_before_its_ack(self) -> None:
        """basic.return precedes basic.ack, as RabbitMQ documents."""
        self.client.call(1, "confirm.select", False)
        self.client.publish(1, "", "nowhere", b"body", mandatory=True)
        names = [name for name in self.client.names() if name]
        self.assertEqual(names, ["basic.return", "basic.ack"])

    def test_confirms_the_publishes_of_one_read_with_one_ack(self) -> None:
        """The ack has the flag multiple."""
        self.client.declare(1, "q")
        self.client.call(1, "confirm.select", False)
        self.client.feed(b"".join(publish(1, "", "q", b"%d" % number) for number in range(100)))
        (ack,) = self.client.written()
        self.assertEqual((ack.name, ack.args), ("basic.ack", (100, True)))

    def test_forgets_the_route_to_a_deleted_queue(self) -> None:
        """Routes are cached by exchange and key."""
        self.client.declare(1, "q")
        self.client.publish(1, "", "q", b"1", mandatory=True)
        self.assertEqual(self.client.names(), [])
        self.client.call(1, "queue.delete", 0, "q", False, False, False)
        self.client.publish(1, "", "q", b"2", mandatory=True)
        self.assertEqual(self.client.names()[0], "basic.return")

    def test_blocks_publishing_connections_during_an_operators_alarm(self) -> None:
        """Clients with the capability get connection.blocked. Connections that do not publish stay unblocked."""
        unknowing = Client(self.broker).login(capabilities={})
        unknowing.channel()
        self.broker.set_alarm(True)
        self.assertEqual(self.client.names(), [])
        for client in (self.client, unknowing):
            client.publish(1, "", "nowhere", b"1")
            self.assertEqual(client.wire.producerState, "paused")
        self.assertEqual((self.client.names(), unknowing.names()), (["connection.blocked"], []))
        self.broker.set_alarm(False)
        self.assertEqual((self.client.names(), unknowing.names()), (["connection.unblocked"], []))
        self.assertEqual((self.client.wire.producerState, unknowing.wire.producerState), ("producing", "producing"))

    def test_blocks_publishing_connections_while_memory_is_short(self) -> None:
        """They are unblocked when memory is free again."""
        broker = new_broker(limits=Limits(memory=10_000))
        publisher, consumer = (Client(broker).login() for _ in range(2))
        for each in (publisher, consumer):
            each.channel()
        consumer.declare(1, "q")
        publisher.publish(1, "", "q", b"x" * 20_000)
        publisher.publish(1, "", "q", b"once more")
        self.assertEqual(publisher.names(), ["connection.blocked"])
        self.assertEqual(publisher.wire.producerState, "paused")
        consumer.call(1, "queue.purge", 0, "q", False)
        self.assertEqual(publisher.names(), ["connection.unblocked"])
        self.assertEqual((publisher.wire.producerState, broker.memory.held), ("producing", 0))

    def test_delivers_direct_replies(self) -> None:
        """To the channel of the request, without a queue. A late reply is unroutable."""
        server = Client(self.broker).login()
        server.channel()
        server.declare(1, "q")
        server.consume(1, "q", no_ack=True)
        server.written()
        self.client.consume(1, "amq.rabbitmq.reply-to", "r", no_ack=True)
        self.put("q", b"question", reply_to="amq.rabbitmq.reply-to")
        frames = server.written()
        (address,) = [decode_properties(each.payload[12:]).reply_to for each in frames if each.kind == 2]
        assert address is not None
        server.publish(1, "", address, b"answer")
        self.assertEqual(self.bodies(), [b"answer"])
        self.client.lose()
        server.publish(1, "", address, b"late", mandatory=True)
        self.assertEqual(server.names()[0], "basic.return")

    def test_routes_to_the_keys_in_CC_and_BCC(self) -> None:
        """BCC is removed from the message."""
        for queue in ("a", "b", "c"):
            self.client.declare(1, queue)
        self.put("a", b"1", headers={"CC": ["b"], "BCC": ["c"], "x": 1})
        self.assertEqual([self.get(queue) for queue in ("a", "b", "c")], [(b"1", False, {"CC": ["b"], "x": 1})] * 3)

    def test_routes_unmatched_messages_to_the_alternate_exchange(self) -> None:
        """They are not returned."""
        self.client.declare(1, "rest")
        declare = ("exchange.declare", 0)
        self.client.call(1, *declare, "others", "fanout", False, False, False, False, False, {})
        self.client.call(
            1, *declare, "x", "direct", False, False, False, False, False, {"alternate-exchange": "others"}
        )
        self.client.call(1, "queue.bind", 0, "rest", "others", "", False, {})
        self.client.publish(1, "x", "unbound", b"1", mandatory=True)
        self.assertEqual((self.client.names(), self.count("rest")), ([], 1))
