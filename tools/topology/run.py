"""The command: starts a private RabbitMQ node, measures, and writes a table and JSON.

Run it by ``scripts/topology``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from tools.nodes.rabbitmq import RabbitMQNode
from tools.topology import broker_cpu, cancellation, client_time, counts, frames, recovery, starting
from tools.topology.deployment import Deployment
from tools.topology.plan import Figure, Plan

Measurement: TypeAlias = Callable[[Deployment, Plan], Awaitable[list[Figure]]]

MEASUREMENTS: dict[str, Measurement] = {
    "counts": counts.measure,
    "start": starting.measure,
    "recovery": recovery.measure,
    "broker-cpu": broker_cpu.measure,
    "frames": frames.measure,
    "cancellation": cancellation.measure,
    "client": client_time.measure,
}


async def measure_all(
    node: RabbitMQNode, plan: Plan, chosen: tuple[str, ...], say: Callable[[str], None]
) -> list[Figure]:
    """Measure, each in a virtual host of its own. A measurement that fails is told, and the others go on."""
    figures: list[Figure] = []
    for name in chosen:
        say(f"{name} ...")
        deployment = await Deployment(node, plan.queue_type).open()
        try:
            figures += await MEASUREMENTS[name](deployment, plan)
        except Exception as error:
            say(f"{name}: FAILED: {type(error).__name__}: {error}")
        finally:
            await deployment.close()
    return figures


def table(figures: list[Figure]) -> str:
    """The figures as lines of text."""
    width = max((len(figure.name) for figure in figures), default=0)
    return "\n".join(
        f"{each.measurement:<13}{each.name:<{width}}  {each.value:>12,.2f} {each.unit}".rstrip() for each in figures
    )


@click.command(context_settings={"show_default": True})
@click.option("--services", default=300, type=click.IntRange(min=1), help="Services in each worker.")
@click.option("--workers", default=1, type=click.IntRange(min=1), help="Workers, each with all services.")
@click.option("--clients", default=300, type=click.IntRange(min=1), help="Connections of clients.")
@click.option("--calls", default=20_000, type=click.IntRange(min=10), help="Calls of a measurement by call.")
@click.option("--in-flight", default=100, type=click.IntRange(min=1), help="Calls in progress at a time.")
@click.option("--cancellations", default=500, type=click.IntRange(min=1), help="Calls that are cancelled.")
@click.option(
    "--crowd", "crowds", default=(1, 10, 100), multiple=True, type=int, help="Workers that hear a cancellation."
)
@click.option("--queue-type", default="classic", type=click.Choice(["classic", "quorum"]), help="Of the services.")
@click.option("--only", multiple=True, type=click.Choice(list(MEASUREMENTS)), help="Measure only this; repeatable.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="File for the figures as JSON.")
def main(only: tuple[str, ...], file: Path | None, **sizes: Any) -> None:
    """Measure a topology of many services, workers and clients on a private RabbitMQ node."""
    plan, chosen = Plan(**sizes), only or tuple(MEASUREMENTS)
    figures: list[Figure] = []

    async def run(node: RabbitMQNode) -> None:
        figures.extend(
            await measure_all(node, plan, only or tuple(MEASUREMENTS), lambda text: click.echo(text, err=True))
        )

    with RabbitMQNode() as node:
        try:
            react(lambda _: Deferred.fromCoroutine(run(node)))
        except SystemExit as ended:
            if ended.code:
                raise
    click.echo(table(figures))
    if file is not None:
        found = {"plan": attrs.asdict(plan), "figures": [attrs.asdict(figure) for figure in figures]}
        file.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(0 if {figure.measurement for figure in figures} == set(chosen) else 1)


if __name__ == "__main__":
    main()
