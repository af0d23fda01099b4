"""The demo as a process: its output, and its ends, which leave nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.test_rabbitmq_node import wait_until_gone

PROJECT = Path(__file__).parents[2]


class DemoTests(SynchronousTestCase):
    """Each test runs the demo with a temporary folder of its own, in which leftovers are found."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start the demo."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.demo.demo", *options],
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.__exit__, None, None, None)
        self.addCleanup(process.kill)
        return process

    def read_until(self, process: subprocess.Popen[str], text: str) -> str:
        """The first line that holds `text`."""
        assert process.stdout is not None
        for line in process.stdout:
            if text in line:
                return line
        raise AssertionError(f"the demo never said {text!r}: {process.communicate()}")

    def assert_nothing_left(self) -> None:
        """No process and no file. Erlang's helpers end when they notice the end of their VM."""
        self.assertEqual(wait_until_gone(self.folder), [])
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_every_call_is_answered(self) -> None:
        """The table has a line for each method, with as many answers as calls, and the kill hit calls in flight."""
        self.assertIn("Starting the embedded broker", self.run_through())

    def test_every_call_is_answered_on_rabbitmq(self) -> None:
        """The same on a RabbitMQ."""
        self.assertIn("Starting a private RabbitMQ node", self.run_through("--rabbitmq"))

    def run_through(self, *options: str) -> str:
        """Run a demo with fewer calls to its end; return its output."""
        demo = self.start("--lines", "1500", "--calls", "3000", *options)
        out, err = demo.communicate(timeout=120)
        self.assertEqual((demo.returncode, err), (0, ""), out)
        rows = re.findall(r"^(\w+\.\w+) +([\d,]+) +([\d,]+) +[\d.]+ +[\d,]+$", out, re.MULTILINE)
        expected = [("kvstore.put", "1,500"), ("report.summarize", "1"), ("calculator.add", "3,000")]
        self.assertEqual(rows, [(method, count, count) for method, count in expected], out)
        self.assertIn("report says: 1,500 lines", out)
        self.assertRegex(out, r"kill -9 of worker 1: 3,000 of 3,000 calls answered; the [1-9]\d* that it had taken")
        self.assertNotIn("\r", out)
        self.assert_nothing_left()
        return out

    def test_watch_shows_the_dashboard_until_ctrl_c(self) -> None:
        """Calls go on meanwhile. Ctrl-C is the usual end."""
        demo = self.start("--watch", "--port", "0")
        address = self.read_until(demo, "Open http").split()[1]
        rate = 0.0
        with urllib.request.urlopen(f"{address}events", timeout=30) as stream:  # noqa: S310  # a URL of the test
            while not rate:
                line = stream.readline().decode()
                if line.startswith("data: "):
                    rate = json.loads(line[6:]).get("totals", {}).get("figures", {}).get("rate", 0.0)
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=60)
        self.assertEqual((demo.returncode, err), (0, ""), out)
        self.assertIn("Nothing is left running.", out)
        self.assert_nothing_left()

    def test_ctrl_c_ends_the_demo_in_order(self) -> None:
        """Interrupted in the midst of its calls, it ends with the status of a Ctrl-C, without complaints."""
        demo = self.start("--calls", "1000000")
        self.read_until(demo, "Adding")
        demo.send_signal(signal.SIGINT)
        _, err = demo.communicate(timeout=60)
        self.assertEqual((demo.returncode, err), (128 + signal.SIGINT, ""))
        self.assert_nothing_left()

    def test_unanswered_calls_fail_the_demo(self) -> None:
        """Without workers it exits with 1, says which calls were not answered, and shows the logs."""
        demo = self.start("--timeout", "1")
        line = self.read_until(demo, "Starting two twistd workers")
        for pid in re.findall(r"\d+", line.partition("processes")[2]):
            os.kill(int(pid), signal.SIGKILL)
        _, err = demo.communicate(timeout=60)
        self.assertEqual(demo.returncode, 1, err)
        self.assertRegex(err, r"FAILED: DemoFailed: kvstore.put: [\d,]+ of [\d,]+ calls were answered")
        self.assertIn("CallTimedOut", err)
        for name in ("the embedded broker", "worker 1", "worker 2"):
            self.assertIn(f"-- end of the log of {name}", err)
        self.assert_nothing_left()

    def test_a_killed_demo_leaves_no_processes(self) -> None:
        """When the demo itself is killed, broker and workers end with it."""
        demo = self.start("--calls", "1000000")
        self.read_until(demo, "Adding")
        demo.kill()
        demo.communicate(timeout=60)
        self.assertEqual(wait_until_gone(self.folder), [])
