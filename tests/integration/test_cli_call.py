"""``thrift-rpc call`` as a process, with a real broker and a worker."""

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
from thrift.Thrift import TApplicationException
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Work
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


async def run(*arguments: str, given: str | None = None) -> Ended:
    """Run ``thrift-rpc call`` in the project's folder.

    :param given: its standard input.
    """
    if given is not None:
        command = [str(COMMAND), "call", *arguments]
        done = await deferToThread(
            subprocess.run, command, input=given, cwd=PROJECT, capture_output=True, text=True, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)
    output, error, status = await getProcessOutputAndValue(
        str(COMMAND), ["call", *arguments], env=os.environ, path=str(PROJECT)
    )
    return Ended(status, output.decode(), error.decode())


class Stubborn(CalculatorHandler):
    """A calculator that answers a ping when the test ends, and fails at sums."""

    def __init__(self) -> None:
        super().__init__()
        self.pinged: Deferred[None] = Deferred()
        self.answer: Deferred[None] = Deferred()

    def ping(self) -> Any:
        if not self.pinged.called:
            self.pinged.callback(None)
        return self.answer

    def sum(self, numbers: object) -> int:
        raise RuntimeError("a secret of the service")


HOSTILE = "\x1b]0;title\x07\n\x9b2J\x7f\u202e"
"""The title of the window, another line, a clear screen, and text from right to left."""


class Hostile(CalculatorHandler):
    """Answers with text for terminals."""

    def echo(self, work: Work) -> Work:
        return Work(comment=HOSTILE)

    def calculate(self, logid: int, w: Work) -> int:
        raise InvalidOperation(whatOp=1, why=HOSTILE)

    def sum(self, numbers: object) -> int:
        raise TApplicationException(TApplicationException.INTERNAL_ERROR, HOSTILE)


class CallTests(ServiceTestCase):
    """Calls of a calculator, each a process."""

    timeout = 60.0

    async def serve_calculator(self) -> None:
        """Start a worker under a name of the test's own."""
        self.name = self.unique("Calculator")
        self.serve(attrs.evolve(calculator.service, name=self.name))
        await self.client(Calculator, "ping", name=self.name)

    async def serve_stubborn(self) -> Stubborn:
        """Start a worker with a stubborn calculator, which answers at the test's end."""
        self.name = self.unique("Stubborn")
        stubborn = Stubborn()
        self.serve(rpc.ThriftService(Calculator, stubborn, name=self.name))
        self.addCleanup(stubborn.answer.callback, None)
        await self.client(Calculator, "getStruct", 1, name=self.name)
        return stubborn

    async def answer(self, *arguments: str) -> Any:
        """Return the output of a call of the test's calculator, parsed; standard error stays empty."""
        ended = await run("--broker", self.url, "--name", self.name, STUB, *arguments)
        self.assertEqual((ended.status, ended.error), (0, ""))
        self.assertEqual(ended.output.count("\n"), 1)
        return json.loads(ended.output)

    async def failure(self, status: int, *arguments: str) -> str:
        """Return the message of a call that fails: one line without a traceback."""
        ended = await run(*arguments)
        self.assertEqual((ended.status, ended.output), (status, ""), ended.error)
        self.assertTrue(ended.error.startswith("Error: "), ended.error)
        self.assertEqual(ended.error.count("\n"), 1, ended.error)
        return ended.error.removeprefix("Error: ").strip()

    async def test_prints_results_as_json(self) -> None:
        """Of every shape."""
        await self.serve_calculator()
        self.assertEqual(await self.answer("add", "2", "-3"), -1)
        work = '{"num1": 6, "num2": 7, "op": "MULTIPLY", "comment": "é"}'
        self.assertEqual(await self.answer("calculate", "1", work), 42)
        self.assertEqual(await self.answer("getStruct", "1"), {"key": 1, "value": "42"})
        self.assertEqual(await self.answer("echo", work, "--protocol", "json"), json.loads(work))
        data = base64.b64encode(bytes(range(256))).decode()
        self.assertEqual(await self.answer("blob", data, "--protocol=compact", "--timeout", "20"), data)

    async def test_takes_all_arguments_from_standard_input(self) -> None:
        """As JSON, by name or in order."""
        await self.serve_calculator()
        for given in ('{"num2": 3, "num1": 2}', "[2, 3]"):
            ended = await run("--broker", self.url, "--name", self.name, STUB, "add", "-", given=given)
            self.assertEqual(ended, Ended(0, "5\n", ""))
        ended = await run("--broker", self.url, "--name", self.name, STUB, "add", "-", given='{"num1": 2}')
        self.assertEqual((ended.status, ended.output), (2, ""))
        self.assertIn("needs the argument 'num2'", ended.error)

    async def test_needs_no_stub_beside_the_idl(self) -> None:
        """The exceptions of the IDL are known as well."""
        await self.serve_calculator()
        options = ("--broker", self.url, "--name", self.name, "--idl", "idl/calculator.thrift", "Calculator")
        work = '{"num1": 6, "num2": 7, "op": "MULTIPLY"}'
        self.assertEqual(await run(*options, "calculate", "1", work), Ended(0, "42\n", ""))
        error = await self.failure(1, *options, "calculate", "1", '{"num1": 1, "num2": 0, "op": "DIVIDE"}')
        self.assertTrue(error.startswith("InvalidOperation {"), error)
        self.assertIn("i32 add(i32 num1, i32 num2)\n", (await run(*options)).output)
        error = await self.failure(2, "--idl", "idl/calculator.thrift", "Other", "add", "1", "2")
        self.assertIn("no service 'Other'; its services: Calculator, SharedService", error)

    async def test_sends_metadata(self) -> None:
        """JSON or text. A wrong word is not repeated: it may be a secret."""
        self.name = self.unique("Headers")
        seen: list[Any] = []

        class Seeing(CalculatorHandler):
            def ping(self) -> None:
                call = rpc.current_call()
                assert call is not None
                seen.append(dict(call.metadata))

        self.serve(rpc.ThriftService(Calculator, Seeing(), name=self.name))
        await self.client(Calculator, "ping", name=self.name)
        seen.clear()
        options = ("--broker", self.url, "--name", self.name, STUB, "ping")
        self.assertEqual(
            await run(*options, "-H", "tenant=a=b", "--header", "empty=", "-H", "number=5"), Ended(0, "", "")
        )
        self.assertEqual(seen, [{"tenant": "a=b", "empty": "", "number": 5}])
        for wrong in ("s3cret", "=s3cret"):
            ended = await run(*options, "-H", wrong)
            self.assertEqual(ended.status, 2)
            self.assertIn("write it as NAME=VALUE", ended.error)
            self.assertNotIn("s3cret", ended.error)
        ended = await run(*options, "-H", f"{'n' * 300}=1")
        self.assertEqual(ended.status, 2)

    async def test_tells_the_course_of_a_call(self) -> None:
        """On standard error, with the worker that answered, and without values that may be secrets."""
        await self.serve_calculator()
        url = self.url
        options = ("--broker", url, "--name", self.name, STUB, "-v", "-H", "token=s3cret", "--timeout", "20")
        ended = await run(*options, "add", "2", "3")
        self.assertEqual((ended.status, ended.output), (0, "5\n"), ended.error)
        self.assertNotIn("s3cret", ended.error)
        self.assertNotIn("guest:guest", ended.error)
        lines = ended.error.splitlines()
        self.assertEqual(
            [line.partition(":")[0] for line in lines], ["broker", "connected", "request", "message", "end"]
        )
        self.assertIn(f"{self.name}.add to exchange 'rpc', routing key {self.name!r}, binary, deadline in ", lines[2])
        self.assertTrue(lines[2].endswith(" s, metadata token"), lines[2])
        self.assertRegex(lines[3], r"^message: id [\w-]+, \d+ bytes, sent in 1 attempt$")
        self.assertRegex(lines[4], r"^end: after [\d.]+ ms, \d+ bytes, worker [\w.-]+$")
        ended = await run(*options, "calculate", "1", '{"num1": 1, "num2": 0, "op": "DIVIDE"}')
        self.assertRegex(ended.error, r"\nend: after [\d.]+ ms, InvalidOperation, worker [\w.-]+\nError: InvalidOp")
        ended = await run("--broker", url, "--name", self.unique("Nobody"), STUB, "--verbose", "ping")
        self.assertRegex(ended.error, r"\nend: after [\d.]+ ms, ServiceUnavailable, outcome REJECTED\n")

    async def test_prints_nothing_for_a_method_without_result(self) -> None:
        """Void or oneway."""
        await self.serve_calculator()
        for method in ("ping", "zip"):
            self.assertEqual(await run("--broker", self.url, "--name", self.name, STUB, method), Ended(0, "", ""))

    async def test_prints_an_exception_of_the_idl_with_its_fields(self) -> None:
        """Its name, then its fields as JSON."""
        await self.serve_calculator()
        work = '{"num1": 1, "num2": 0, "op": "DIVIDE"}'
        error = await self.failure(1, "--broker", self.url, "--name", self.name, STUB, "calculate", "1", work)
        name, _, fields = error.partition(" ")
        self.assertEqual(name, InvalidOperation.__name__)
        self.assertEqual(json.loads(fields), {"whatOp": 4, "why": "division by 0"})

    async def test_shows_what_a_service_answers_without_control_characters(self) -> None:
        """Results, exceptions of the IDL and failures stay one line, and JSON."""
        self.name = self.unique("Hostile")
        self.serve(rpc.ThriftService(Calculator, Hostile(), name=self.name))
        self.assertEqual(await self.answer("echo", "{}"), {"num1": 0, "op": "ADD", "comment": HOSTILE})
        for method, arguments in (("calculate", ("1", "{}")), ("sum", ('{"values": [1]}',))):
            error = await self.failure(1, "--broker", self.url, "--name", self.name, STUB, method, *arguments)
            self.assertTrue(error.isprintable(), error)
            self.assertIn(r"\u001b]0;title\u0007\n\u009b2J\u007f\u202e", error)

    async def test_reports_a_service_without_workers_as_not_executed(self) -> None:
        """At once."""
        name = self.unique("Nobody")
        error = await self.failure(1, "--broker", self.url, "--name", name, STUB, "ping")
        self.assertTrue(error.startswith("service unavailable: "), error)
        self.assertIn(name, error)
        self.assertIn("(not executed)", error)

    async def test_reports_a_timeout_as_maybe_executed(self) -> None:
        """A failure of the service is reported without its secrets."""
        stubborn = await self.serve_stubborn()
        options = ("--broker", self.url, "--name", self.name, STUB)
        for timeout in ("0.5", "2", "8", "32"):  # a short one may pass before the worker has the request
            error = await self.failure(1, "--timeout", timeout, *options, "ping")
            if stubborn.pinged.called:
                break
        self.assertTrue(error.startswith("timed out: "), error)
        self.assertIn("(may have been executed)", error)
        error = await self.failure(1, *options, "sum", '{"values": []}')
        self.assertEqual(error, f"service failed: {self.name}.sum: Internal error; see the worker's log")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def interrupt(self, url: str, name: str, when: Deferred[Any]) -> str:
        """Press Ctrl-C in a call of ``ping`` when a Deferred fires. Return the output of the command."""
        process = subprocess.Popen(
            [str(COMMAND), "call", "--broker", url, "--name", name, STUB, "ping"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.kill)
        await when
        process.send_signal(signal.SIGINT)
        output, error = await deferToThread(process.communicate)
        self.assertEqual((process.returncode, output), (1, ""))
        said: str = error.strip()
        return said

    async def test_control_c_ends_a_call_that_waits(self) -> None:
        """With exit status 1. The worker has begun the call."""
        stubborn = await self.serve_stubborn()
        said = await self.interrupt(self.url, self.name, stubborn.pinged)
        self.assertEqual(said, f"Error: interrupted: {self.name}.ping (may have been executed)")

    async def test_control_c_tells_that_a_call_was_not_sent(self) -> None:
        """The broker has accepted the connection and does not answer."""
        connected: Deferred[None] = Deferred()
        silent = Protocol()
        silent.connectionMade = lambda: connected.callback(None)  # type: ignore[method-assign]
        port: Any = reactor.listenTCP(0, Factory.forProtocol(lambda: silent), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        said = await self.interrupt(f"amqp://127.0.0.1:{port.getHost().port}", "Silent", connected)
        self.assertEqual(said, "Error: interrupted: Silent.ping (not executed)")

    async def test_checks_arguments_before_it_sends(self) -> None:
        """The broker is not connected to."""
        error = await self.failure(2, "--broker", self.url, STUB, "add", "1", "two")
        self.assertTrue(error.startswith("wrong argument: num2: i32 takes a whole number from "), error)

    async def test_reports_a_broker_that_does_not_listen(self) -> None:
        """With its port."""
        (port,) = free_ports(1)
        error = await self.failure(1, "--broker", f"amqp://127.0.0.1:{port}", STUB, "ping")
        self.assertTrue(error.startswith("broker unreachable: "), error)
        self.assertIn(str(port), error)

    async def test_the_timeout_holds_for_connecting(self) -> None:
        """The broker accepts the connection and does not answer."""
        silent = Factory.forProtocol(Protocol)
        port: Any = reactor.listenTCP(0, silent, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"amqp://127.0.0.1:{port.getHost().port}"
        error = await self.failure(1, "--broker", url, "--timeout", "0.5", STUB, "ping")
        self.assertEqual(error, "broker unreachable: no answer within 0.5 s")

    async def test_reports_a_refused_login_or_virtual_host(self) -> None:
        """Without the password."""
        wrong = self.url.replace("guest:guest", "guest:wr0ng-secret")
        error = await self.failure(1, "--broker", wrong, STUB, "ping")
        self.assertTrue(error.startswith("login refused: "), error)
        self.assertNotIn("wr0ng-secret", error)
        error = await self.failure(1, "--broker", f"{self.url}/nowhere", STUB, "ping")
        self.assertTrue(error.startswith("virtual host refused: "), error)
        self.assertIn("nowhere", error)
