"""All scenarios, in the order in which they are told."""

from __future__ import annotations

from tools.faults.scenarios import brokers, clusters, load, network, processes, queues

ALL = (
    *brokers.SCENARIOS,
    *processes.SCENARIOS,
    *load.SCENARIOS,
    *network.SCENARIOS,
    *queues.SCENARIOS,
    *clusters.SCENARIOS,
)

BY_NAME = {scenario.name: scenario for scenario in ALL}
