"""Measures the time until all services are served: on an empty broker, and when their queues exist already."""

from __future__ import annotations

from tools.topology.deployment import Deployment
from tools.topology.plan import Figure, Plan


async def measure(deployment: Deployment, plan: Plan) -> list[Figure]:
    """Start the workers twice."""
    first = await deployment.serve(plan.services, plan.workers)
    deployment.processes.pop().close()
    again = await deployment.serve(plan.services, plan.workers)
    return [
        Figure("start", "until all services are served, first start", first, "s"),
        Figure("start", "until all services are served, queues exist", again, "s"),
    ]
