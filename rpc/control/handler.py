"""The handler of the control service: answers from facts of the worker, at once."""

from __future__ import annotations

import os
import socket
import time

from zope.interface import implementer

from rpc.control.call_stats import BOUNDS
from rpc.control.describing import describe_service, service_state_of, status_of
from rpc.control.facts import WorkerFacts
from rpc.control.stubs.control import Control as ControlStub
from rpc.control.stubs.control.ttypes import (
    Pong,
    ServiceStats,
    UnknownKey,
    WorkerDescription,
    WorkerStats,
)
from rpc.control.totals import total_of
from rpc.version import __version__
from rpc.worker.service import ThriftService


@implementer(ControlStub.Iface)
class ControlHandler:
    """Answers for one worker."""

    def __init__(self, worker: WorkerFacts) -> None:
        self._worker = worker

    # -- fb303's methods

    def getName(self) -> str:
        return ", ".join(service.name for service in self._worker.services)

    def getVersion(self) -> str:
        return __version__

    def getStatus(self) -> int:
        return status_of(self._worker.state, self._worker.readiness)

    def getStatusDetails(self) -> str:
        worker = self._worker
        return worker.readiness.value + (f": {worker.problem}" if worker.problem else "")

    def getCounters(self) -> dict[str, int]:
        worker = self._worker
        counters: dict[str, int] = {}
        for name, load in worker.loads.items():
            counters[f"{name}.running"] = load.running
            counters[f"{name}.waiting"] = load.waiting
            counters[f"{name}.concurrency"] = load.concurrency
            if worker.call_stats is not None:
                totals = [total_of(each) for each in worker.call_stats.of(name)]
                counters[f"{name}.calls"] = sum(each.calls for each in totals)
                counters[f"{name}.exceptions"] = sum(each.exceptions for each in totals)
                counters[f"{name}.errors"] = sum(each.failures for each in totals)
        return counters

    def getCounter(self, key: str) -> int:
        counters = self.getCounters()
        if key not in counters:
            raise UnknownKey(key)
        return counters[key]

    def getOptions(self) -> dict[str, str]:
        return dict(self._worker.options)

    def getOption(self, key: str) -> str:
        options = self._worker.options
        if key not in options:
            raise UnknownKey(key)
        return options[key]

    def aliveSince(self) -> int:
        return int(time.time() - self._worker.uptime)

    # -- our own

    def ping(self) -> Pong:
        worker = self._worker
        return Pong(
            instance=worker.instance, status=self.getStatus(), services=[service.name for service in worker.services]
        )

    def describe(self, name: str) -> WorkerDescription:
        worker = self._worker
        states = worker.service_states
        return WorkerDescription(
            instance=worker.instance,
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            uptime=worker.uptime,
            status=self.getStatus(),
            details=self.getStatusDetails(),
            options=self.getOptions(),
            services=[
                describe_service(service, states[service.name], with_idl=bool(name)) for service in self._chosen(name)
            ],
        )

    def stats(self, name: str) -> WorkerStats:
        worker = self._worker
        return WorkerStats(
            instance=worker.instance,
            kept=worker.call_stats is not None,
            uptime=worker.uptime,
            bounds=list(BOUNDS),
            services=[self._stats_of(service.name) for service in self._chosen(name)],
        )

    def _chosen(self, name: str | None) -> list[ThriftService]:
        return [service for service in self._worker.services if not name or service.name == name]

    def _stats_of(self, name: str) -> ServiceStats:
        worker = self._worker
        load, counted = worker.loads[name], worker.call_stats
        return ServiceStats(
            name=name,
            state=service_state_of(worker.service_states[name]),
            running=load.running,
            waiting=load.waiting,
            concurrency=load.concurrency,
            methods=[] if counted is None else counted.of(name),
        )
