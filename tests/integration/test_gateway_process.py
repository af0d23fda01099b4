"""Gateways as people run them: ``thrift-rpc gateway`` and ``twistd rpc-gateway``."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from typing import Any

from thrift.Thrift import TMessageType
from twisted.internet.threads import deferToThread

from generated.calculator import Calculator as CalculatorStub
from rpc.envelope import CODECS
from tests.integration.call_case import CallTestCase
from tests.unit.gateway.gateway_in_memory import framed
from tools.processes import Process, twistd

Calculator: Any = CalculatorStub

COMMANDS = {
    "thrift-rpc gateway": ([str(Path(sys.executable).with_name("thrift-rpc")), "gateway"], 0),
    "twistd rpc-gateway": (twistd("rpc-gateway"), -signal.SIGTERM),
}
"""The commands, with the status after SIGTERM. twistd ends by the signal."""

LISTENS = "the gateway listens on "


def exchange(port: int, message: bytes, size: int) -> bytes:
    """Send a framed message, and return the beginning of its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(framed(message))
        return connection.recv(size, socket.MSG_WAITALL)


class GatewayProcessTests(CallTestCase):
    """Both commands are the same gateway."""

    def start(self, command: list[str], *words: str) -> Process:
        """Start a gateway."""
        process = Process("gateway", [*command, *words])
        self.addCleanup(process.close)
        return process

    async def port_of(self, process: Process) -> int:
        """Wait until it listens, and return its port."""
        line = await deferToThread(process.wait_for_line, LISTENS)
        self.assertIn(f"for framed calls of {self.name}", line)
        return int(line.partition(LISTENS)[2].split()[0].rpartition(":")[2])

    async def test_serves_until_a_signal_and_finishes_the_calls_in_progress(self) -> None:
        await self.serve_and_call()
        codec = CODECS["binary"]
        for command, status in COMMANDS.values():
            endpoint = "tcp:0:interface=127.0.0.1"
            process = self.start(command, "--broker", self.url, "--framed", endpoint, self.name)
            port = await self.port_of(process)
            request = codec.encode("calculate", TMessageType.CALL, 3, Calculator.calculate_args(1, None))
            expected = framed(codec.encode("calculate", TMessageType.REPLY, 3, Calculator.calculate_result(7)))
            answer = deferToThread(exchange, port, request, len(expected))
            await self.handler.holding(1)
            process.send(signal.SIGTERM)
            await deferToThread(self._wait_until_closed, port)
            self.handler.release()
            self.assertEqual(await answer, expected)
            self.assertEqual(await deferToThread(process.wait), status, process.output())
            self.assertNotIn("Traceback", process.output())

    def _wait_until_closed(self, port: int) -> None:
        """Block until a gateway listens no more."""
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except OSError:
                return

    async def test_says_in_one_line_why_it_does_not_start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for words, status, told in (
                (("--framed", f"tcp:{port}:interface=127.0.0.1", "A"), (1, 1), f"Couldn't listen on 127.0.0.1:{port}"),
                (("A",), (2, 1), "a gateway needs an endpoint"),
                (("--framed", "nonsense:1", "A"), (2, 1), "'nonsense:1': is no endpoint"),
                (("--framed", "tcp:0"), (2, 1), "Missing argument 'SERVICE...'"),
                (("--framed", "tcp:0", "--timeout", "0", "A"), (2, 1), "--timeout"),
                (("--framed", "tcp:0", "--cors", "x", "A"), (2, 1), "cors='x': must be an origin"),
                (("--framed", "tcp:0", "--broker", "http://a:s3cret@b", "A"), (2, 1), "--broker"),
            ):
                for (command, _), expected in zip(COMMANDS.values(), status, strict=True):
                    broker = () if "--broker" in words else ("--broker", self.url)
                    process = self.start(command, *broker, *words)
                    self.assertEqual(await deferToThread(process.wait), expected, process.output())
                    self.assertIn(told, process.output())
                    self.assertNotIn("Traceback", process.output())
                    self.assertNotIn("s3cret", process.output())

    async def test_both_have_the_same_help(self) -> None:
        helps = []
        for command, _ in COMMANDS.values():
            process = self.start(command, "--help")
            self.assertEqual(await deferToThread(process.wait), 0)
            helps.append(process.output().partition("\n")[2])
        self.assertEqual(helps[0], helps[1])
        self.assertIn("--framed ENDPOINT", helps[0])
