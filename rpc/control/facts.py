"""The interface of a worker to the control service that is a part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rpc.control.call_stats import CallStats
from rpc.worker.consumer import ConsumerState
from rpc.worker.limiter import Load
from rpc.worker.readiness import Readiness
from rpc.worker.service import ThriftService
from rpc.worker.worker_state import WorkerState


class WorkerFacts(Protocol):
    """A worker. ``rpc.hosting`` has the only one; it stands above this package."""

    @property
    def instance(self) -> str:
        """The worker's name."""

    @property
    def state(self) -> WorkerState:
        """The state of its life."""

    @property
    def readiness(self) -> Readiness:
        """Whether it takes requests."""

    @property
    def problem(self) -> str | None:
        """Why there is no connection or channel."""

    @property
    def uptime(self) -> float:
        """Seconds since its start."""

    @property
    def services(self) -> Sequence[ThriftService]:
        """Its services, without the control service."""

    @property
    def service_states(self) -> Mapping[str, ConsumerState]:
        """The state of each service, by its name."""

    @property
    def loads(self) -> Mapping[str, Load]:
        """How busy each service is, by its name."""

    @property
    def call_stats(self) -> CallStats | None:
        """The counts of its calls; ``None``: it keeps none."""

    @property
    def options(self) -> Mapping[str, str]:
        """Its own options, as text."""
