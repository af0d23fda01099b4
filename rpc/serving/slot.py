"""One place of a supervisor's worker processes: the restart of its process, and its replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall

from rpc import log
from rpc.backoff import STEADY, retry_delay
from rpc.serving.worker_process import ProcessState, WorkerProcess, in_words
from rpc.worker.readiness import Readiness

FINAL: Final = (1, 2)
"""Exit statuses of a process that ends the same way each time: the broker refuses it, or an option is wrong."""

Launch: TypeAlias = Callable[[int, Callable[[WorkerProcess, int], None]], WorkerProcess]
"""Starts a worker process of a slot's number, which calls the function when it ends."""


class Slot:
    """Keeps one worker process running."""

    def __init__(self, reactor: Any, number: int, launch: Launch, on_refused: Callable[[], bool]) -> None:
        """
        :param on_refused: called when a process was :attr:`refused`. Returns whether the program ends: then the slot
            starts no other process.
        """
        self._reactor = reactor
        self._number = number
        self._launch = launch
        self._on_refused = on_refused
        self._process: WorkerProcess | None = None
        self._replacement: WorkerProcess | None = None
        self._alive: set[WorkerProcess] = set()  # also those that were replaced, and finish their calls
        self._timer: IDelayedCall | None = None
        self._failures = 0
        self._stopping = False
        self._refused: int | None = None

    @property
    def refused(self) -> int | None:
        """The exit status of the last process, if it is :data:`FINAL` and the process has never served. Else ``None``,
        also from the next process that serves on.
        """
        serves = self._process is not None and self._process.ready_at is not None
        return None if serves else self._refused

    @property
    def readiness(self) -> Readiness:
        """Of the process."""
        return Readiness.CONNECTING if self._process is None else self._process.readiness

    @property
    def metrics_port(self) -> int | None:
        """Of the process. ``None``: there is no process, or it has not told its port."""
        return None if self._process is None else self._process.metrics_port

    def start(self) -> None:
        """Start a process, now or later."""
        self._timer = None
        self._process = self._spawn()
        if self._process is None:
            self._start_again()

    def _spawn(self) -> WorkerProcess | None:
        """Return a new process, or ``None``: the machine has too few processes, descriptors or memory."""
        try:
            process = self._launch(self._number, self._ended)
        except OSError as error:
            log.warn(f"worker {self._number} cannot be started: {error.strerror}")
            return None
        self._alive.add(process)
        return process

    def _start_again(self, lasted: float = 0.0) -> float:
        """Start another process after a pause. Return its seconds."""
        self._failures = 1 if lasted >= STEADY else self._failures + 1
        delay = retry_delay(self._failures)
        self._timer = self._reactor.callLater(delay, self.start)
        return delay

    def _ended(self, process: WorkerProcess, status: int) -> None:
        self._alive.discard(process)
        if self._stopping or process is not self._process:
            log.msg(f"{process} has ended {in_words(status)}")
            return
        self._process = None
        lasted = 0.0 if process.ready_at is None else self._reactor.seconds() - process.ready_at
        self._refused = status if process.ready_at is None and status in FINAL else None
        if self._refused is None:
            delay = self._start_again(lasted)
            log.warn(f"{process} has ended {in_words(status)}; another one is started in {delay:.1f} s")
            return
        log.warn(f"{process} has ended {in_words(status)}")
        if not self._on_refused():
            log.warn(f"another worker {self._number} is started in {self._start_again(lasted):.1f} s")

    async def replace(self) -> bool:
        """Start another process. When it serves, it takes the place of the present one, which finishes its calls.

        :return: ``True``; or ``False`` when the other one has ended before, and the present one goes on.
        """
        replacement = self._replacement = self._spawn()
        ready = replacement is not None and await replacement.when_ready()
        self._replacement = None
        if not ready:
            return False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        old, self._process = self._process, replacement
        self._failures, self._refused = 0, None
        if old is not None:
            await old.stop()
        return True

    def give_up_replacement(self) -> None:
        """End a replacement that does not serve yet."""
        if self._replacement is not None:
            self._replacement.stop()

    def kill_silent(self, since: float) -> None:
        """Kill each process that serves and was last heard before `since`. Another one is started."""
        for process in list(self._alive):
            if process.state is ProcessState.READY and process.heard < since:
                process.kill("it has sent no keepalive; most often, a handler blocks its reactor")

    def stop(self) -> Deferred[Any]:
        """Stop all processes. Fires when they have ended."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return DeferredList([process.stop() for process in list(self._alive)])

    def abort(self) -> None:
        """Stop all processes, without their calls."""
        for process in list(self._alive):
            process.abort()
