"""Measures the time until every client and every service answers again after the broker was killed."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

import rpc
from tools.topology.deployment import Deployment
from tools.topology.plan import Figure, Plan
from tools.topology.stub import names


async def measure(deployment: Deployment, plan: Plan) -> list[Figure]:
    """Kill the broker by SIGKILL, start it again, and have each client and each service answer a call."""
    await deployment.serve(plan.services, plan.workers)
    connections = await deployment.connect(plan.clients)
    services = names(plan.services)
    clients = [
        deployment.client(connection, services[number % len(services)]) for number, connection in enumerate(connections)
    ]
    clients += [deployment.client(connections[0], name) for name in services]
    await _all_answer(clients)
    await deferToThread(deployment.node.kill)
    killed = time.monotonic()
    await deferToThread(deployment.node.start)
    started = time.monotonic()
    await _all_answer(clients)
    answered = time.monotonic()
    return [
        Figure("recovery", "broker down", started - killed, "s"),
        Figure("recovery", "then, until all clients and services answer", answered - started, "s"),
    ]


async def _all_answer(clients: list[Any]) -> None:
    # ping() may run twice, and a worker may still be connecting: both mean another attempt.
    patient = [rpc.with_options(client, retry=True, idempotent=["ping"]) for client in clients]
    await gatherResults([client.ping() for client in patient])
