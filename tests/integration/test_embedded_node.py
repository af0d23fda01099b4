"""The embedded broker's own node: it ends with its owner, leaves nothing behind, and reports errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.test_rabbitmq_node import answer, wait_until_gone
from tools.nodes import embedded
from tools.nodes.embedded import EmbeddedNode
from tools.nodes.rabbitmq import NodeFailed
from tools.processes import PROJECT

ORPHAN = """
import os
from tools.nodes.embedded import EmbeddedNode
node = EmbeddedNode()
print(node.folder, flush=True)
node.start()
print(node.pid, flush=True)
os.kill(os.getpid(), 9)
"""


class EmbeddedNodeTests(SynchronousTestCase):
    """A node's life."""

    def node(self) -> EmbeddedNode:
        """A node that has not been started."""
        node = EmbeddedNode()
        self.addCleanup(node.kill)
        return node

    def test_a_node_survives_crash_and_stop_and_leaves_nothing_behind(self) -> None:
        """Killed or stopped, and started again, it answers on the same port; closed, it is gone with its files."""
        node = self.node()
        for end in (node.kill, node.stop):
            self.assertIs(node.start(), node)
            pid = node.pid
            self.assertEqual(answer(node.port), b"\x01")
            self.assertEqual(node.start().pid, pid)
            end()
            self.assertIsNone(node.pid)
            self.assertRaises(ConnectionRefusedError, answer, node.port)
            self.assertRaises(NodeFailed, node.add_virtual_host, "nowhere")
        with node:
            pid = node.pid
        self.assertFalse(node.folder.exists())
        self.assertFalse(Path(f"/proc/{pid}").exists())
        self.assertRaises(ConnectionRefusedError, answer, node.port)

    def test_a_node_ends_with_the_process_that_started_it(self) -> None:
        """No process of a node is left when its owner is killed with SIGKILL."""
        orphan = [sys.executable, "-c", ORPHAN]
        run = subprocess.run(orphan, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, -signal.SIGKILL, run.stderr)
        folder, pid = run.stdout.split()
        self.assertGreater(int(pid), 0)
        self.assertEqual(wait_until_gone(Path(folder)), [])
        subprocess.run(["rm", "-r", folder], check=True)

    def test_a_node_that_cannot_start_says_why(self) -> None:
        """The error carries the end of the node's log, and nothing is left running."""
        node = self.node()
        with socket.create_server(("127.0.0.1", node.port)):
            error = self.assertRaises(NodeFailed, node.start)
        self.assertIn("Address already in use", str(error))
        self.assertIsNone(node.pid)

    def test_a_node_that_falls_silent_is_killed(self) -> None:
        """An operation that is not answered in time fails."""
        node = self.node().start()
        pid = node.pid
        assert pid is not None
        self.patch(embedded, "PATIENCE", 0.2)
        os.kill(pid, signal.SIGSTOP)
        error = self.assertRaises(NodeFailed, node.add_virtual_host, "never")
        self.assertIn("does not answer", str(error))
        self.assertIsNone(node.pid)

    def test_errors_in_the_log_are_told_once(self) -> None:
        """A traceback in the broker's log fails the check of the log, or the end of the node."""
        node = self.node().start()
        node.check_log()
        for check in (node.check_log, node.close):
            with node.log.open("a") as log:
                log.write("Unhandled Error\nTraceback (most recent call last):\nNameError: it is wrong\n")
            self.assertIn("it is wrong", str(self.assertRaises(NodeFailed, check)))
        self.assertFalse(node.folder.exists())
