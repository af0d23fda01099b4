"""Answers of a cluster that look like refusals, and pass (``rpc/refusals.py``)."""

from __future__ import annotations

from typing import ClassVar

from twisted.internet.defer import DeferredList
from twisted.internet.threads import deferToThread

from rpc.errors import ChannelClosed
from rpc.refusals import is_permanent
from tests.integration.amqp_case import AMQPTestCase
from tools.faults.cluster import RabbitMQCluster

DOWN = "404 NOT_FOUND - (home node .* is down|failed to perform operation on queue .* due to timeout)"
"""RabbitMQ 4 has the second answer as well: soon after the node's end, while another node waits for it."""


class ClusterRefusalTests(AMQPTestCase):
    """Two nodes, of which one is killed."""

    timeout = 240.0  # RabbitMQ 4 looks for the queue's node for a minute
    cluster: ClassVar[RabbitMQCluster]

    @classmethod
    def setUpClass(cls) -> None:
        """Start the cluster."""
        cls.cluster = RabbitMQCluster(size=2).start()
        cls.addClassCleanup(cls.cluster.close)

    async def test_a_queue_whose_node_is_down_passes(self) -> None:
        """It exists: it is declared again when its node has started. The code is that of a missing queue."""
        home, other = self.cluster.nodes
        queue = self.unique("q")
        await (await self.channel(home.url)).queue_declare(queue=queue, durable=True)
        await deferToThread(home.kill)
        await deferToThread(other.ctl, "await_online_nodes", "1")
        channels = [await self.channel(other.url) for _ in (False, True)]
        declared = [
            channel.queue_declare(queue=queue, durable=True, passive=passive)
            for channel, passive in zip(channels, (False, True), strict=True)
        ]
        for _, answer in await DeferredList(declared, consumeErrors=True):
            self.assertIsInstance(answer.value, ChannelClosed)
            self.assertRegex(str(answer.value), DOWN)
            self.assertFalse(is_permanent(answer.value), repr(answer.value))
