"""The workers that have answered lately, and the services that were seen. No I/O.

A worker that is busy may miss a question, so its last answer stays for some seconds. A service stays without workers
as long as it has a request queue: an operator must see that it is not served.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from rpc.control import Answers, End, ServiceStats, WorkerDescription, WorkerStats
from rpc.control.answers import BLOCKED
from rpc.control.names import service_state_name, status_name
from rpc.control.totals import MethodTotal, add_up
from rpc.dashboard.readings import WorkerReading, WorkerService
from rpc.dashboard.snapshot import MOST_SERVICES
from rpc.topology import ServiceTopology

LATE: Final = 3.0
"""Seconds without an answer after which a worker's state is :data:`SILENT`."""

GONE: Final = 10.0
"""Seconds without an answer after which a worker is not shown any more."""

SILENT: Final = "NO ANSWER"

ALL_SILENT: Final = f"at least one worker runs, and none answers: {BLOCKED}"


@attrs.define
class _Known:
    """The last answers of one worker.

    :ivar heard: when it last answered, by the clock.
    """

    services: tuple[WorkerService, ...]
    heard: float
    started: float
    description: WorkerDescription | None = None


class Roster:
    """Workers and services."""

    def __init__(self, services: Iterable[str] = ()) -> None:
        """:param services: are looked at, even if no worker serves them."""
        self._workers: dict[str, _Known] = {}
        self._wanted = frozenset(services)
        self._queues = {name: ServiceTopology(name).queue for name in self._wanted}

    @property
    def queues(self) -> Mapping[str, str]:
        """The request queues of services, by name."""
        return self._queues

    @property
    def has_strangers(self) -> bool:
        """Whether a worker has not described itself yet."""
        return any(known.description is None for known in self._workers.values())

    def take_stats(self, answers: Answers[WorkerStats], now: float, time: float) -> list[str]:
        """Take answers; return problems with them, in words.

        :param now: by the clock.
        :param time: of day, in seconds since the epoch.
        """
        problems = [f"{each.instance or 'a worker'}: {each.problem}" for each in answers.bad]
        if answers.problem is not None:
            problems.append(answers.problem)
        if self._is_all_silent(answers, now):
            problems.append(ALL_SILENT)
        for stats in answers:
            services = tuple(_service(each, stats) for each in stats.services)
            if stats.kept and any(each.methods is None for each in services):
                problems.append(f"{stats.instance}: counts calls in a way that cannot be added to that of others")
            known = self._workers.get(stats.instance)
            if known is None:
                self._workers[stats.instance] = _Known(services, now, time - _finite(stats.uptime))
            else:
                known.services, known.heard = services, now
            for service in stats.services:
                if service.name not in self._queues:
                    self._note(service.name, "")
        for instance, known in list(self._workers.items()):
            if now - known.heard > GONE:
                del self._workers[instance]
        return problems

    def _is_all_silent(self, answers: Answers[WorkerStats], now: float) -> bool:
        """Return whether a worker has got the question, and none has answered for a while. Such workers are not shown
        after :data:`GONE` seconds, so the page would look as if there were none.
        """
        if answers.good or answers.bad or answers.end is not End.WAITED:
            return False
        return all(now - known.heard > LATE for known in self._workers.values())

    def take_descriptions(self, answers: Iterable[WorkerDescription]) -> None:
        """Take the descriptions of workers."""
        for description in answers:
            known = self._workers.get(description.instance)
            if known is not None:
                known.description = description
            for service in description.services:
                self._note(service.name, service.queue)

    def _note(self, service: str, queue: str) -> None:
        """Note a service, unless there are too many: peers choose the names."""
        if service in self._queues or len(self._queues) < MOST_SERVICES:
            self._queues[service] = queue or ServiceTopology(service).queue

    def forget_services(self, missing: Iterable[str]) -> None:
        """Forget services without a request queue, unless a worker serves them, or the user has named them."""
        served = {service.name for known in self._workers.values() for service in known.services}
        for name in set(missing) - served - self._wanted:
            self._queues.pop(name, None)

    def readings(self, now: float) -> tuple[WorkerReading, ...]:
        """Return the workers."""
        return tuple(_reading(instance, known, now) for instance, known in self._workers.items())


def _state(known: _Known, now: float) -> str:
    """Return a worker's state in words; empty until it has described itself."""
    if now - known.heard > LATE:
        return SILENT
    return "" if known.description is None else status_name(known.description.status)


def _reading(instance: str, known: _Known, now: float) -> WorkerReading:
    description = known.description or WorkerDescription()
    return WorkerReading(
        instance=instance,
        host=description.host,
        pid=description.pid,
        version=description.version,
        state=_state(known, now),
        started=known.started,
        services=known.services,
    )


def _finite(seconds: float) -> float:
    """Return a number of a peer; 0 for one that is none in JSON."""
    return seconds if math.isfinite(seconds) else 0.0


def _service(stats: ServiceStats, worker: WorkerStats) -> WorkerService:
    return WorkerService(
        name=stats.name,
        state=service_state_name(stats.state),
        running=stats.running,
        waiting=stats.waiting,
        concurrency=stats.concurrency,
        methods=_methods(stats, worker),
    )


def _methods(stats: ServiceStats, worker: WorkerStats) -> Mapping[str, MethodTotal] | None:
    """Return a worker's counts for a service; ``None``: they cannot be added to those of others."""
    alone = WorkerStats(worker.instance, worker.kept, worker.uptime, worker.bounds, [stats])
    total = add_up([alone], stats.name)
    return None if total.uncounted else total.methods
