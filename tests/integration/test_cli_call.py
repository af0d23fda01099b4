"""``thrift-rpc call`` as people run it: a process of its own, a real broker, and a worker behind it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation
from services import calculator
from services.calculator import CalculatorHandler
from tests.services.support import ServiceTestCase
from tools.nodes.rabbitmq import free_ports

reactor: Any = global_reactor

PROJECT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("thrift-rpc")
STUB = "generated.calculator.Calculator"


@attrs.frozen
class Ended:
    """A command that has ended."""

    status: int
    output: str
    error: str


async def run(*arguments: str) -> Ended:
    """Run ``thrift-rpc call`` in the project's folder."""
    output, error, status = await getProcessOutputAndValue(
        str(COMMAND), ["call", *arguments], env=os.environ, path=str(PROJECT)
    )
    return Ended(status, output.decode(), error.decode())


class Stubborn(CalculatorHandler):
    """A calculator that does not answer pings before it is told to, and fails at sums."""

    def __init__(self) -> None:
        super().__init__()
        self.pinged: Deferred[None] = Deferred()
        self.answer: Deferred[None] = Deferred()

    def ping(self) -> Any:
        self.pinged.callback(None)
        return self.answer

    def sum(self, numbers: object) -> int:
        raise RuntimeError("a secret of the service")


class CallTests(ServiceTestCase):
    """Calls of a calculator, each a process."""

    timeout = 60.0

    async def serve_calculator(self) -> None:
        """Start a worker under a name of the test's own."""
        self.name = self.unique("Calculator")
        self.serve(attrs.evolve(calculator.service, name=self.name))
        await self.client(Calculator, "ping", name=self.name)

    async def serve_stubborn(self) -> Stubborn:
        """The same with a stubborn one, which answers at the test's end."""
        self.name = self.unique("Stubborn")
        stubborn = Stubborn()
        self.serve(rpc.ThriftService(Calculator, stubborn, name=self.name))
        self.addCleanup(stubborn.answer.callback, None)
        await self.client(Calculator, "getStruct", 1, name=self.name)
        return stubborn

    async def answer(self, *arguments: str) -> Any:
        """What a call of the test's calculator prints, as JSON; nothing goes to standard error."""
        ended = await run("--broker", self.url, "--name", self.name, STUB, *arguments)
        self.assertEqual((ended.status, ended.error), (0, ""))
        self.assertEqual(ended.output.count("\n"), 1)
        return json.loads(ended.output)

    async def failure(self, status: int, *arguments: str) -> str:
        """What a call that fails says, in one line without a traceback."""
        ended = await run(*arguments)
        self.assertEqual((ended.status, ended.output), (status, ""), ended.error)
        self.assertTrue(ended.error.startswith("Error: "), ended.error)
        self.assertEqual(ended.error.count("\n"), 1, ended.error)
        return ended.error.removeprefix("Error: ").strip()

    async def test_results(self) -> None:
        """Results of every shape are printed as JSON."""
        await self.serve_calculator()
        self.assertEqual(await self.answer("add", "2", "-3"), -1)
        work = '{"num1": 6, "num2": 7, "op": "MULTIPLY", "comment": "é"}'
        self.assertEqual(await self.answer("calculate", "1", work), 42)
        self.assertEqual(await self.answer("getStruct", "1"), {"key": 1, "value": "42"})
        self.assertEqual(await self.answer("echo", work, "--protocol", "json"), json.loads(work))
        data = base64.b64encode(bytes(range(256))).decode()
        self.assertEqual(await self.answer("blob", data, "--protocol=compact", "--timeout", "20"), data)

    async def test_no_result(self) -> None:
        """A method without a result, or without a reply, prints nothing."""
        await self.serve_calculator()
        for method in ("ping", "zip"):
            self.assertEqual(await run("--broker", self.url, "--name", self.name, STUB, method), Ended(0, "", ""))

    async def test_exception_of_the_idl(self) -> None:
        """The exception's name is followed by its fields as JSON."""
        await self.serve_calculator()
        work = '{"num1": 1, "num2": 0, "op": "DIVIDE"}'
        error = await self.failure(1, "--broker", self.url, "--name", self.name, STUB, "calculate", "1", work)
        name, _, fields = error.partition(" ")
        self.assertEqual(name, InvalidOperation.__name__)
        self.assertEqual(json.loads(fields), {"whatOp": 4, "why": "division by 0"})

    async def test_nobody_serves(self) -> None:
        """A service that no worker serves is told at once, and that nothing was done."""
        name = self.unique("Nobody")
        error = await self.failure(1, "--broker", self.url, "--name", name, STUB, "ping")
        self.assertTrue(error.startswith("service unavailable: "), error)
        self.assertIn(name, error)
        self.assertIn("(not executed)", error)

    async def test_service_that_does_not_answer_or_fails(self) -> None:
        """A call that times out may have been done; a failure of the service is told without its secrets."""
        await self.serve_stubborn()
        options = ("--broker", self.url, "--name", self.name, STUB)
        error = await self.failure(1, "--timeout", "0.5", *options, "ping")
        self.assertTrue(error.startswith("timed out: "), error)
        self.assertIn("(may have been executed)", error)
        error = await self.failure(1, *options, "sum", '{"values": []}')
        self.assertEqual(error, f"service failed: {self.name}.sum: Internal error; see the worker's log")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_interrupt(self) -> None:
        """Control-C ends a call that waits, not successfully."""
        stubborn = await self.serve_stubborn()
        process = subprocess.Popen(
            [str(COMMAND), "call", "--broker", self.url, "--name", self.name, STUB, "ping"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.kill)
        await stubborn.pinged
        process.send_signal(signal.SIGINT)
        output, error = await deferToThread(process.communicate)
        self.assertEqual((process.returncode, output, error.strip()), (1, "", "Aborted!"))

    async def test_wrong_argument(self) -> None:
        """An argument is checked before anything is sent."""
        error = await self.failure(1, "--broker", self.url, STUB, "add", "1", "two")
        self.assertTrue(error.startswith("wrong argument: num2: i32 takes a whole number from "), error)

    async def test_broker_that_is_not_there(self) -> None:
        """A broker that does not listen is told as such."""
        (port,) = free_ports(1)
        error = await self.failure(1, "--broker", f"amqp://127.0.0.1:{port}", STUB, "ping")
        self.assertTrue(error.startswith("broker unreachable: "), error)
        self.assertIn(str(port), error)

    async def test_broker_that_says_nothing(self) -> None:
        """The timeout holds for connecting, too."""
        silent = Factory.forProtocol(Protocol)
        port: Any = reactor.listenTCP(0, silent, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"amqp://127.0.0.1:{port.getHost().port}"
        error = await self.failure(1, "--broker", url, "--timeout", "0.5", STUB, "ping")
        self.assertEqual(error, "broker unreachable: no answer within 0.5 s")

    async def test_login_and_virtual_host(self) -> None:
        """A password or virtual host that the broker refuses is told as such, without the password."""
        wrong = self.url.replace("guest:guest", "guest:wr0ng-secret")
        error = await self.failure(1, "--broker", wrong, STUB, "ping")
        self.assertTrue(error.startswith("login refused: "), error)
        self.assertNotIn("wr0ng-secret", error)
        error = await self.failure(1, "--broker", f"{self.url}/nowhere", STUB, "ping")
        self.assertTrue(error.startswith("virtual host refused: "), error)
        self.assertIn("nowhere", error)
