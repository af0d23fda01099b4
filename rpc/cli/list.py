"""``thrift-rpc list``: the services of a virtual host, with their workers and queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import attrs
import click
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure

from rpc.cli.completion import complete_service
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
from rpc.control import Answers, Control, End, WorkerDescription, WorkerStats
from rpc.control.together import together
from rpc.control.totals import ServiceTotal, add_up
from rpc.errors import ChannelClosed, CodecError
from rpc.topology import ServiceTopology

AT_ONCE: Final = 20
"""Questions about queues: each has a channel."""

MOST_SERVICES: Final = 1000
"""Services that are listed without being named. Workers tell the names, and RabbitMQ logs each missing queue."""

Counts: TypeAlias = QueueCounts | BaseException | None
"""The broker's answer about a queue; ``None``: there is no such queue."""


@attrs.frozen
class Line:
    """One service in the list.

    :ivar has_queue: whether it has a request queue; ``None``: the broker does not tell.
    :ivar consumers: how many workers consume its queue; ``None``: it has none, or the broker does not tell.
    :ivar answered: how many workers of it have answered.
    :ivar waiting: requests in its queue, and in its workers without a slot; ``None``: the broker or a worker does not
        tell.
    :ivar running: calls in progress; ``None``: a worker does not tell.
    :ivar dead: dead letters; ``None``: the broker does not tell.
    :ivar problem: why the broker does not tell.
    """

    service: str
    has_queue: bool | None
    consumers: int | None
    answered: int
    waiting: int | None
    running: int | None
    dead: int | None
    problem: str | None


@click.command("list", short_help="List services, their workers and queues.")
@click.argument("services", metavar="[SERVICE]...", nargs=-1, shell_complete=complete_service)
@asks_workers
def list_command(services: tuple[str, ...], **options: Any) -> None:
    """List the services of a virtual host: those of all workers that answer, and each SERVICE that is named.

    A line for each service: its name; the workers that consume its queue, and after a stroke those that answered, when
    these are others; requests that wait in the queue or in a worker; calls in progress; dead letters. No command can
    ask the broker which queues it has, so a service without a worker is listed only when it is named.

    At most 1000 services are listed that are not named.

    Exit status: 0 when the list is complete; 1 when a named service has never been served here, the broker tells
    nothing of a queue, a worker gave no answer that can be read, workers run and none of them answered, or the
    command failed.
    """
    asking = Asking(**options)
    answers, lines, left_out = asking.run(lambda control: _look(control, services, asking.wait))
    unknown = [line.service for line in lines if line.has_queue is False and line.service in services]
    refused = [line for line in lines if line.problem is not None]
    if asking.as_json:
        say_json(
            {"services": [attrs.asdict(line) for line in lines], "left_out": left_out, **json_of_problems(answers)}
        )
    else:
        head = ("SERVICE", "WORKERS", "WAITING", "IN PROGRESS", "DEAD LETTERS")
        say_lines(table(head, [_cells(line) for line in lines], (1, 2, 3, 4)))
        tell_problems(answers, asking.wait)
    for service in unknown:
        warn(f"{service}: no worker has ever served it here")
    for line in refused:
        warn(f"{line.service}: the broker tells nothing of a queue: {line.problem}")
    if left_out:
        warn(f"{left_out} further services are not listed: name those that you look for")
    hang = not answers.good and answers.end is End.WAITED
    if unknown or refused or hang or left_out or answers.bad or answers.problem is not None:
        raise SystemExit(FAILED)


def _cells(line: Line) -> tuple[str, ...]:
    workers = "-" if line.has_queue is False else _number(line.consumers)
    if line.answered != (line.consumers or 0):
        workers += f"/{line.answered}"
    return line.service, workers, _number(line.waiting), _number(line.running), _number(line.dead)


def _number(known: int | None) -> str:
    return "?" if known is None else str(known)


async def _look(
    control: Control, named: Iterable[str], wait: float
) -> tuple[Answers[WorkerDescription], list[Line], int]:
    """Ask all workers, then the broker about the queues of their services.

    :return: the descriptions with all problems, the lines, and how many services were left out.
    """
    asked = await together([control.workers(wait=wait), control.stats(wait=wait)])
    workers: Answers[WorkerDescription] = asked[0]
    stats: Answers[WorkerStats] = asked[1]
    topologies = {service: ServiceTopology(service) for service in named}
    answered: Counter[str] = Counter()
    for worker in workers:
        for service in worker.services:
            answered[service.name] += 1
            topologies[service.name] = ServiceTopology(service.name, service.exchange, queue=service.queue)
    others = sorted(topologies.keys() - set(named))
    listed = sorted({*named, *others[:MOST_SERVICES]})
    turn = DeferredSemaphore(AT_ONCE)

    counted = Counter(service.name for worker in stats for service in worker.services)

    async def line(topology: ServiceTopology) -> Line:
        asked = (_asked(control, turn, queue) for queue in _queues(topology))
        counts: list[Counts] = await together(asked)
        service = topology.service
        total = add_up(stats, service) if counted[service] >= answered[service] else None
        return _line(service, answered[service], total, counts)

    lines = [Deferred.fromCoroutine(line(topologies[service])) for service in listed]
    return with_problems_of(workers, stats), await together(lines), len(topologies) - len(listed)


def with_problems_of(workers: Answers[WorkerDescription], stats: Answers[WorkerStats]) -> Answers[WorkerDescription]:
    """Return the descriptions with the problems of both questions. A worker that answers both badly is told once."""
    told = {each.instance for each in workers.bad if each.instance is not None}
    bad = (*workers.bad, *(each for each in stats.bad if each.instance not in told))
    return attrs.evolve(workers, bad=bad, problem=workers.problem or stats.problem)


def _queues(topology: ServiceTopology) -> list[str]:
    """Return the request queue, and the queues of dead letters."""
    return [topology.queue, *topology.dead_letter_queues]


def _asked(control: Control, turn: DeferredSemaphore, queue: str) -> Deferred[Counts]:
    """Ask the broker about a queue. Fires with its counts, ``None`` when there is no such queue, or a refusal."""

    def refused(failure: Failure) -> BaseException | None:
        failure.trap(ChannelClosed, CodecError)  # workers tell the names
        return failure.value

    return turn.run(control.connection.queue_counts, queue).addErrback(refused)


def _line(service: str, answered: int, total: ServiceTotal | None, counts: Sequence[Counts]) -> Line:
    """Return the line of a service.

    :param total: ``None``: a worker that has described the service has not told its load.
    :param counts: of :func:`_queues`.
    """
    requests, *dead = counts
    is_told = not isinstance(requests, BaseException)
    ready = requests.ready if isinstance(requests, QueueCounts) else 0
    problems = [str(each) for each in counts if isinstance(each, BaseException)]
    letters = [each.ready if isinstance(each, QueueCounts) else 0 for each in dead]
    return Line(
        service,
        requests is not None if is_told else None,
        requests.consumers if isinstance(requests, QueueCounts) else None,
        answered,
        ready + total.waiting if is_told and total is not None else None,
        None if total is None else total.running,
        None if any(isinstance(each, BaseException) for each in dead) else sum(letters),
        problems[0] if problems else None,
    )
