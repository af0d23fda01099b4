"""The content of the page at one time: rows for services and workers, made of a reading and its rates. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Any, Final

import attrs

from rpc.control.totals import NOTHING, MethodTotal
from rpc.dashboard.rates import IDLE, Figures, Rates
from rpc.dashboard.readings import NOT_COUNTED, Reading, WorkerReading, WorkerService
from rpc.printable import printable

MOST_SERVICES: Final = 1000
"""Services that are shown: peers choose the names."""

MOST_WORKERS: Final = 2000
"""Workers that are shown."""

MOST_METHODS: Final = 500
"""Methods of a service that are shown. Each is sent to the page once a second."""

MOST_PROBLEMS: Final = 20
"""Lines about answers that are shown."""

MOST_ERRORS: Final = 20
"""Names of errors of a method that are shown: the most frequent ones."""

LONGEST_NAME: Final = 255
"""Characters of a text of a peer that are shown. AMQP's names have 255 bytes at most."""


class BrokerState(enum.Enum):
    """Whether there is a connection to the broker."""

    CONNECTING = "connecting"
    UP = "up"
    AWAY = "away"


@attrs.frozen
class Broker:
    """The connection to the broker.

    :ivar url: its address, without the password.
    :ivar since: when the state began, in seconds since the epoch.
    :ivar problem: why there is no connection, in words.
    """

    url: str
    state: BrokerState
    since: float
    problem: str | None = None


@attrs.frozen
class MethodRow:
    """One method of a service, of all workers together.

    :ivar calls: since the workers have started.
    :ivar errors: exceptions and errors of these calls, by name.
    """

    name: str
    figures: Figures
    calls: int
    errors: dict[str, int]


@attrs.frozen
class ServiceRow:
    """One service, of all workers together.

    :ivar states: the states of its workers, and how many are in each.
    :ivar counted: whether a worker counts the service's calls. If none does, the figures say nothing.
    :ivar running: calls in progress.
    :ivar concurrency: all slots.
    :ivar waiting: requests in the queue, and in workers without a free slot; ``None``: not known.
    :ivar dead: dead letters; ``None``: not known yet.
    """

    name: str
    workers: int
    states: dict[str, int]
    counted: bool
    figures: Figures
    running: int
    concurrency: int
    waiting: int | None
    dead: int | None


@attrs.frozen
class WorkerRow:
    """One worker."""

    instance: str
    host: str
    pid: int
    version: str
    state: str
    started: float
    services: list[str]
    running: int
    concurrency: int


@attrs.frozen
class Totals:
    """All services together."""

    services: int
    workers: int
    figures: Figures
    running: int
    waiting: int
    dead: int


@attrs.frozen
class Snapshot:
    """Everything that is shown at one time.

    :ivar methods: the rows of each service's methods, by its name.
    """

    at: float
    totals: Totals
    services: tuple[ServiceRow, ...]
    workers: tuple[WorkerRow, ...]
    methods: dict[str, list[MethodRow]]
    problems: tuple[str, ...]


def snapshot_of(reading: Reading, rates: Rates) -> Snapshot:
    """Return the rows for a reading."""
    served: dict[str, list[WorkerService]] = {name: [] for name in reading.queues}
    for worker in reading.workers:
        for service in worker.services:
            served.setdefault(service.name, []).append(service)
    names = sorted(served)
    shown = names[:MOST_SERVICES]
    rows = tuple(_service_row(name, served[name], reading, rates) for name in shown)
    methods = {_shown(name): _method_rows(name, served[name], rates) for name in shown}
    workers = sorted(reading.workers, key=lambda worker: worker.instance)
    return Snapshot(
        at=reading.at,
        totals=Totals(
            services=len(names),
            workers=len(workers),
            figures=rates.total,
            running=sum(row.running for row in rows),
            waiting=sum(row.waiting or 0 for row in rows),
            dead=sum(row.dead or 0 for row in rows),
        ),
        services=rows,
        workers=tuple(map(_worker_row, workers[:MOST_WORKERS])),
        methods={name: rows[:MOST_METHODS] for name, rows in methods.items()},
        problems=_problems(reading, len(names), len(workers), {name: len(rows) for name, rows in methods.items()}),
    )


def _service_row(name: str, parts: list[WorkerService], reading: Reading, rates: Rates) -> ServiceRow:
    counts = reading.queues.get(name, NOT_COUNTED)
    return ServiceRow(
        name=_shown(name),
        workers=len(parts),
        states=dict(Counter(_shown(part.state) for part in parts)),
        counted=any(part.methods is not None for part in parts),
        figures=rates.services.get(name, IDLE),
        running=sum(part.running for part in parts),
        concurrency=sum(part.concurrency for part in parts),
        waiting=None if counts.waiting is None else counts.waiting + sum(part.waiting for part in parts),
        dead=counts.dead,
    )


def _method_rows(service: str, parts: list[WorkerService], rates: Rates) -> list[MethodRow]:
    totals: dict[str, MethodTotal] = {}
    for part in parts:
        for name, total in (part.methods or {}).items():
            totals[name] = totals.get(name, NOTHING).plus(total)
    return [
        MethodRow(
            name=_shown(name),
            figures=rates.methods.get((service, name), IDLE),
            calls=totals[name].calls,
            errors={_shown(error): count for error, count in Counter(totals[name].errors).most_common(MOST_ERRORS)},
        )
        for name in sorted(totals)
    ]


def _worker_row(worker: WorkerReading) -> WorkerRow:
    return WorkerRow(
        instance=_shown(worker.instance),
        host=_shown(worker.host),
        pid=worker.pid,
        version=_shown(worker.version),
        state=_shown(worker.state),
        started=worker.started,
        services=sorted(_shown(service.name) for service in worker.services),
        running=sum(service.running for service in worker.services),
        concurrency=sum(service.concurrency for service in worker.services),
    )


def _problems(reading: Reading, services: int, workers: int, methods: dict[str, int]) -> tuple[str, ...]:
    rows = (("services", services, MOST_SERVICES), ("workers", workers, MOST_WORKERS))
    lines = [f"{count - most} {what} more are not shown" for what, count, most in rows if count > most]
    lines += map(_shown, reading.problems)
    lines += [
        f"{name}: {count - MOST_METHODS} methods more are not shown"
        for name, count in methods.items()
        if count > MOST_METHODS
    ]
    left = len(lines) - MOST_PROBLEMS
    return tuple(lines[:MOST_PROBLEMS] + ([f"{left} further problems"] if left > 0 else []))


def _shown(text: str) -> str:
    """Return text of a peer without characters that change how other text looks, and not too long."""
    return printable(text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}...")


def as_json(row: Any) -> Any:
    """Return a row as the objects that JSON has. Figures are rounded, so that small changes are none."""
    return attrs.asdict(row, value_serializer=_rounded)


def _rounded(_: object, __: object, value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    return float(f"{value:.4g}") if isinstance(value, float) and value < 1e6 else value
