"""Measures the time of ``connection.client()``: the first for a stub, and one for each further name."""

from __future__ import annotations

import time

from tools.topology.deployment import Deployment
from tools.topology.plan import Figure, Plan
from tools.topology.stub import STUB, names


async def measure(deployment: Deployment, plan: Plan) -> list[Figure]:
    """Make clients on one connection; none of them calls."""
    (connection,) = await deployment.connect(1)
    many = names(max(1000, plan.services))
    began = time.perf_counter()
    connection.client(STUB)
    first = time.perf_counter() - began
    began = time.perf_counter()
    for name in many:
        connection.client(STUB, name=name)
    each = (time.perf_counter() - began) / len(many)
    return [
        Figure("client", "first client of a stub", first * 1e6, "µs"),
        Figure("client", "further client", each * 1e6, "µs"),
    ]
