"""One worker process of a supervisor."""

from __future__ import annotations

import enum
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from rpc import log
from rpc.worker.readiness import Readiness

STATE_DESCRIPTOR: Final = 3
"""A worker process writes the lines of :mod:`rpc.serving.notifier` here."""

GRACE: Final = 10.0
"""Seconds beyond its drain timeout that a worker process has to end. It bounds its drain itself, unless it hangs."""

ABORT_GRACE: Final = 5.0
"""Seconds that a worker process has to end after an abort."""

MOST_BYTES: Final = 65536
"""Of a line. The lines are short; a handler may write to the wrong descriptor."""


class ProcessState(enum.Enum):
    """The life of a worker process; each state only changes to a later one."""

    STARTING = "has not served yet"
    READY = "has served"
    STOPPING = "finishes its calls"
    ENDED = "has ended"


class WorkerProcess(ProcessProtocol):
    """A worker process. Its output is the supervisor's own, so all lines are kept, also the last ones.

    :ivar state: see :class:`ProcessState`.
    :ivar readiness: as the process has told last.
    :ivar heard: when it sent its last keepalive, by the reactor's clock.
    :ivar metrics_port: where it has its metrics, on 127.0.0.1; ``None``: it has not told, or has none.
    :ivar ready_at: when it was ready first; ``None``: it never was.
    """

    def __init__(
        self, reactor: Any, name: str, drain_timeout: float, on_end: Callable[[WorkerProcess, int], None]
    ) -> None:
        """
        :param name: for the log.
        :param on_end: called once with the exit status, negative for a signal.
        """
        self._reactor = reactor
        self.name = name
        self._drain_timeout = drain_timeout
        self._on_end = on_end
        self.state = ProcessState.STARTING
        self.readiness = Readiness.CONNECTING
        self.heard = reactor.seconds()
        self.ready_at: float | None = None
        self.metrics_port: int | None = None
        self._known_pid: int | None = None
        self._buffer = b""
        self._killer: IDelayedCall | None = None
        self._when_decided: list[Deferred[bool]] = []
        self._when_ended: list[Deferred[None]] = []

    def spawn(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the process.

        :raises OSError: the machine has no more processes or descriptors.
        """
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            self._reactor.spawnProcess(
                self, command[0], command, env=dict(environment), childFDs={0: null, 1: 1, 2: 2, STATE_DESCRIPTOR: "r"}
            )
        finally:
            os.close(null)

    @property
    def pid(self) -> int | None:
        """The process id, or ``None`` when it has ended."""
        return None if self.transport is None else self.transport.pid

    def connectionMade(self) -> None:
        """Note the process id for the log: Twisted forgets it at the end, and the kernel's log names no other."""
        self._known_pid = self.pid

    # -- messages of the process

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Take whole lines."""
        self.heard = self._reactor.seconds()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._buffer = self._buffer[:MOST_BYTES]
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b"=")
        if name == b"X_READINESS":
            self.readiness = Readiness.__members__.get(value.decode(errors="replace"), self.readiness)
        elif name == b"X_METRICS_PORT" and value.isdigit():
            self.metrics_port = int(value)
        elif line == b"READY=1" and self.state is ProcessState.STARTING:
            self.state = ProcessState.READY
            self.ready_at = self.heard
            log.msg(f"{self} serves")
            self._decide(True)
        elif line == b"STOPPING=1" and self.state in (ProcessState.STARTING, ProcessState.READY):
            self._stops()  # it has got a signal from elsewhere, or the broker does not let it in

    def _decide(self, ready: bool) -> None:
        waiting, self._when_decided = self._when_decided, []
        for deferred in waiting:
            deferred.callback(ready)

    def when_ready(self) -> Deferred[bool]:
        """Fires with ``True`` when the process serves, or with ``False`` when it stops or ends before."""
        waiting: Deferred[bool] = Deferred()
        self._when_decided.append(waiting)
        if self.state is not ProcessState.STARTING:
            self._decide(self.state is ProcessState.READY)
        return waiting

    # -- its end

    def processExited(self, reason: Failure) -> None:
        """The process has ended. Programs that it has started may still have its pipe, which is of no use any more."""
        status = _status(reason.value)
        self.state = ProcessState.ENDED
        self.readiness = Readiness.STOPPING
        if self._killer is not None:
            self._killer.cancel()
            self._killer = None
        if self.transport is not None:
            self.transport.loseConnection()
        self._on_end(self, status)
        self._decide(False)
        waiting, self._when_ended = self._when_ended, []
        for deferred in waiting:
            deferred.callback(None)

    def stop(self) -> Deferred[None]:
        """Have it finish its calls and end. Fires when it has ended; kills it when it hangs."""
        ended: Deferred[None] = Deferred()
        if self.state is ProcessState.ENDED:
            ended.callback(None)
            return ended
        self._when_ended.append(ended)
        if self.state is not ProcessState.STOPPING:
            self._signal(signal.SIGTERM)
            self._stops()
        return ended

    def _stops(self) -> None:
        self.state = ProcessState.STOPPING
        self._kill_after(self._drain_timeout + GRACE)
        self._decide(False)

    def abort(self) -> None:
        """Have it end at once, without its calls."""
        if self.state is not ProcessState.ENDED:
            self.state = ProcessState.STOPPING
            self._signal(signal.SIGQUIT)
            self._kill_after(ABORT_GRACE)
            self._decide(False)

    def kill(self, why: str) -> None:
        """Kill it. A restart follows, unless it is stopping."""
        log.warn(f"{self} is killed: {why}")
        self._signal(signal.SIGKILL)

    def _kill_after(self, seconds: float) -> None:
        if self._killer is not None:
            self._killer.cancel()
        self._killer = self._reactor.callLater(seconds, self._hangs)

    def _hangs(self) -> None:
        self._killer = None
        self.kill("it has not ended in time")

    def _signal(self, number: signal.Signals) -> None:
        if self.transport is not None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(int(number))  # Twisted has no name for SIGQUIT

    def __str__(self) -> str:
        return self.name if self._known_pid is None else f"{self.name} (process {self._known_pid})"


def _status(ended: Any) -> int:
    """Return a ``ProcessDone`` or ``ProcessTerminated`` as one number, as :mod:`subprocess` does."""
    if ended.signal is not None:
        return -int(ended.signal)
    return int(ended.exitCode or 0)


def in_words(status: int) -> str:
    """Return how a process has ended."""
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal
        return f"by signal {-status}"
