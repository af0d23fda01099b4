"""Shared by the tests with hostile peers: an honest client, and checks that hostile ones leave nothing behind."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import decode_properties
from rpc.broker.broker import Broker
from rpc.broker.names import PREDECLARED
from rpc.messages import Properties
from tests.unit.amqp.peer import BODY, HEADER, Written
from tests.unit.broker.definition_walk import size_of_definitions
from tests.unit.broker.peer import Client, new_broker

SERVICE = "service"
"""The honest client's queue, which is exclusively its own."""

REPLY_TO = "amq.rabbitmq.reply-to"


class Honest:
    """A well-behaved connection that calls a service of its own, with direct replies, as RPC does."""

    def __init__(self, broker: Broker) -> None:
        self.client = Client(broker).login()
        self._called = 0
        for number in (1, 2):
            self.client.channel(number)
        self.client.declare(1, SERVICE, exclusive=True)
        self.client.consume(1, SERVICE, "requests")
        self.client.consume(2, REPLY_TO, "replies", no_ack=True)
        assert self.client.names() == ["basic.consume-ok"] * 2

    @property
    def address(self) -> str:
        """The address of its direct replies."""
        found = self.client.protocol.vhost.reply_consumers.items()
        (mine,) = [address for address, reply in found if reply.connection is self.client.protocol]
        return mine

    def answered(self) -> bool:
        """Whether a call is answered now. Messages of other clients to the service are acked as well."""
        self._called += 1
        name = str(self._called)
        asked = Properties(reply_to=REPLY_TO, message_id=name)
        self.client.publish(2, "", SERVICE, b"call " + name.encode(), properties=asked)
        requests = contents(self.client.written())
        for request, _, _ in requests:
            self.client.send(1, "basic.ack", request.args[1], False)
        (mine,) = [properties for _, properties, body in requests if body == b"call " + name.encode()]
        self.client.publish(1, "", decode_properties(mine).reply_to or "", b"reply " + name.encode())
        return [body for _, _, body in contents(self.client.written())] == [b"reply " + name.encode()]


def contents(frames: list[Written]) -> list[tuple[Written, bytes, bytes]]:
    """Each method with a content in `frames`, and the content's properties and body."""
    found: list[tuple[Written, bytes, bytes]] = []
    for frame in frames:
        if frame.name in ("basic.deliver", "basic.return", "basic.get-ok"):
            found.append((frame, b"", b""))
        elif frame.kind == HEADER:
            found[-1] = found[-1][0], frame.payload[12:], b""
        elif frame.kind == BODY:
            found[-1] = *found[-1][:2], found[-1][2] + frame.payload
    return found


class HostileCase(SynchronousTestCase):
    """A broker with an honest client."""

    def restart_broker(self, **options: Any) -> None:
        """Begin anew; for each example."""
        self.broker = new_broker(**options)
        self.clock: Any = self.broker.clock
        self.honest = Honest(self.broker)

    def setUp(self) -> None:
        self.restart_broker()

    def assert_unharmed(self) -> None:
        """Nothing went wrong within the broker, and the honest client is served."""
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertTrue(self.honest.answered())

    def assert_nothing_left(self, *hostile: Client) -> None:
        """After the loss of their connections, hostile peers have left only shared declarations behind.

        After the deletion of those, nothing is left.
        """
        for client in hostile:
            client.raw()
            client.lose()
        self.assert_unharmed()
        self.assertEqual([*self.broker.connections], [self.honest.client.protocol])
        vhost = self.broker.vhosts["/"]
        for queue in vhost.queues.values():
            self.assertEqual(len(queue.consumers), queue.name == SERVICE, queue.name)
            self.assertEqual(queue.owner is not None, queue.name == SERVICE, queue.name)
        self.assertEqual(len(vhost.reply_consumers), 1)
        for name in {*vhost.queues} - {SERVICE}:
            self.honest.client.send(2, "queue.delete", 0, name, False, False, True)
        for name in {*vhost.exchanges} - {*PREDECLARED, ""}:
            self.honest.client.send(2, "exchange.delete", 0, name, False, True)
        self.assert_unharmed()
        self.assertEqual(({*vhost.queues}, {*vhost.exchanges}), ({SERVICE}, {*PREDECLARED, ""}))
        bound = {each.destination.name for exchange in vhost.exchanges.values() for each in exchange.bindings}
        self.assertLessEqual(bound, {*PREDECLARED})
        self.assertEqual(self.broker.memory.held, 0)
        self.assertEqual(self.broker.memory.definitions, size_of_definitions(self.broker))
        self.assertEqual(self.clock.getDelayedCalls(), [])
