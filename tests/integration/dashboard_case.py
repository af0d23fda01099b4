"""The base of tests of the dashboard: its process, and workers with calls."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support import BrokerTestCase
from tools.processes import Process

ROOT = Path(__file__).parents[2]


class DashboardCase(BrokerTestCase):
    """Programs of a test, which end with it. These tests block: nothing of them runs on the reactor."""

    timeout = 240.0

    def dashboard(
        self, *options: str, url: str | None = None, port: int = 0, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start ``thrift-rpc dashboard``."""
        command = [str(Path(sys.executable).with_name("thrift-rpc")), "dashboard", "--port", str(port), *options]
        variables = {"RPC_BROKER": url or self.url, **(environment or {})}
        return self._program(Process("dashboard", command, folder=ROOT, environment=variables))

    def address(self, dashboard: Process) -> str:
        """Block until the page is served; return its address."""
        return dashboard.wait_for_line("dashboard: http").partition("dashboard: ")[2].split()[0]

    def fleet(self, *names: str, url: str | None = None) -> Process:
        """Start a worker with services of these names, which are called a few times a second."""
        command = [sys.executable, "-m", "tests.integration.dashboard_fleet", *names]
        fleet = self._program(Process("fleet", command, folder=ROOT, environment={"RPC_BROKER": url or self.url}))
        fleet.wait_for("fleet serves", timeout=120)
        return fleet

    def _program(self, process: Process) -> Process:
        self.addCleanup(process.close)
        return process
