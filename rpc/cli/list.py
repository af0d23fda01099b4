"""``thrift-rpc list``: the services of a virtual host, with their workers and queues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import attrs
import click
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from rpc.cli.control_options import (
    FAILED,
    Asking,
    asks_workers,
    json_of_problems,
    say_json,
    say_lines,
    table,
    tell_problems,
)
from rpc.cli.standard_output import warn
from rpc.client.queue_counts import QueueCounts
from rpc.control import Answers, Control, WorkerDescription, WorkerStats
from rpc.control.totals import add_up
from rpc.topology import DeadLetterKind, ServiceTopology

AT_ONCE: Final = 20
"""Questions about queues: each has a channel."""


@attrs.frozen
class Line:
    """What is known of one service.

    :ivar consumers: how many workers consume its queue; ``None``: it has no queue.
    :ivar answered: how many workers of it have answered.
    :ivar waiting: requests in its queue, and in its workers without a slot.
    :ivar dead: dead letters.
    """

    service: str
    consumers: int | None
    answered: int
    waiting: int
    running: int
    dead: int


@click.command("list")
@click.argument("services", metavar="[SERVICE]...", nargs=-1)
@asks_workers
def list_command(services: tuple[str, ...], **options: Any) -> None:
    """List the services of a virtual host: those of all workers that answer, and each SERVICE that is named.

    A line for each service: its name; the workers that consume its queue, and after a stroke those that answered, when
    these are others; requests that wait in the queue or in a worker; calls in progress; dead letters. No command can
    ask the broker which queues it has, so a service without a worker is listed only when it is named.

    Exit status: 0 when the list is complete; 1 when a named service has never been served here, a worker gave no
    answer that can be read, or the command failed.
    """
    asking = Asking(**options)
    answers, lines = asking.run(lambda control: _look(control, services, asking.wait))
    unknown = [line.service for line in lines if line.consumers is None and line.service in services]
    if asking.as_json:
        say_json({"services": [attrs.asdict(line) for line in lines], **json_of_problems(answers)})
    else:
        head = ("SERVICE", "WORKERS", "WAITING", "IN PROGRESS", "DEAD LETTERS")
        say_lines(table(head, [_cells(line) for line in lines], (1, 2, 3, 4)))
        tell_problems(answers, asking.wait)
    for service in unknown:
        warn(f"{service}: no worker has ever served it here")
    if unknown or answers.bad or answers.problem is not None:
        raise SystemExit(FAILED)


def _cells(line: Line) -> tuple[str, ...]:
    workers = "-" if line.consumers is None else str(line.consumers)
    if line.answered != (line.consumers or 0):
        workers += f"/{line.answered}"
    return line.service, workers, str(line.waiting), str(line.running), str(line.dead)


async def _look(control: Control, named: Iterable[str], wait: float) -> tuple[Answers[WorkerDescription], list[Line]]:
    """Ask all workers, then the broker about the queues of their services."""
    asked: list[Any] = await gatherResults([control.workers(wait=wait), control.stats(wait=wait)], consumeErrors=True)
    workers: Answers[WorkerDescription] = asked[0]
    stats: Answers[WorkerStats] = asked[1]
    topologies = {service: ServiceTopology(service) for service in named}
    answered: dict[str, int] = {}
    for worker in workers:
        for service in worker.services:
            answered[service.name] = answered.get(service.name, 0) + 1
            topologies[service.name] = ServiceTopology(service.name, service.exchange, queue=service.queue)
    queues = DeferredSemaphore(AT_ONCE)

    def counts(queue: str) -> Deferred[QueueCounts | None]:
        return queues.run(control.connection.queue_counts, queue)

    async def line(topology: ServiceTopology) -> Line:
        names = [topology.queue, *map(topology.queue_of_kind, DeadLetterKind)]
        requests, *dead = await gatherResults(map(counts, names), consumeErrors=True)
        total = add_up(stats, topology.service)
        return Line(
            topology.service,
            None if requests is None else requests.consumers,
            answered.get(topology.service, 0),
            (0 if requests is None else requests.ready) + total.waiting,
            total.running,
            sum(each.ready for each in dead if each is not None),
        )

    lines = [Deferred.fromCoroutine(line(topologies[service])) for service in sorted(topologies)]
    return workers, await gatherResults(lines, consumeErrors=True)
