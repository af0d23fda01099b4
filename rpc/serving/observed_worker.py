"""A worker with its observers: the one code behind ``thrift-rpc serve`` and ``twistd rpc-worker``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from rpc import log
from rpc.access_log import AccessLog
from rpc.control.serving import ControlOptions
from rpc.errors import ConfigurationError
from rpc.exit_status import end_program
from rpc.hosting import EXIT_STATUS, Worker
from rpc.serving.health import health_pages
from rpc.serving.marker_file import MarkerFile
from rpc.serving.notifier import Notifier
from rpc.serving.observed import ObservedService
from rpc.serving.pages import Asked, PageServer, page_servers
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
    access_log: str | None = None
    health_port: int | None = None
    health_interface: str = LOOPBACK
    metrics_port: int | None = None
    metrics_interface: str = LOOPBACK
    ready_file: str | None = None
    no_control: bool = False
    control_allow: str | None = None
    no_stats: bool = False

    def worker(self, reactor: Any, services: Iterable[ThriftService]) -> Worker:
        """Return the worker.

        :raises ConfigurationError: an option is wrong.
        """
        services = list(services)  # first: metrics that a module has made are refused below
        interceptors, client_interceptors = self._interceptors(reactor)
        return Worker(
            self.broker,
            services,
            drain_timeout=self.drain_timeout,
            on_refusal=self.on_refusal,
            spec=self.spec,
            interceptors=interceptors,
            client_interceptors=client_interceptors,
            control=self.control(),
            stats=not self.no_stats,
            reactor=reactor,
        )

    def control(self) -> bool | ControlOptions:
        """Return the worker's option ``control``.

        :raises ConfigurationError: users are given, and no control service; or one of them is no name and no pattern.
        """
        if self.control_allow is None:
            return not self.no_control
        if self.no_control:
            raise ConfigurationError("--control-allow: leave it out with --no-control")
        return ControlOptions(allow=[user.strip() for user in self.control_allow.split(",")])

    def _interceptors(self, reactor: Any) -> tuple[list[Any], list[Any]]:
        """Return the interceptors of the worker, and those of its handlers' clients, as the options ask for."""
        at_worker: list[Any] = []
        at_client: list[Any] = []
        if self.metrics_port is not None:
            worker_metrics, client_metrics = metrics_module().metrics_of_worker()
            at_worker.append(worker_metrics)
            at_client.append(client_metrics)
        if self.slow_call is not None:
            at_worker.append(SlowCalls(reactor, self.slow_call))
        if self.access_log is not None:
            at_worker.append(AccessLog(self.access_log))
        return at_worker, at_client

    def page_servers(
        self,
        reactor: Any,
        readiness: Callable[[], Readiness],
        *,
        announce: Callable[[int], object] | None = None,
        processes: Callable[[], Mapping[int, int | None]] | None = None,
    ) -> list[PageServer]:
        """Return the servers of health and metrics, if there are to be any.

        :param announce: see :class:`PageServer`.
        :param processes: returns the ports of worker processes, which have the metrics; see :class:`WorkersMetrics`.
            Without it, this process has them.
        :raises ConfigurationError: the extra ``metrics`` is not installed.
        """
        asked: list[Asked] = []
        if self.health_port is not None:
            asked.append(Asked("health", self.health_interface, self.health_port, health_pages(readiness)))
        if self.metrics_port is not None:
            metrics = metrics_module()
            gather = metrics.of_this_process if processes is None else metrics.WorkersMetrics(reactor, processes)
            page = metrics.MetricsPage(gather)
            asked.append(Asked("metrics", self.metrics_interface, self.metrics_port, {"metrics": page}))
        return page_servers(reactor, asked, announce)

    def marker(self) -> MarkerFile | None:
        """Return the file that exists while the program is ready, if there is to be one.

        :raises ConfigurationError: it cannot be written.
        """
        return None if self.ready_file is None else MarkerFile("--ready-file", self.ready_file)

    def watch(self, reactor: Any, worker: Worker, notifier: Notifier, ready_file: MarkerFile | None) -> Watch:
        """Return the watch on the worker. It ends the program when the broker lets the worker wait too long."""
        timeout = self.connect_timeout

        def give_up() -> None:
            problem = worker.problem or "the broker has not answered yet"
            log.critical(f"the worker ends: for {timeout:g} s, not all services could be consumed: {problem}")
            end_program(reactor, EXIT_STATUS)

        watch = Watch(reactor, lambda: worker.readiness, notifier, ready_file, timeout, give_up)
        # So READY is not sent a second late. A refusal is in the log already.
        worker.when_serving().addCallbacks(lambda _: watch.look(), lambda _: None)
        return watch


def observed_worker(
    reactor: Any,
    settings: WorkerSettings,
    worker: Worker,
    notifier: Notifier,
    *,
    pid_file: MarkerFile | None = None,
    announce: Callable[[int], object] | None = None,
) -> ObservedService:
    """Return the service that a program runs.

    :param announce: see :class:`PageServer`.
    :raises ConfigurationError: a file cannot be written.
    """
    watch = settings.watch(reactor, worker, notifier, settings.marker())
    servers = settings.page_servers(reactor, lambda: worker.readiness, announce=announce)
    return ObservedService(reactor, worker, watch, servers, pid_file)


def metrics_module() -> Any:
    """Return :mod:`rpc.serving.metrics`.

    :raises ConfigurationError: its extra is not installed.
    """
    try:
        importlib.import_module("rpc.metrics")  # first: its error names the extra
        return importlib.import_module("rpc.serving.metrics")
    except ImportError as error:
        raise ConfigurationError(f"--metrics-port: {error}") from error
