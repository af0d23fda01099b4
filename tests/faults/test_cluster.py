"""The promises hold when one node of a cluster is gone; ``scripts/faults`` has the longer scenarios."""

from __future__ import annotations

from tests.faults.fault_case import FaultTestCase
from tools.faults.cluster import RabbitMQCluster


class ClusterFaultTests(FaultTestCase):
    """Three nodes, quorum queues, clients and workers that were given all hosts."""

    own_broker = False

    @classmethod
    def setUpClass(cls) -> None:
        """Start the cluster that these tests share."""
        cls.cluster = RabbitMQCluster().start()
        cls.addClassCleanup(cls.cluster.close)

    async def test_calls_are_answered_after_the_leader_of_a_quorum_queue_is_killed(self) -> None:
        """The node that leads the queue is killed."""
        await self.check("leader-killed")
