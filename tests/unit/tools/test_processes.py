"""The processes that tools and tests start: their output, and their ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.processes import PROJECT, Process, ProcessFailed, cpu_seconds, descriptors, resident_bytes

ECHO = "import sys\nprint('ready', flush=True)\nfor line in sys.stdin: print('got', line, end='', flush=True)"
STUBBORN = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(60)"

ORPHAN = """
import os, sys
from tools.processes import Process
process = Process("child", [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"])
process.wait_for("ready")
print(process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


class ProcessTests(SynchronousTestCase):
    """A process is started, read, signalled and ended."""

    def start(self, program: str, **options: object) -> Process:
        """Start a Python program."""
        process = Process("program", [sys.executable, "-c", program], **options)  # type: ignore[arg-type]
        self.addCleanup(process.kill)
        return process

    def test_waits_for_lines_one_after_the_other(self) -> None:
        """Each wait goes on behind the line that the last one returned."""
        process = self.start(
            "print('one'); print('two'); print('one more'); import sys; print('error', file=sys.stderr)"
        )
        self.assertEqual(process.wait_for_line("one"), "one\n")
        self.assertEqual(process.wait_for_line("one"), "one more\n")
        process.wait_for("two", "error")
        process.wait_for("one", times=2)
        self.assertEqual(process.wait(), 0)

    def test_a_wait_fails_when_the_process_ends(self) -> None:
        """The error has the status and the last lines of the output."""
        process = self.start("print('the reason'); raise SystemExit(3)")
        error = self.assertRaises(ProcessFailed, process.wait_for, "never printed")
        self.assertIn("program ended with status 3\nthe reason", str(error))

    def test_a_wait_fails_when_it_takes_too_long(self) -> None:
        """The error has the text that did not come."""
        process = self.start(ECHO, takes_input=True)
        error = self.assertRaises(ProcessFailed, process.wait_for_line, "never printed", timeout=0.1)
        self.assertIn("did not print 'never printed'", str(error))

    def test_takes_input_and_ends_with_it(self) -> None:
        """A program reads its input, and the end of it."""
        process = self.start(ECHO, takes_input=True)
        process.stdin.write(b"a line\n")
        self.assertEqual(process.wait_for_line("got"), "got a line\n")
        process.stdin.close()
        self.assertEqual(process.wait(), 0)

    def test_has_the_environment_it_was_given(self) -> None:
        """Variables are added to ours, or replace them."""
        program = "import os; print('HOME' in os.environ, os.environ['ADDED'])"
        self.start(program, environment={"ADDED": "1"}).wait_for(f"{'HOME' in os.environ} 1")
        self.start(program, environment={"ADDED": "2"}, clean=True).wait_for("False 2")

    def test_tells_what_a_process_uses(self) -> None:
        """Processor time, memory and descriptors come from the kernel."""
        process = self.start(ECHO, takes_input=True)
        process.wait_for("ready")
        self.assertGreaterEqual(cpu_seconds(process.pid), 0)
        self.assertGreater(resident_bytes(process.pid), 1_000_000)
        self.assertGreaterEqual(descriptors(process.pid), 3)

    def test_kills_a_process_that_ignores_sigterm(self) -> None:
        """A process is asked first; its end is certain."""
        self.patch(sys.modules["tools.processes"], "STOP_TIMEOUT", 0.1)
        process = self.start(STUBBORN)
        process.wait_for("ready")
        process.end()
        self.assertEqual(process.wait(), -signal.SIGKILL)
        process.end()
        process.kill()

    def test_a_context_manager_ends_the_process(self) -> None:
        """A process does not outlive its block."""
        with self.start(ECHO, takes_input=True) as process:
            self.assertTrue(process.running)
        self.assertFalse(process.running)

    def test_a_process_ends_with_the_process_that_started_it(self) -> None:
        """The kernel ends a process whose parent is killed."""
        command = [sys.executable, "-c", ORPHAN]
        run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, -signal.SIGKILL, run.stderr)
        status = Path(f"/proc/{run.stdout.strip()}/stat")
        deadline = time.monotonic() + 10
        while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
