"""Gateways as people run them: ``thrift-rpc gateway`` and ``twistd rpc-gateway``."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from thrift.Thrift import TMessageType
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from generated.calculator import Calculator as CalculatorStub
from rpc.envelope import CODECS
from services.calculator import CalculatorHandler
from tests.integration.call_case import CallTestCase
from tests.integration.test_gateway import receive
from tests.unit.gateway.gateway_in_memory import framed
from tools.processes import Process, twistd

Calculator: Any = CalculatorStub

COMMANDS = {
    "thrift-rpc gateway": ([str(Path(sys.executable).with_name("thrift-rpc")), "gateway"], 0),
    "twistd rpc-gateway": (twistd("rpc-gateway"), -signal.SIGTERM),
}
"""The commands, with the status after SIGTERM. twistd ends by the signal."""

ENDPOINT = "tcp:0:interface=127.0.0.1"

ANSWER = framed(CODECS["binary"].encode("calculate", TMessageType.REPLY, 3, Calculator.calculate_result(7)))

LISTENS = "the gateway listens on "


def exchange(port: int, message: bytes, size: int) -> bytes:
    """Send a framed message, and return the beginning of its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(framed(message))
        try:
            return receive(connection, size)
        except ConnectionResetError:  # the gateway has aborted it
            return b""


class GatewayProcessTests(CallTestCase):
    """Both commands are the same gateway."""

    timeout = 200.0  # a test starts up to 14 processes, one after the other

    def start(self, command: list[str], *words: str, **options: Any) -> Process:
        """Start a gateway.

        :param options: of the process.
        """
        process = Process("gateway", [*command, *words], **options)
        self.addCleanup(process.close)
        return process

    async def with_a_call(self, command: list[str], *words: str) -> tuple[Process, int, Deferred[bytes]]:
        """Start a gateway, and begin a call whose handler waits. Return the gateway, its port, and the answer."""
        process = self.start(command, "--broker", self.url, "--framed", ENDPOINT, *words, self.name)
        port = await self.port_of(process)
        request = CODECS["binary"].encode("calculate", TMessageType.CALL, 3, Calculator.calculate_args(1, None))
        answer = deferToThread(exchange, port, request, len(ANSWER))
        await self.handler.holding(1)
        return process, port, answer

    async def port_of(self, process: Process) -> int:
        """Wait until it listens, and return its port."""
        line = await deferToThread(process.wait_for_line, LISTENS)
        self.assertIn(f"for framed calls of {self.name}", line)
        return int(line.partition(LISTENS)[2].split()[0].rpartition(":")[2])

    async def test_serves_until_a_signal_and_finishes_the_calls_in_progress(self) -> None:
        await self.serve_and_call()
        for command, terminated in COMMANDS.values():
            for number, status in ((signal.SIGTERM, terminated), (signal.SIGHUP, 0)):
                process, port, answer = await self.with_a_call(command)
                process.send(number)
                await deferToThread(self._wait_until_closed, port)
                self.handler.release()
                self.assertEqual(await answer, ANSWER)
                self.assertEqual(await deferToThread(process.wait), status, process.output())
                self.assertIn(f"Received {number.name}, shutting down.", process.output())
                self.assertNotIn("Traceback", process.output())

    async def test_a_second_signal_abandons_the_calls_in_progress(self) -> None:
        """Its drain timeout is far away."""
        await self.serve_and_call()
        for command, terminated in COMMANDS.values():
            for first, status in ((signal.SIGTERM, terminated), (signal.SIGHUP, 0)):
                process, port, answer = await self.with_a_call(command, "--drain-timeout", "1000")
                cancelled = self.handler.held.pop().addErrback(lambda failure: failure)
                process.send(first)
                await deferToThread(self._wait_until_closed, port)
                process.send(signal.SIGTERM)
                self.assertEqual(await deferToThread(process.wait), status, process.output())
                self.assertEqual(await answer, b"")
                self.assertIn("the gateway aborts 1 connection with calls in progress", process.output())
                self.assertNotIn("Traceback", process.output())
                await cancelled

    async def test_twistd_finds_files_in_the_rundir(self) -> None:
        """As the daemon will have them: twistd changes the folder after the command line was read."""
        await self.serve_and_call(CalculatorHandler())
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        (folder / "url").write_text(self.url)
        command = twistd("--rundir", folder.name, "rpc-gateway")
        environment = {"RPC_BROKER_FILE": "url"}
        process = self.start(command, "--framed", ENDPOINT, self.name, folder=folder.parent, environment=environment)
        port = await self.port_of(process)
        codec = CODECS["binary"]
        expected = framed(codec.encode("add", TMessageType.REPLY, 3, Calculator.add_result(5)))
        request = codec.encode("add", TMessageType.CALL, 3, Calculator.add_args(2, 3))
        self.assertEqual(await deferToThread(exchange, port, request, len(expected)), expected)

    async def test_twistd_rejects_a_folder_and_a_user_that_it_cannot_use(self) -> None:
        """In one line, before twistd would fail with a traceback."""
        refused = [(("--rundir", "nowhere"), "rpc-gateway: --rundir=nowhere: No such file or directory")]
        if not os.getuid():  # only root can change the user
            cannot = f"rpc-gateway: --uid: user nobody cannot run this program with {sys.executable}: "
            refused.append((("--uid", "nobody"), cannot))
        for options, told in refused:
            process = self.start(twistd(*options, "rpc-gateway"), "--framed", ENDPOINT, "Calculator")
            self.assertEqual(await deferToThread(process.wait), 1, process.output())
            self.assertIn(told, process.output())
            self.assertNotIn("Traceback", process.output())

    def _wait_until_closed(self, port: int) -> None:
        """Block until a gateway listens no more: until its port can be taken. A connection would count as a client."""
        while True:
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                time.sleep(0.02)
            else:
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
