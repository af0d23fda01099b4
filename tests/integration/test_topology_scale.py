"""The objects that a topology needs at the broker: few enough for hundreds of services and clients."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

import rpc
from tests.integration.call_case import pause
from tests.support import BrokerTestCase
from tools.nodes.rabbitmq import RabbitMQNode
from tools.topology.counts import Counts, count_objects
from tools.topology.stub import STUB, make_services, names

SERVICES, CLIENTS = 20, 10


QUEUES_A_SERVICE = 1.2
"""The request queue; quarantine and dead letters have none before they need one. A worker has one for all services."""

BINDINGS_A_SERVICE = 4.0
"""Two of the request queue (default exchange, requests), two of the worker's own (one worker, broadcasts)."""

CHANNELS_A_WORKER = 3
"""One for all services, one to republish, one to check the bindings. Those that declared queues are closed again."""

QUEUES_A_CLIENT = CHANNELS_A_CLIENT = CONNECTIONS_EACH = 1.0


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
        while not worker._server.watch.is_open:  # its channel is to be counted
            await pause(0.1)
        return worker

    def assert_within(self, found: float, bound: float, what: str) -> None:
        """Check a count."""
        self.assertLessEqual(found, bound, what)

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
        self.assertEqual(second.queues, first.queues + 1)

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
