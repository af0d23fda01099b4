"""The private node itself: it answers, crashes, comes back, and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.support import BrokerTestCase
from tools.nodes.rabbitmq import NodeFailed, RabbitMQNode, free_ports

PROJECT = Path(__file__).parents[2]

ORPHAN = """
import os
from tools.nodes.rabbitmq import RabbitMQNode
node = RabbitMQNode()
print(node.folder, flush=True)
node.start()
print(node.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def answer(port: int) -> bytes:
    """The first byte that the broker on the port says to an AMQP header."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1)


def processes_of(folder: Path) -> list[int]:
    """Living processes whose environment names the folder: the node's VM, its helpers, its epmd."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if bytes(folder) in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return found


def wait_until_gone(folder: Path) -> list[int]:
    """The node's processes that still live when those that the VM's end takes with it had time to notice."""
    deadline = time.monotonic() + 60
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


class NodeTests(SynchronousTestCase):
    """A node's life, on a node of its own."""

    def test_a_node_survives_crash_and_stop_and_leaves_nothing_behind(self) -> None:
        """Killed and started again it answers on the same port; closed, its processes, ports and files are gone."""
        node = RabbitMQNode()
        self.addCleanup(node.close)
        node.start()
        first = node.pid
        self.assertEqual(answer(node.port), b"\x01")
        node.ctl("add_vhost", "kept")
        node.kill()
        self.assertIsNone(node.pid)
        self.assertRaises(ConnectionRefusedError, answer, node.port)
        self.assertRaises(NodeFailed, node.ctl, "status")
        node.start()
        self.assertNotEqual(node.pid, first)
        self.assertEqual(answer(node.port), b"\x01")
        self.assertIn("kept", node.ctl("list_vhosts").split())
        node.close()
        self.assertEqual(wait_until_gone(node.folder), [])
        self.assertFalse(node.folder.exists())
        self.assertRaises(ConnectionRefusedError, answer, node.port)

    def test_a_node_dies_with_the_process_that_started_it(self) -> None:
        """No process of a node is left when its owner is killed with SIGKILL."""
        orphan = [sys.executable, "-c", ORPHAN]
        run = subprocess.run(orphan, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(run.returncode, -signal.SIGKILL, run.stderr)
        folder, pid = run.stdout.split()
        self.assertGreater(int(pid), 0)
        self.assertEqual(wait_until_gone(Path(folder)), [])
        subprocess.run(["rm", "-r", folder], check=True)

    def test_a_node_that_cannot_start_says_why(self) -> None:
        """The error carries the end of the node's log, and nothing is left running."""
        node = RabbitMQNode(config={"no_such_setting": "1"})
        self.addCleanup(node.close)
        error = self.assertRaises(NodeFailed, node.start)
        self.assertIn("no_such_setting", str(error))
        self.assertEqual(wait_until_gone(node.folder), [])

    def test_free_ports_are_different(self) -> None:
        """No port is handed out twice."""
        ports = free_ports(20)
        self.assertEqual(len(set(ports)), 20)


@pytest.mark.rabbitmq_only("it tests the node of RabbitMQ that the other tests use")
class SharedNodeTests(BrokerTestCase):
    """The node that pytest shares among all tests."""

    broker: ClassVar[RabbitMQNode]

    def test_both_listeners_answer(self) -> None:
        """The plain and the TLS listener take a connection, the latter with a certificate of the node's authority."""
        self.assertEqual(answer(self.broker.port), b"\x01")
        context = ssl.create_default_context(cafile=str(self.broker.ca_file))
        with (
            socket.create_connection(("127.0.0.1", self.broker.tls_port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname="localhost") as secured,
        ):
            secured.sendall(b"AMQP\x00\x00\x09\x01")
            self.assertEqual(secured.recv(1), b"\x01")

    def test_restart_keeps_the_port(self) -> None:
        """After a restart of the broker inside its VM the same port answers."""
        pid = self.broker.pid
        self.broker.restart()
        self.assertEqual(answer(self.broker.port), b"\x01")
        self.assertEqual(self.broker.pid, pid)

    def test_a_test_gets_a_virtual_host_of_its_own(self) -> None:
        """A test gets a fresh virtual host by name in the URI."""
        name = self.virtual_host().rpartition("/")[2]
        self.assertIn(name, self.broker.ctl("list_vhosts").split())
