"""Ports of servers that tests start, in several processes at the same time."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tools.nodes.rabbitmq import free_ports
from tools.processes import PROJECT

MANY = 300

OTHER = f"""
from tools.nodes.rabbitmq import free_ports
print(*free_ports({MANY}), flush=True)
input()
"""


class PortTests(SynchronousTestCase):
    """``free_ports``."""

    def test_two_processes_get_different_ports(self) -> None:
        """Nothing listens on them yet. Without claims, some of 300 ports in 12,000 are the same."""
        with subprocess.Popen(
            [sys.executable, "-c", OTHER], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            theirs = set(map(int, other.stdout.readline().split()))
            ours = set(free_ports(MANY))
            other.communicate("\n", timeout=30)
        self.assertEqual((len(theirs), len(ours), theirs & ours), (MANY, MANY, set()))

    def test_a_process_gets_no_port_twice(self) -> None:
        """The server of the first one may be down for a while."""
        self.assertEqual(set(free_ports(MANY)) & set(free_ports(MANY)), set())
