"""The three kinds of processes of ``thrift-rpc serve``: one that serves alone, a supervisor, and its workers."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs
import click
from twisted.application.service import MultiService

from rpc import log
from rpc.amqp.codec.spec import load_definition
from rpc.cli.worker import check_name, load_services
from rpc.exit_status import end_program
from rpc.program_signals import ProgramSignals
from rpc.serving.changes import Changes, folders_of
from rpc.serving.marker_file import MarkerFile
from rpc.serving.notifier import Notifier, service_manager, to_supervisor
from rpc.serving.observed import ObservedService
from rpc.serving.observed_worker import LOOPBACK, WorkerSettings, observed_worker
from rpc.serving.signals import obey_supervisor, on_signal, stop
from rpc.serving.slot import Launch
from rpc.serving.supervisor import Supervisor
from rpc.serving.watch import Watch
from rpc.serving.worker_process import STATE_DESCRIPTOR, WorkerProcess

Run: TypeAlias = Callable[[], None]

FAILED: Final = 1
"""Exit status of a program that cannot start, for a reason that no check has found."""

WORKER_PROGRAM: Final = (
    "import sys; sys.path[:] = filter(None, sys.path); from rpc.cli.main import main; main(prog_name='thrift-rpc')"
)
"""Without the current directory on the path, where a user may have a folder named ``rpc``. The services' modules are
searched there later.
"""


@attrs.frozen(kw_only=True)
class Settings(WorkerSettings):
    """The options of the command; ``docs/options.md`` has them.

    :ivar supervised: whether this is a worker process of a supervisor.
    :ivar words: the command line, which worker processes get as well.
    """

    services: tuple[str, ...]
    workers: int | None
    reload: bool
    pidfile: str | None
    log_level: str
    log_format: str
    supervised: bool
    words: tuple[str, ...]

    def pid_file(self) -> MarkerFile | None:
        """Return the file of the process id, if there is to be one."""
        return None if self.pidfile is None else MarkerFile("--pidfile", self.pidfile)


def prepare(reactor: Any, settings: Settings) -> Run:
    """Check the options, and return a function that runs the program until it is stopped.

    :raises ConfigurationError: an option or a module is wrong.
    """
    if settings.supervised:
        return _worker_process(reactor, settings)
    if settings.workers is None and not settings.reload:
        return _single_process(reactor, settings)
    return _supervisor(reactor, settings)


def _single_process(reactor: Any, settings: Settings) -> Run:
    notifier = service_manager(os.environ)
    worker = settings.worker(reactor, load_services(settings.services))
    service = observed_worker(reactor, settings, worker, notifier, pid_file=settings.pid_file())
    return lambda: _run(reactor, service, lambda: None)  # the worker takes the signals


def _worker_process(reactor: Any, settings: Settings) -> Run:
    """Its supervisor has the files and the pages, and asks this process for its metrics."""
    try:
        notifier = to_supervisor(STATE_DESCRIPTOR, lambda _: _orphaned(reactor))
    except OSError:
        raise click.UsageError("--supervised is for the processes of --workers.") from None
    alone = attrs.evolve(
        settings,
        health_port=None,
        metrics_port=None if settings.metrics_port is None else 0,
        metrics_interface=LOOPBACK,
        ready_file=None,
    )
    worker = alone.worker(reactor, load_services(settings.services))
    service = observed_worker(reactor, alone, worker, notifier, announce=notifier.metrics_port)
    return lambda: _run(reactor, service, lambda: obey_supervisor(reactor, worker.abort))


def _orphaned(reactor: Any) -> None:
    log.warn("the supervisor has ended: this worker finishes its calls, and ends")
    stop(reactor)


def _supervisor(reactor: Any, settings: Settings) -> Run:
    """It imports no service, but checks the other options: each of its processes would report the same fault again."""
    for name in settings.services:
        check_name(name)
    load_definition(settings.spec)
    settings.control()
    notifier = service_manager(os.environ)
    launch = _launcher(reactor, settings)
    supervisor = Supervisor(reactor, settings.workers or 1, launch, notifier, keep_trying=settings.reload)
    main = MultiService()
    main.addService(supervisor)
    if settings.reload:
        main.addService(Changes(reactor, folders_of(settings.services), supervisor.restart))
    service = _observed_supervisor(reactor, settings, main, supervisor, notifier)

    def take_signals() -> None:
        on_signal(reactor, signal.SIGHUP, supervisor.restart)
        ProgramSignals(reactor, supervisor.abort).begin()

    return lambda: _run(reactor, service, take_signals)


def _observed_supervisor(
    reactor: Any, settings: Settings, main: MultiService, supervisor: Supervisor, notifier: Notifier
) -> ObservedService:
    watch = Watch(reactor, lambda: supervisor.readiness, notifier, settings.marker())
    servers = settings.page_servers(reactor, lambda: supervisor.readiness, processes=lambda: supervisor.metrics_ports)
    return ObservedService(reactor, main, watch, servers, settings.pid_file())


def _launcher(reactor: Any, settings: Settings) -> Launch:
    command = [sys.executable, "-c", WORKER_PROGRAM, "serve", "--supervised", *settings.words]

    def launch(number: int, on_end: Callable[[WorkerProcess, int], None]) -> WorkerProcess:
        process = WorkerProcess(reactor, f"worker {number}", settings.drain_timeout, on_end)
        process.spawn(command, os.environ)
        return process

    return launch


def _run(reactor: Any, service: ObservedService, take_signals: Callable[[], None]) -> None:
    """Run until the reactor is stopped, which stops the service first.

    :param take_signals: called when the reactor has installed its own handlers.
    """

    def start() -> None:
        take_signals()
        try:
            service.privilegedStartService()
            service.startService()
        except Exception:  # a service of the user may do anything
            log.err(None, "while starting")
            end_program(reactor, FAILED)

    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.callWhenRunning(start)
    reactor.run()
