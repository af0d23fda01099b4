"""The supervisor: which processes it starts and stops, and when."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rpc.serving import supervisor as supervisor_module
from rpc.serving.notifier import Notifier
from rpc.serving.supervisor import Supervisor
from rpc.serving.worker_process import ABORT_GRACE, GRACE, ProcessState, WorkerProcess
from rpc.worker.readiness import Readiness
from tests.unit.logs import log_lines

DRAIN_TIMEOUT = 30.0


class Transport:
    """Records the signals of a process."""

    def __init__(self, pid: int) -> None:
        self.pid: int | None = pid
        self.signals: list[str] = []

    def signalProcess(self, number: int) -> None:
        """Note it."""
        self.signals.append(signal.Signals(number).name)

    def loseConnection(self) -> None:
        """Do nothing."""


class SupervisorTests(SynchronousTestCase):
    """Supervisor, with processes that the test plays."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.processes: list[WorkerProcess] = []
        self.statuses: list[int] = []
        self.sent: list[str] = []
        self.spawn_error: OSError | None = None
        self.patch(supervisor_module, "end_program", lambda _, status: self.statuses.append(status))

    def start(self, count: int, *, watchdog: float | None = None, keep_trying: bool = False) -> Supervisor:
        """Start a supervisor."""
        notifier = Notifier(lambda data: self.sent.extend(data.decode().splitlines()), watchdog)
        supervisor = Supervisor(self.clock, count, self.launch, notifier, keep_trying=keep_trying)
        supervisor.startService()
        return supervisor

    def launch(self, number: int, on_end: Callable[[WorkerProcess, int], None]) -> WorkerProcess:
        """Start a process."""
        if self.spawn_error is not None:
            raise self.spawn_error
        process = WorkerProcess(self.clock, f"worker {number}", DRAIN_TIMEOUT, on_end)
        transport: Any = Transport(100 + len(self.processes))
        process.makeConnection(transport)
        self.processes.append(process)
        return process

    def serves(self, process: WorkerProcess, readiness: Readiness = Readiness.READY) -> None:
        """Have the process tell that it serves."""
        process.childDataReceived(3, f"X_READINESS={readiness.name}\nREADY=1\n".encode())

    def end(self, process: WorkerProcess, status: int = 0) -> None:
        """Have the process end."""
        if status < 0:
            why: Exception = ProcessTerminated(signal=-status)
        else:
            why = ProcessTerminated(exitCode=status) if status else ProcessDone(0)
        transport: Any = process.transport
        transport.pid = None  # as Twisted's
        process.processExited(Failure(why))

    def signals(self, processes: Iterable[WorkerProcess]) -> list[list[str]]:
        """Return the signals that each has got."""
        return [process.transport.signals for process in processes]  # type: ignore[union-attr]

    def test_is_ready_when_all_processes_are(self) -> None:
        """Else it has the readiness of the first one that is not. Lines may come in parts."""
        supervisor = self.start(2)
        first, second = self.processes
        self.assertIs(supervisor.readiness, Readiness.CONNECTING)
        self.serves(first)
        second.childDataReceived(3, b"X_READINESS=BLO")
        self.assertIs(supervisor.readiness, Readiness.CONNECTING)
        second.childDataReceived(3, b"CKED\nX_READINESS=nonsense\n\xff\nREADY=1\n")
        self.assertIs(supervisor.readiness, Readiness.BLOCKED)
        self.serves(second)
        self.assertIs(supervisor.readiness, Readiness.READY)
        supervisor.stopService()
        self.assertIs(supervisor.readiness, Readiness.STOPPING)

    def test_knows_where_each_process_has_its_metrics(self) -> None:
        """Of the process that serves: a new one takes the place of the old one when it serves itself."""
        supervisor = self.start(2)
        first, second = self.processes
        self.assertEqual(supervisor.metrics_ports, {1: None, 2: None})
        first.childDataReceived(3, b"X_METRICS_PORT=40001\n")
        second.childDataReceived(3, b"X_METRICS_PORT=nonsense\nX_METRICS_PORT=\n")
        self.assertEqual(supervisor.metrics_ports, {1: 40001, 2: None})
        self.serves(first)
        supervisor.restart()
        third = self.processes[2]
        third.childDataReceived(3, b"X_METRICS_PORT=40003\n")
        self.assertEqual(supervisor.metrics_ports, {1: 40001, 2: None})
        self.serves(third)
        self.assertEqual(supervisor.metrics_ports, {1: 40003, 2: None})
        self.end(third, -signal.SIGKILL)
        self.assertEqual(supervisor.metrics_ports, {1: None, 2: None})

    def test_starts_processes_again_with_growing_pauses(self) -> None:
        """A process that has served for a while begins anew with a short pause."""
        self.start(1)
        lines = log_lines(self)
        pauses = []
        for _ in range(12):
            self.end(self.processes[-1], -signal.SIGSEGV)
            (call,) = self.clock.getDelayedCalls()
            pauses.append(call.getTime() - self.clock.seconds())
            self.clock.advance(pauses[-1])
        self.assertLess(pauses[0], 2)
        self.assertGreater(pauses[-1], 5)
        self.assertLess(max(pauses), 60)
        self.assertIn("worker 1 (process 100) has ended by SIGSEGV; another one is started in", lines[0])
        self.serves(self.processes[-1])
        self.clock.advance(11)
        self.end(self.processes[-1], 0)
        (call,) = self.clock.getDelayedCalls()
        self.assertLess(call.getTime() - self.clock.seconds(), 2)
        self.assertEqual(self.statuses, [])

    def test_ends_when_all_processes_are_refused(self) -> None:
        """However their starts interleave. Not for one of them alone."""
        for status in (1, 2):
            self.processes.clear()
            self.statuses.clear()
            supervisor = self.start(2)
            first, second = self.processes
            self.end(first, status)
            self.clock.advance(3)
            self.assertEqual(len(self.processes), 3)  # it is started again, and has not ended yet
            self.assertEqual(self.statuses, [])
            lines = log_lines(self)
            self.end(second, status)
            self.assertEqual(self.statuses, [status])
            self.assertEqual(lines[0], f"worker 2 (process 101) has ended with status {status}")
            self.assertEqual([line for line in lines if "is started" in line], [])  # the program ends
            self.clock.advance(60)
            self.assertEqual(len(self.processes), 3)
            supervisor.stopService()

    def test_a_refusal_counts_until_another_process_serves(self) -> None:
        """The broker may refuse a worker for a moment. Another one that is refused much later is not the last one."""
        self.start(2)
        first, second = self.processes
        self.end(first, 1)
        self.clock.advance(3)
        self.serves(self.processes[2])
        self.serves(second)
        self.clock.advance(100)
        self.end(second, -signal.SIGSEGV)
        self.clock.advance(3)
        self.end(self.processes[3], 1)
        self.assertEqual(self.statuses, [])

    def test_goes_on_when_a_process_has_served(self) -> None:
        """One that ends with status 1 later is started again; so is one that ends by a signal at once."""
        self.start(1)
        self.serves(self.processes[0])
        self.end(self.processes[0], 1)
        self.clock.advance(3)
        self.end(self.processes[1], -signal.SIGKILL)
        self.assertEqual(self.statuses, [])

    def test_keeps_trying_when_its_code_changes(self) -> None:
        """For ``--reload``."""
        self.start(1, keep_trying=True)
        self.end(self.processes[0], 2)
        self.assertEqual(self.statuses, [])

    def test_replaces_one_process_after_the_other(self) -> None:
        """The new one serves before the old one is stopped, and the next one waits for its end."""
        supervisor = self.start(2)
        old = list(self.processes)
        for process in old:
            self.serves(process)
        supervisor.restart()
        self.assertEqual(len(self.processes), 3)
        self.assertEqual(self.signals(old), [[], []])
        self.serves(self.processes[2])
        self.assertEqual(self.signals(old), [["SIGTERM"], []])
        self.assertEqual(len(self.processes), 3)
        self.end(old[0])
        self.assertEqual(len(self.processes), 4)
        self.serves(self.processes[3])
        self.end(old[1])
        self.assertEqual(self.sent[0], "RELOADING=1")
        self.assertEqual(self.sent[-1], "READY=1")
        self.assertIs(supervisor.readiness, Readiness.READY)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_new_process_that_does_not_serve_replaces_none(self) -> None:
        """The restart ends with it. A later one is possible."""
        supervisor = self.start(2)
        for process in self.processes:
            self.serves(process)
        lines = log_lines(self)
        for status in (2, 1):
            supervisor.restart()
            self.end(self.processes[-1], status)
            self.assertIn("the restart ends at worker 1", lines[-1])
        self.assertEqual(self.signals(self.processes[:2]), [[], []])
        self.assertEqual(self.statuses, [])
        self.assertIs(supervisor.readiness, Readiness.READY)

    def test_a_restart_during_a_restart_begins_anew(self) -> None:
        """A replacement that does not serve yet may have old code already."""
        supervisor = self.start(1)
        self.serves(self.processes[0])
        supervisor.restart()
        supervisor.restart()
        supervisor.restart()
        self.assertEqual(self.signals(self.processes), [[], ["SIGTERM"], ["SIGTERM"], []])
        self.end(self.processes[1])
        self.end(self.processes[2])
        self.serves(self.processes[3])
        self.end(self.processes[0])
        self.assertEqual(len(self.processes), 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_restart_replaces_a_process_that_is_missing(self) -> None:
        """Its pause before the next start is over then."""
        supervisor = self.start(1)
        self.end(self.processes[0], 3)
        supervisor.restart()
        self.serves(self.processes[1])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(supervisor.readiness, Readiness.READY)

    def test_stops_all_processes(self) -> None:
        """Also a replacement, and one that finishes its calls. It fires when all have ended."""
        supervisor = self.start(2)
        for process in self.processes:
            self.serves(process)
        supervisor.restart()
        self.serves(self.processes[2])
        stopped = supervisor.stopService()
        self.assertEqual(self.signals(self.processes), [["SIGTERM"]] * 3)
        for process in list(self.processes):
            self.assertNoResult(stopped)
            self.end(process)
        self.successResultOf(stopped)
        self.assertEqual(len(self.processes), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_kills_a_process_that_does_not_end(self) -> None:
        """Some seconds after its drain timeout, and earlier after an abort."""
        supervisor = self.start(1)
        supervisor.stopService()
        self.clock.advance(DRAIN_TIMEOUT + GRACE - 1)
        self.assertEqual(self.signals(self.processes), [["SIGTERM"]])
        supervisor.abort()
        self.clock.advance(ABORT_GRACE)
        self.assertEqual(self.signals(self.processes), [["SIGTERM", "SIGQUIT", "SIGKILL"]])
        self.end(self.processes[0], -signal.SIGKILL)

    def test_kills_a_process_that_is_silent_for_the_watchdogs_time(self) -> None:
        """Only one that has served: another one may import much. Without a watchdog, none."""
        supervisor = self.start(2, watchdog=10.0)
        first, second = self.processes
        self.serves(first)
        for _ in range(20):
            second.childDataReceived(3, b"WATCHDOG=1\n")
            self.clock.advance(1)
        self.assertEqual(self.signals(self.processes)[1], [])
        self.assertEqual(set(self.signals(self.processes)[0]), {"SIGKILL"})
        supervisor.stopService()

    def test_a_process_that_stops_by_itself_may_finish_its_calls(self) -> None:
        """An operator may send SIGTERM to one process. It is silent meanwhile, and killed when it takes too long."""
        self.start(1, watchdog=2.0)
        (process,) = self.processes
        self.serves(process)
        process.childDataReceived(3, b"X_READINESS=STOPPING\nSTOPPING=1\n")
        self.assertIs(process.state, ProcessState.STOPPING)
        self.clock.pump([1] * int(DRAIN_TIMEOUT + GRACE - 1))
        self.assertEqual(self.signals(self.processes), [[]])
        self.clock.advance(1)
        self.assertEqual(self.signals(self.processes), [["SIGKILL"]])
        self.end(process, -signal.SIGKILL)
        self.clock.advance(3)
        self.assertEqual(len(self.processes), 2)

    def test_kills_no_process_after_a_pause_of_its_own(self) -> None:
        """The machine slept, or the supervisor was stopped: the processes' keepalives are still to be read."""
        self.start(1, watchdog=2.0)
        (process,) = self.processes
        self.serves(process)
        self.clock.advance(60)
        self.assertEqual(self.signals(self.processes), [[]])
        process.childDataReceived(3, b"WATCHDOG=1\n")
        self.clock.advance(3)
        self.assertEqual(self.signals(self.processes), [[]])
        self.clock.pump([1] * 6)
        self.assertEqual(self.signals(self.processes), [["SIGKILL"]])

    def test_a_machine_without_processes_is_tried_again(self) -> None:
        """``fork`` fails at times."""
        self.spawn_error = OSError(11, "Resource temporarily unavailable")
        supervisor = self.start(1)
        supervisor.restart()
        self.assertEqual(self.processes, [])
        self.spawn_error = None
        self.clock.advance(3)
        self.assertEqual([process.state for process in self.processes], [ProcessState.STARTING])
