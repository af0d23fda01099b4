"""The answers of the workers and the broker at one time: data, no I/O.

Workers count since they have started. :mod:`rpc.dashboard.rates` makes rates of two readings.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from rpc.control.totals import MethodTotal


@attrs.frozen
class WorkerService:
    """A service as one worker serves it.

    :ivar running: calls in progress.
    :ivar waiting: requests that have arrived in the worker, and wait for a slot.
    :ivar concurrency: its slots.
    :ivar methods: the counts since the worker's start, by name; ``None``: it counts nothing.
    """

    name: str
    state: str
    running: int
    waiting: int
    concurrency: int
    methods: Mapping[str, MethodTotal] | None


@attrs.frozen
class WorkerReading:
    """The answer of one worker.

    :ivar instance: its unique name.
    :ivar started: when it has started, in seconds since the epoch.
    """

    instance: str
    host: str
    pid: int
    version: str
    state: str
    started: float
    services: tuple[WorkerService, ...]


@attrs.frozen
class QueuedMessages:
    """The messages in the queues of a service; ``None``: not known.

    :ivar waiting: requests that were not delivered to a worker yet.
    :ivar dead: dead letters of all kinds.
    """

    waiting: int | None
    dead: int | None


NOT_COUNTED = QueuedMessages(None, None)


@attrs.frozen
class Reading:
    """All answers.

    :ivar clock: seconds of a clock that does not jump.
    :ivar at: the time of day, in seconds since the epoch.
    :ivar problems: the faults of single answers, in words.
    """

    clock: float
    at: float
    workers: tuple[WorkerReading, ...]
    queues: Mapping[str, QueuedMessages]
    problems: tuple[str, ...] = ()
