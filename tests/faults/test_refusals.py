"""Answers of a cluster that look like refusals, and pass (``rpc/refusals.py``)."""

from __future__ import annotations

from typing import ClassVar

from twisted.internet.threads import deferToThread

from rpc.errors import ChannelClosed
from rpc.refusals import is_permanent
from tests.integration.amqp_case import AMQPTestCase
from tools.faults.cluster import RabbitMQCluster

DOWN = "404 NOT_FOUND - (home node .* is down|failed to perform operation on queue .* due to timeout)"
"""RabbitMQ 4 has the second answer as well: soon after the node's end, while another node waits for it."""


class ClusterRefusalTests(AMQPTestCase):
    """Two nodes, of which one is killed."""

    timeout = 120.0
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
        for passive in (False, True):
            channel = await self.channel(other.url)
            with self.assertRaisesRegex(ChannelClosed, DOWN) as caught:
                await channel.queue_declare(queue=queue, durable=True, passive=passive)
            self.assertFalse(is_permanent(caught.exception), repr(caught.exception))
