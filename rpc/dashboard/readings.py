"""What the workers and the broker have answered at one time: data, no I/O.

Workers count since they have started. :mod:`rpc.dashboard.rates` makes rates of two readings.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class MethodCounts:
    """The calls of one method that have ended in one worker, since the worker has started.

    :ivar failed: those of them with neither a result nor an exception of the IDL.
    :ivar errors: calls without a result, by the name of their error.
    :ivar latencies: calls by their time: one number for each of :attr:`Reading.bounds`, and one for longer calls.
    """

    calls: int
    failed: int
    errors: Mapping[str, int]
    latencies: tuple[int, ...]


@attrs.frozen
class WorkerService:
    """A service as one worker serves it.

    :ivar running: calls in progress.
    :ivar waiting: requests that have arrived in the worker, and wait for a slot.
    :ivar concurrency: its slots.
    :ivar methods: by name; ``None``: the worker does not count calls.
    """

    name: str
    state: str
    running: int
    waiting: int
    concurrency: int
    methods: Mapping[str, MethodCounts] | None


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
class QueueCounts:
    """What the queues of a service hold; ``None``: not known.

    :ivar waiting: requests that were not delivered to a worker yet.
    :ivar dead: dead letters of all kinds.
    """

    waiting: int | None
    dead: int | None


NO_COUNTS = QueueCounts(None, None)


@attrs.frozen
class Reading:
    """All answers.

    :ivar clock: seconds of a clock that does not jump.
    :ivar at: the time of day, in seconds since the epoch.
    :ivar bounds: upper bounds of the latencies, in seconds, ascending.
    :ivar problems: what is wrong with single answers, in words.
    """

    clock: float
    at: float
    bounds: tuple[float, ...]
    workers: tuple[WorkerReading, ...]
    queues: Mapping[str, QueueCounts]
    problems: tuple[str, ...] = ()
