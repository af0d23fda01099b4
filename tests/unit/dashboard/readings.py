"""Readings of made-up workers."""

from __future__ import annotations

from collections.abc import Mapping

from rpc.control.call_stats import BOUNDS
from rpc.control.totals import MethodTotal
from rpc.dashboard.readings import QueuedMessages, Reading, WorkerReading, WorkerService

EPOCH = 1_700_000_000.0


def counts(*latencies: int, failed: int = 0) -> MethodTotal:
    """Calls by their time; the rest of the buckets is empty. Some of them failed."""
    padded = (*latencies, *(0 for _ in range(len(BOUNDS) + 1 - len(latencies))))
    outcomes = {"returned": sum(latencies) - failed} | ({"failed": failed} if failed else {})
    return MethodTotal(outcomes, {"ValueError": failed} if failed else {}, padded, float(sum(latencies)))


def service(
    name: str, methods: Mapping[str, MethodTotal] | None = None, *, running: int = 0, waiting: int = 0
) -> WorkerService:
    """A service with 10 slots."""
    return WorkerService(name, "CONSUMING", running, waiting, 10, methods)


def worker(instance: str, *services: WorkerService) -> WorkerReading:
    """A worker that serves."""
    return WorkerReading(instance, "host", 7, "1.0", "ALIVE", EPOCH, services)


def reading(
    clock: float,
    *workers: WorkerReading,
    queues: Mapping[str, QueuedMessages] | None = None,
    problems: tuple[str, ...] = (),
) -> Reading:
    """The reading of these workers' answers."""
    return Reading(clock, EPOCH + clock, workers, queues or {}, problems)
