"""The objects that a topology needs at the broker: few enough for hundreds of services and clients."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

import rpc
from tests.support import BrokerTestCase
from tools.nodes.rabbitmq import RabbitMQNode
from tools.topology.counts import Counts, count_objects
from tools.topology.stub import STUB, make_services, names

SERVICES, CLIENTS = 20, 10


@attrs.frozen
class Bound:
    """A number of objects.

    :ivar goal: of the project.
    :ivar present: needed today; it must not grow. To be lowered with each improvement, down to the goal.
    """

    goal: float
    present: float


QUEUES_A_SERVICE = Bound(goal=1.2, present=4.0)
"""Today: shared, quarantine and dead-letter queue, and one of the worker's own."""

BINDINGS_A_SERVICE = Bound(goal=3.0, present=6.0)
CHANNELS_A_WORKER = Bound(goal=4.0, present=SERVICES + 1)
"""Today: one for each service, and one to republish."""

QUEUES_A_CLIENT = Bound(goal=1.0, present=1.0)
CHANNELS_A_CLIENT = Bound(goal=1.0, present=1.0)
CONNECTIONS_EACH = Bound(goal=1.0, present=1.0)


@pytest.mark.rabbitmq_only("it counts by rabbitmqctl")
class TopologyScaleTests(BrokerTestCase):
    """Counts in a virtual host of the test's own."""

    broker: ClassVar[RabbitMQNode]

    def setUp(self) -> None:
        self.address = self.virtual_host()

    def count(self) -> Deferred[Counts]:
        """Count the objects of the test's virtual host."""
        counted: Deferred[Counts] = deferToThread(count_objects, self.broker.ctl, self.address.rpartition("/")[2])
        return counted

    async def serve(self) -> rpc.Worker:
        """Start a worker that serves all services."""
        worker = rpc.Worker(self.address, make_services(SERVICES))
        self.addCleanup(worker.stopService)
        worker.startService()
        await worker.when_serving()
        return worker

    def assert_within(self, found: float, bound: Bound, what: str) -> None:
        """Check that a count is no higher than today's."""
        self.assertLessEqual(found, bound.present, f"{what}: more than today; the goal is {bound.goal}")

    async def test_a_service_needs_few_queues_bindings_and_channels(self) -> None:
        """A second worker shares the durable queues of the first."""
        await self.serve()
        first = await self.count()
        self.assert_within(first.queues / SERVICES, QUEUES_A_SERVICE, "queues a service")
        self.assert_within(first.bindings / SERVICES, BINDINGS_A_SERVICE, "bindings a service")
        self.assert_within(first.channels, CHANNELS_A_WORKER, "channels of a worker")
        self.assert_within(first.connections, CONNECTIONS_EACH, "connections of a worker")
        await self.serve()
        second = await self.count()
        self.assertEqual(second.connections, 2)
        self.assertLess(second.queues, 2 * first.queues)

    async def test_a_client_needs_one_queue_channel_and_connection(self) -> None:
        """The number of services that it calls does not matter."""
        await self.serve()
        before = await self.count()
        connections: list[Any] = await gatherResults([rpc.connect(self.address) for _ in range(CLIENTS)])
        for connection in connections:
            self.addCleanup(connection.close)
            await gatherResults([connection.client(STUB, name=name).ping() for name in names(SERVICES)])
        after = await self.count()
        self.assert_within((after.queues - before.queues) / CLIENTS, QUEUES_A_CLIENT, "queues a client")
        self.assert_within((after.channels - before.channels) / CLIENTS, CHANNELS_A_CLIENT, "channels a client")
        self.assert_within((after.connections - before.connections) / CLIENTS, CONNECTIONS_EACH, "connections a client")
        self.assertEqual(after.bindings, before.bindings)
