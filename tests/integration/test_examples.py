"""The examples in other languages work as their READMEs say, and with each other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cross_test import node_peer
from tests.integration.documents import ROOT, blocks
from tests.support import BrokerTestCase
from tools.processes import Process

EXAMPLES = ROOT / "examples"
BROKER_URL = "amqp://localhost"
INSTALL = "npm ci --silent && "
"""Done before the tests: it would remove the packages under other tests."""


class ExampleTests(BrokerTestCase):
    """Each runs in a copy of the examples, in a virtual host of its own."""

    timeout = 120.0

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        shutil.copytree(
            EXAMPLES, self.folder, ignore=shutil.ignore_patterns("node_modules", "generated", "__pycache__")
        )
        self.virtual = self.virtual_host()
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def needs_node(self) -> None:
        """Skip the test where Node.js, or its packages, cannot be had."""
        if node_peer.missing():
            pytest.skip(f"no peer in Node.js: {node_peer.missing()}")
        (self.folder / "node" / "node_modules").symlink_to(EXAMPLES / "node" / "node_modules")

    def run_in(self, example: str, command: str) -> str:
        """Run a command in the folder of an example, and return its output; it must succeed silently."""
        ended = subprocess.run(
            ["sh", "-euc", command.replace(BROKER_URL, self.virtual)],
            cwd=self.folder / example,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60.0,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)
        return ended.stdout

    def follow(self, example: str) -> str:
        """Run the command of a README, and return the output that the README shows."""
        command, printed = blocks(EXAMPLES / example / "README.md")
        self.assertEqual(command.text.count("\n"), 1)
        self.assertEqual(self.run_in(example, command.text.replace(INSTALL, "")), printed.text)
        return printed.text

    def worker(self, example: str, *command: str) -> Process:
        """Start a worker, and wait until it serves."""
        worker = Process(
            f"the worker of {example}",
            [*command, self.virtual],
            folder=self.folder / example,
            environment=self.environment,
        )
        self.addCleanup(worker.close)
        worker.wait_for("serving Glossary")
        return worker

    def test_the_command_of_the_readme_in_node(self) -> None:
        """A worker and a client."""
        self.needs_node()
        self.follow("node")

    def test_the_command_of_the_readme_in_plain_python(self) -> None:
        """A worker and a client."""
        self.follow("python-plain")

    def test_each_calls_the_other(self) -> None:
        """Neither knows the language of the other one."""
        self.needs_node()
        node, plain = self.follow("node"), self.follow("python-plain")  # this compiles the stubs, too
        worker = self.worker("python-plain", sys.executable, "worker.py")
        self.assertEqual(self.run_in("node", f"node client.js {BROKER_URL}"), node)
        worker.close()
        self.worker("node", "node", "worker.js")
        self.assertEqual(self.run_in("python-plain", f"python client.py {BROKER_URL}"), plain)
