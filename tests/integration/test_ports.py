"""Ports for health and metrics that cannot be had: of ``thrift-rpc serve`` and ``twistd rpc-worker``, as processes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

from tests.integration.serve_case import ROOT, ServeTestCase
from tests.processes import WorkerProcess
from tools.processes import Process

OPTIONS = ("health", "metrics")
OTHER_MACHINE = "192.0.2.1"
"""An address for documentation (RFC 5737), which no interface has."""


class PortTests(ServeTestCase):
    """A worker with a port that it cannot have ends with status 2, before it serves, and names the option."""

    def check(self, said: str, *options: str) -> None:
        """Start both programs, and the first one with worker processes, too."""
        for start in (self.serve, self.serve_by_processes, self.twistd):
            program = start(*options, "slow:service")
            self.assertEqual(program.wait(60), 2, program.output())
            self.assertRegex(program.output(), said)
            self.assertNotIn(f"serving {self.name}", program.output())
            self.assertNotIn("Traceback", program.output())

    def serve_by_processes(self, *arguments: str) -> Process:
        """Start the program with a worker process."""
        return self.serve("--workers", "1", *arguments)

    def twistd(self, *arguments: str) -> Process:
        """Start the plugin."""
        environment = {"PYTHONPATH": str(ROOT), "RPC_BROKER": self.url}
        worker = WorkerProcess("rpc-worker", *arguments, folder=self.folder, environment=environment)
        self.addCleanup(worker.kill)
        return worker

    def test_a_port_in_use(self) -> None:
        """Of another program."""
        with taken_port() as port:
            for option in OPTIONS:
                self.check(
                    f"--{option}-port: cannot listen on 127.0.0.1 port {port}: Address already in use",
                    f"--{option}-port",
                    str(port),
                )

    def test_a_port_in_use_beside_one_that_is_free(self) -> None:
        """The free one is given back, too: the program ends."""
        with taken_port() as port:
            self.check(f"--metrics-port: cannot listen on .* {port}", "--health-port", "0", "--metrics-port", str(port))

    def test_an_interface_that_does_not_exist(self) -> None:
        """An address of another machine, and no address."""
        for option, interface in product(OPTIONS, (OTHER_MACHINE, "no address")):
            self.check(
                rf"--{option}-(port|interface): .*{interface}.*: \S+",
                f"--{option}-port",
                "0",
                f"--{option}-interface",
                interface,
            )


@contextmanager
def taken_port() -> Iterator[int]:
    """A port of 127.0.0.1 on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]
