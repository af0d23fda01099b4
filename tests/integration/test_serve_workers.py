"""``thrift-rpc serve --workers N``: the supervisor and its processes."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.integration.serve_case import HELD, SERVICE, ServeTestCase
from tests.processes import ServeProcess


def runs(pid: int) -> bool:
    """Return whether a process of another program runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class WorkersTests(ServeTestCase):
    """Several processes."""

    def serve_by(self, count: int, *arguments: str) -> tuple[ServeProcess, list[int]]:
        """Start the program, and return it with the process ids of its workers when all of them serve."""
        program = self.serve("--workers", str(count), *arguments, "slow:service")
        return program, [program.worker_pid() for _ in range(count)]

    def wait_for_end(self, program: ServeProcess, pid: int) -> None:
        """Block until a process has ended."""
        deadline = time.monotonic() + 30
        while runs(pid):
            self.assertLess(time.monotonic(), deadline, program.output())
            time.sleep(0.05)

    @inlineCallbacks
    def test_a_killed_worker_is_started_again(self) -> Any:
        """Its call is run by another process. /ready tells that a process is missing."""
        program, (first, second) = yield deferToThread(self.serve_by, 2, "--health-port", "0")
        client = yield self.client()
        self.assertEqual((yield client.add(1, 1)), 2)
        for pid in (first, second):
            os.kill(pid, signal.SIGKILL)
        yield deferToThread(program.wait_for, "has ended by SIGKILL; another one is started in", times=2)
        call = client.add(2, 2)
        third = yield deferToThread(program.worker_pid)
        self.assertNotIn(third, (first, second))
        self.assertEqual((yield call), 4)
        program.send(signal.SIGTERM)
        self.assertEqual((yield deferToThread(program.wait)), 0, program.output())
        self.assertFalse(runs(third))

    @inlineCallbacks
    def test_sighup_replaces_the_workers_without_a_failed_call(self) -> Any:
        """The new processes have the new code. Each old one ends by itself, with status 0."""
        program, old = yield deferToThread(self.serve_by, 2)
        client = yield self.client()
        self.write_module(SERVICE.replace("EXTRA = 0", "EXTRA = 1000"))
        program.send(signal.SIGHUP)
        answers: set[int] = set()
        while "all worker processes were replaced" not in program.output():
            answers.update((yield gatherResults([client.add(2 - tenths, tenths) for tenths in (0, 0, 0, 1, 2)])))
            yield deferLater(reactor, 0.01)
        self.assertTrue(answers <= {2, 1002}, answers)
        later = yield gatherResults([client.add(1, 0) for _ in range(10)])
        self.assertEqual(set(later), {1001})
        self.assertEqual(program.output().count("has ended with status 0"), 2)
        self.assertFalse(any(map(runs, old)))

    @inlineCallbacks
    def test_broken_code_replaces_no_worker(self) -> Any:
        """The restart ends at the first process that does not serve, and the old ones go on."""
        program, old = yield deferToThread(self.serve_by, 2)
        self.write_module("import missing_module\n")
        program.send(signal.SIGHUP)
        yield deferToThread(program.wait_for, "the restart ends at worker 1: the new process does not serve")
        self.assertIn("No module named 'missing_module'", program.output())
        client = yield self.client()
        self.assertEqual((yield client.add(1, 1)), 2)
        self.assertTrue(all(map(runs, old)))

    @inlineCallbacks
    def test_workers_finish_their_calls_also_when_they_get_every_signal_twice(self) -> Any:
        """A service manager and a terminal send signals to all processes, beside the supervisor."""
        program, (pid,) = yield deferToThread(self.serve_by, 1)
        client = yield self.client()
        call = client.add(7, HELD)
        yield deferToThread(program.wait_for_line, "adding 7")
        program.send(signal.SIGTERM)
        yield deferToThread(program.wait_for_line, "finishing 1 call")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        self.release()
        self.assertEqual((yield call), 7 + HELD)
        self.assertEqual((yield deferToThread(program.wait)), 0, program.output())
        self.assertIn("all calls in progress have finished", program.output())

    @inlineCallbacks
    def test_a_second_signal_ends_all(self) -> Any:
        """Calls in progress are given up."""
        program, (pid,) = yield deferToThread(self.serve_by, 1)
        client = yield self.client()
        client.add(7, HELD).addErrback(lambda _: None)
        yield deferToThread(program.wait_for_line, "adding 7")
        program.send(signal.SIGTERM)
        yield deferToThread(program.wait_for_line, "finishing 1 call")
        program.send(signal.SIGTERM)
        self.assertEqual((yield deferToThread(program.wait)), 0, program.output())
        self.assertIn("stopping with 1 call in progress", program.output())
        self.assertFalse(runs(pid))

    def test_workers_end_with_a_killed_supervisor(self) -> None:
        """They notice it within seconds."""
        program, pids = self.serve_by(2)
        program.kill()
        for pid in pids:
            self.wait_for_end(program, pid)

    def test_refused_workers_are_not_started_for_ever(self) -> None:
        """The program ends with their status: 1 when the broker refuses them, 2 when the module is missing."""
        program = self.serve("--workers", "2", "slow:service", url=self.wrong_password)
        self.assertEqual(program.wait(60), 1, program.output())
        self.assertIn("no worker process can serve: the program ends with status 1", program.output())
        program = self.serve("--workers", "2", "nowhere:service")
        self.assertEqual(program.wait(60), 2, program.output())
        self.assertIn("there is no module 'nowhere'", program.output())

    def test_a_hanging_worker_is_killed_by_the_watchdog(self) -> None:
        """When the service manager has a watchdog: the supervisor alone would satisfy it."""
        manager = str(self.folder / "notify")  # no program listens there
        program = self.serve("--workers", "1", "slow:service", NOTIFY_SOCKET=manager, WATCHDOG_USEC="2000000")
        pid = program.worker_pid()
        os.kill(pid, signal.SIGSTOP)
        program.wait_for("is killed: it has sent no keepalive", timeout=60)
        self.assertNotEqual(program.worker_pid(), pid)

    @inlineCallbacks
    def test_a_worker_that_an_operator_stops_finishes_its_call(self) -> Any:
        """It sends no keepalive meanwhile, which the watchdog must not take for a hang. Another one is started."""
        manager = {"NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "2000000"}
        program = yield deferToThread(lambda: self.serve("--workers", "1", "slow:service", **manager))
        pid = yield deferToThread(program.worker_pid)
        client = yield self.client()
        call = client.add(7, 90)
        yield deferToThread(program.wait_for_line, "adding 7")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual((yield call), 97)
        self.assertNotEqual((yield deferToThread(program.worker_pid)), pid)
        self.assertNotIn("is killed", program.output())


class ReloadTests(ServeTestCase):
    """``--reload``."""

    @inlineCallbacks
    def test_new_code_serves_when_a_module_changes(self) -> Any:
        """Broken code in between ends nothing, also when it is there at the start."""
        self.write_module("this is no Python\n")
        program = self.serve("--reload", "slow:service")
        yield deferToThread(program.wait_for, "has ended with status 2")
        client = yield self.client()
        for extra in (0, 10):
            self.write_module(SERVICE.replace("EXTRA = 0", f"EXTRA = {extra}"))
            yield deferToThread(program.worker_pid)
            yield deferToThread(program.wait_for, "all worker processes were replaced", times=1 + extra // 10)
            self.assertEqual((yield client.add(1, 1)), 2 + extra)
        program.send(signal.SIGINT)
        self.assertEqual((yield deferToThread(program.wait)), 0, program.output())
