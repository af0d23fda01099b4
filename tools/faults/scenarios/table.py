"""All scenarios, in the order in which they are told."""

from __future__ import annotations

from tools.faults.scenarios import brokers, clusters, load, network, oneway, processes, queues, slow

ALL = (
    *brokers.SCENARIOS,
    *processes.SCENARIOS,
    *slow.SCENARIOS,
    *oneway.SCENARIOS,
    *load.SCENARIOS,
    *network.SCENARIOS,
    *queues.SCENARIOS,
    *clusters.SCENARIOS,
)

BY_NAME = {scenario.name: scenario for scenario in ALL}
