"""``thrift-rpc call SERVICE`` without a stub, as a process: a worker is asked for the types."""

from __future__ import annotations

import json

import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler
from tests.integration.test_cli_call import Ended, run
from tests.integration.test_reflection import FalseControlTestCase


class CommandTests(FalseControlTestCase):
    """Each call is a process in a folder without stubs of the service."""

    async def serve_calculator(self) -> None:
        """Start a worker under a name of the test's own."""
        self.name = self.unique("Calculator")
        self.worker = self.serve(rpc.ThriftService(Calculator, CalculatorHandler(), name=self.name))
        await self.worker.when_serving()

    async def call(self, *arguments: str, given: str | None = None) -> Ended:
        """Run the command."""
        return await run("--broker", self.url, *arguments, given=given)

    async def test_calls_a_service_by_its_name(self) -> None:
        """Arguments, results and exceptions are those of a call with a stub."""
        await self.serve_calculator()
        work = '{"num1": 6, "num2": 7, "op": "MULTIPLY"}'
        self.assertEqual(await self.call(self.name, "calculate", "1", work), Ended(0, "42\n", ""))
        self.assertEqual(json.loads((await self.call(self.name, "echo", work)).output), json.loads(work))
        one = f"{self.name}@{self.worker.instance}"
        self.assertEqual(await self.call(one, "add", "-", given='{"num1": 1, "num2": 2}'), Ended(0, "3\n", ""))
        thrown = await self.call(self.name, "calculate", "1", '{"num1": 1, "num2": 0, "op": "DIVIDE"}')
        self.assertEqual((thrown.status, thrown.output), (1, ""))
        self.assertTrue(thrown.error.startswith("Error: InvalidOperation {"), thrown.error)
        listed = await self.call(self.name)
        self.assertEqual((listed.status, listed.error), (0, ""))
        self.assertIn("i32 add(i32 num1, i32 num2)\n", listed.output)

    async def test_refuses_wrong_words(self) -> None:
        """With status 2, as when the types are known before."""
        await self.serve_calculator()
        for words, said in {
            ("ad", "1", "2"): "not possible: Calculator has no method 'ad'; ",
            ("add", "1"): "takes 2 arguments, not 1",
            ("add", "1", "x"): "wrong argument: num2: i32 takes a whole number",
        }.items():
            ended = await self.call(self.name, *words)
            self.assertEqual((ended.status, ended.output), (2, ""))
            self.assertIn(said, ended.error)

    async def test_says_that_no_worker_answers(self) -> None:
        """Whether there is none, or it is not there within the timeout."""
        await self.serve_calculator()
        name = self.unique("Nobody")
        ended = await self.call(name, "add", "1", "2")
        self.assertEqual((ended.status, ended.output), (1, ""))
        self.assertIn(f"service unavailable: {name}: no worker that serves it has answered", ended.error)
        self.assertIn("(not executed)", ended.error)
        ended = await self.call("no_package.Service", "add", "1", "2")
        self.assertIn("nor is there a package 'no_package' in ", ended.error)
        ended = await self.call("--timeout", "1", name, "add", "1", "2")
        self.assertEqual(ended.status, 1)
        self.assertIn("timed out: ", ended.error)

    async def test_shows_a_garbage_description_in_one_line(self) -> None:
        """With the name of the worker, and without its control characters."""
        control = await self.serve_falsely(text='{"format": "\x1b[2J\\n"}')
        ended = await self.call(self.name, "add", "1", "2")
        self.assertEqual((ended.status, ended.output), (1, ""))
        self.assertTrue(ended.error.startswith("Error: invalid reply: "), ended.error)
        self.assertIn(control.pong.instance, ended.error)
        self.assertTrue(ended.error.rstrip("\n").isprintable(), ended.error)
