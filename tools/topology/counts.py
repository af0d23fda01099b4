"""Counts the objects of a topology at the broker: queues, bindings, channels, connections."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.threads import deferToThread

from tools.topology.deployment import Deployment
from tools.topology.plan import Figure, Plan
from tools.topology.stub import names

Ctl = Callable[..., str]

BARE = ("--no-table-headers",)


@attrs.frozen
class Counts:
    """The objects in one virtual host."""

    queues: int
    bindings: int
    channels: int
    connections: int


def count_objects(ctl: Ctl, virtual_host: str) -> Counts:
    """Count them by ``rabbitmqctl``. Blocks for about two seconds."""
    queues = ctl("list_queues", *BARE, "--vhost", virtual_host, "name").splitlines()
    bindings = ctl("list_bindings", *BARE, "--vhost", virtual_host, "source_name", "destination_name").splitlines()
    return Counts(
        queues=len(queues),
        # Every queue is bound to the default exchange by its name (AMQP 0-9-1, 3.1.3.1): those are no work of ours.
        bindings=len([line for line in bindings if line.split("\t")[0]]),
        channels=ctl("list_channels", *BARE, "vhost").splitlines().count(virtual_host),
        connections=ctl("list_connections", *BARE, "vhost").splitlines().count(virtual_host),
    )


async def measure(deployment: Deployment, plan: Plan) -> list[Figure]:
    """Count the objects of all workers and clients of the plan, after each client has made a call."""
    await deployment.serve(plan.services, plan.workers)
    connections = await deployment.connect(plan.clients)
    services = names(plan.services)
    for number, connection in enumerate(connections):
        await deployment.client(connection, services[number % len(services)]).ping()
    found = await deferToThread(count_objects, deployment.node.ctl, deployment.virtual_host)
    figures = [Figure("counts", name, value, "") for name, value in attrs.asdict(found).items()]
    per_service = (found.queues - plan.clients) / plan.services
    figures.append(Figure("counts", "queues a service, without reply queues", per_service, ""))
    return figures
