"""Measures the processor time of a call that is cancelled, or that times out, with more and more workers.

A caller with ``liveness`` knows which worker has the request, and tells it alone. Without, every worker of the service
hears of a cancellation. A timeout is told to no worker that the caller does not know.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

import rpc
from generated.calculator.ttypes import Numbers
from tools.processes import cpu_seconds
from tools.topology.deployment import Deployment, in_lanes
from tools.topology.plan import Figure, Plan
from tools.topology.stub import names

reactor: Any = global_reactor

AFTER = 0.05
"""Seconds after which a call is cancelled, or times out: the request has reached a worker then."""

LANES = 20


async def measure(deployment: Deployment, plan: Plan) -> list[Figure]:
    """Cancel calls one by one, then let calls time out."""
    figures = []
    for workers in plan.crowds:
        await deployment.serve(1, workers)
        (connection,) = await deployment.connect(1)
        name = names(1)[0]
        patient, hasty = deployment.client(connection, name), deployment.client(connection, name, timeout=AFTER)
        await patient.ping()
        told = deployment.client(connection, name, liveness=10.0)
        for how, call in (
            ("cancelled", _cancelled(patient)),
            ("cancelled at a known worker", _cancelled(told)),
            ("timed out", _timed_out(hasty)),
        ):
            before = _cpu(deployment)
            await in_lanes(plan.cancellations, LANES, call)
            await deferLater(reactor, 2 * AFTER)
            for role, spent in zip(("broker", "workers", "client"), _since(deployment, before), strict=True):
                value = spent / plan.cancellations * 1e6
                figures.append(Figure("cancellation", f"{role}, a call {how}, {workers} workers", value, "µs"))
        deployment.processes.pop().close()
    return figures


def _cancelled(client: Any) -> Any:
    async def call(_: int) -> None:
        begun = client.sum(Numbers([]))
        await deferLater(reactor, AFTER)
        begun.cancel()
        try:
            await begun
        except CancelledError:
            return

    return call


def _timed_out(client: Any) -> Any:
    async def call(_: int) -> None:
        try:
            await client.sum(Numbers([]))
        except rpc.CallTimedOut:
            return

    return call


def _cpu(deployment: Deployment) -> tuple[float, float, float]:
    return deployment.broker_cpu(), deployment.worker_cpu(), cpu_seconds(os.getpid())


def _since(deployment: Deployment, before: tuple[float, float, float]) -> list[float]:
    return [now - then for now, then in zip(_cpu(deployment), before, strict=True)]
