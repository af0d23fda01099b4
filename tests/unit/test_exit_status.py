"""The status of a program that ends itself, and its last steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]

PROGRAM = """
import atexit

atexit.register(print, "registered before the import")
import rpc.exit_status
from twisted.internet import reactor

reactor.addSystemEventTrigger("before", "shutdown", print, "services stop")
rpc.exit_status.end_program(reactor, 3)
reactor.callWhenRunning(rpc.exit_status.end_program, reactor, 4)
atexit.register(print, "registered after the import")
reactor.run()
print("the last line")
"""

COUNTS = """
import atexit
from twisted.internet import reactor

before = atexit._ncallbacks()
import rpc.exit_status

print(atexit._ncallbacks() - before)
"""


class ExitTests(SynchronousTestCase):
    """In processes."""

    def run_program(self, text: str) -> tuple[int, list[str]]:
        """Run a program. Return its status and the lines that it has printed."""
        command = [sys.executable, "-c", text]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(ended.stderr, "")
        return ended.returncode, ended.stdout.splitlines()

    def test_ends_with_the_last_status_after_all_other_work(self) -> None:
        """Each function of atexit runs once, the latest first."""
        expected = ["services stop", "the last line", "registered after the import", "registered before the import"]
        self.assertEqual(self.run_program(PROGRAM), (4, expected))

    def test_an_import_registers_nothing(self) -> None:
        """A program that does not end itself is left alone."""
        self.assertEqual(self.run_program(COUNTS), (0, ["0"]))
