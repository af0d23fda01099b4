"""Counts the frames that client, worker and broker write for a call."""

from __future__ import annotations

from collections import Counter

from twisted.internet import reactor

from tools.topology.counting_proxy import CountingProxy
from tools.topology.deployment import Deployment, in_lanes
from tools.topology.plan import Figure, Plan
from tools.topology.stub import names


async def measure(deployment: Deployment, plan: Plan) -> list[Figure]:
    """Call through proxies that count: one call at a time, then many."""
    client_side, worker_side = (CountingProxy(reactor, deployment.node.port) for _ in range(2))
    try:
        await deployment.serve(1, 1, worker_side.url(deployment.virtual_host))
        (connection,) = await deployment.connect(1, client_side.url(deployment.virtual_host))
        client = deployment.client(connection, names(1)[0])
        figures = []
        for in_flight in sorted({1, plan.in_flight}):
            calls = max(in_flight, plan.calls // 10)
            await in_lanes(in_flight, in_flight, lambda number: client.add(number, 1))
            client_side.clear()
            worker_side.clear()
            await in_lanes(calls, in_flight, lambda number: client.add(number, 1))
            for writer, counted in (
                ("client", client_side.sent),
                ("broker to client", client_side.received),
                ("worker", worker_side.sent),
                ("broker to worker", worker_side.received),
            ):
                figures += _figures(f"{writer}, {in_flight} in flight", counted, calls)
        return figures
    finally:
        await deployment.disconnect()
        await client_side.close()
        await worker_side.close()


def _figures(name: str, counted: Counter[str], calls: int) -> list[Figure]:
    return [Figure("frames", f"{name}: {kind}", count / calls, "a call") for kind, count in sorted(counted.items())]
