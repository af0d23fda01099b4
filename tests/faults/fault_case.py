"""The short forms of the faults as tests."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.support import BrokerTestCase
from tools.faults.perform import perform
from tools.faults.scenarios.table import BY_NAME
from tools.nodes.rabbitmq import RabbitMQNode


class FaultTestCase(BrokerTestCase):
    """Plays scenarios on a node of its own."""

    timeout = 240.0
    own_broker = True
    broker: ClassVar[RabbitMQNode]
    cluster: ClassVar[Any] = None

    async def check(self, name: str) -> None:
        """Play the short form of a scenario, and hold it to its promise."""
        scenario = BY_NAME[name]
        node = self.cluster.nodes[0] if self.cluster is not None else self.broker
        result = await perform(scenario, node, self.cluster, scenario.quick)
        self.assertTrue(result.met, f"{result.fault}: {result}")
