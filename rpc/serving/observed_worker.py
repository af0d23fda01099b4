"""A worker with all that observes it: the one code behind ``thrift-rpc serve`` and ``twistd rpc-worker``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from rpc import log
from rpc.exit_status import end_program
from rpc.hosting import EXIT_STATUS, Worker
from rpc.serving.health import HealthServer
from rpc.serving.marker_file import MarkerFile
from rpc.serving.notifier import Notifier
from rpc.serving.observed import ObservedService
from rpc.serving.slow_calls import SlowCalls
from rpc.serving.watch import Watch
from rpc.uri import BrokerURI
from rpc.worker.readiness import Readiness
from rpc.worker.service import ThriftService

LOOPBACK: Final = "127.0.0.1"


@attrs.frozen(kw_only=True)
class WorkerSettings:
    """The options of a worker that is observed; ``docs/options.md`` has them."""

    broker: BrokerURI
    drain_timeout: float
    on_refusal: str
    spec: str | None = None
    connect_timeout: float | None = None
    slow_call: float | None = None
    health_port: int | None = None
    health_interface: str = LOOPBACK
    ready_file: str | None = None

    def worker(self, reactor: Any, services: Iterable[ThriftService]) -> Worker:
        """Return the worker.

        :raises ConfigurationError: an option is wrong.
        """
        return Worker(
            self.broker,
            services,
            drain_timeout=self.drain_timeout,
            on_refusal=self.on_refusal,
            spec=self.spec,
            interceptors=() if self.slow_call is None else (SlowCalls(reactor, self.slow_call),),
            reactor=reactor,
        )

    def health(self, reactor: Any, readiness: Callable[[], Readiness]) -> HealthServer | None:
        """Return the pages, if there are to be any."""
        if self.health_port is None:
            return None
        return HealthServer(reactor, self.health_interface, self.health_port, readiness)

    def marker(self) -> MarkerFile | None:
        """Return the file that exists while the program is ready, if there is to be one.

        :raises ConfigurationError: it cannot be written.
        """
        return None if self.ready_file is None else MarkerFile("--ready-file", self.ready_file)

    def watch(self, reactor: Any, worker: Worker, notifier: Notifier, ready_file: MarkerFile | None) -> Watch:
        """Return what watches the worker, and ends the program when the broker does not let it in."""
        timeout = self.connect_timeout

        def give_up() -> None:
            problem = worker.problem or "the broker has not answered yet"
            log.warn(f"the worker ends: for {timeout:g} s, not all services could be consumed: {problem}")
            end_program(reactor, EXIT_STATUS)

        watch = Watch(reactor, lambda: worker.readiness, notifier, ready_file, timeout, give_up)
        # So READY is not sent a second late. A refusal is in the log already.
        worker.when_serving().addCallbacks(lambda _: watch.look(), lambda _: None)
        return watch


def observed_worker(
    reactor: Any, settings: WorkerSettings, worker: Worker, notifier: Notifier, pid_file: MarkerFile | None = None
) -> ObservedService:
    """Return the service that a program runs.

    :raises ConfigurationError: a file cannot be written.
    """
    watch = settings.watch(reactor, worker, notifier, settings.marker())
    return ObservedService(reactor, worker, watch, settings.health(reactor, lambda: worker.readiness), pid_file)
