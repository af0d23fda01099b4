"""Measures the broker's processor time a call, with one service and with all services of the plan."""

from __future__ import annotations

from typing import Any

from tools.topology.deployment import Deployment, in_lanes
from tools.topology.plan import Figure, Plan
from tools.topology.stub import names


async def measure(deployment: Deployment, plan: Plan) -> list[Figure]:
    """Call one service, then all in turn, over one connection; all services are served meanwhile."""
    await deployment.serve(plan.services, plan.workers)
    (connection,) = await deployment.connect(1)
    figures = []
    for count in sorted({1, plan.services}):
        clients = [deployment.client(connection, name) for name in names(count)]
        await _call(clients, plan.calls // 10, plan.in_flight)
        before = deployment.broker_cpu()
        await _call(clients, plan.calls, plan.in_flight)
        spent = (deployment.broker_cpu() - before) / plan.calls
        figures.append(Figure("broker-cpu", f"a call, {count} services called", spent * 1e6, "µs"))
    return figures


async def _call(clients: list[Any], calls: int, in_flight: int) -> None:
    await in_lanes(calls, in_flight, lambda number: clients[number % len(clients)].add(number, 1))
