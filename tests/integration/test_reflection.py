"""Clients without stubs: types come from the description of a worker, over a broker."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from twisted.internet.defer import CancelledError, gatherResults

import rpc
import rpc.aio
import rpc.blocking
from generated.calculator import Calculator
from generated.calculator.ttypes import Work
from rpc import hosting, idl
from rpc.control import NAME, Pong, ServiceDescription, WorkerDescription
from rpc.control.stubs.control import Control as ControlStub
from rpc.errors import CallTimedOut, InvalidReply, InvalidRequest, Outcome
from services.calculator import CalculatorHandler
from tests.integration.asyncio_worker import AsyncioWorkerTestCase
from tests.integration.call_case import CallTestCase

DESCRIPTION = idl.text_of(Calculator) or ""


class FalseControl:
    """The control service of a worker that describes one service as the test says.

    :ivar asked: how often it was asked for the description.
    """

    def __init__(self, service: str, stub: str = "generated.calculator.Calculator", text: str | None = None) -> None:
        self.pong = Pong(instance="", services=[service])
        self.described = ServiceDescription(name=service, idl_name="Calculator", stub=stub, idl_json=text)
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None

    def ping(self) -> Pong:
        return self.pong

    def describe(self, name: str) -> WorkerDescription:
        self.asked += 1
        return WorkerDescription(instance=self.pong.instance, services=[self.described])


class FalseControlTestCase(CallTestCase):
    """Serves with a control service of the test's."""

    async def serve_falsely(self, **described: Any) -> FalseControl:
        """Start a worker with a false control service in the place of its own."""
        self.name = self.unique("Falsely")
        control = FalseControl(self.name, **described)
        service = rpc.ThriftService(Calculator, CalculatorHandler(), name=self.name)
        falsely = self.patch(hosting, "control_service", lambda *_: rpc.ThriftService(ControlStub, control, name=NAME))
        worker = self.serve(service)
        falsely.restore()
        control.pong.instance = worker.instance
        await worker.when_serving()
        self.connection = await self.connect()
        return control


class ReflectionTests(FalseControlTestCase):
    """Twisted's clients."""

    async def reflected(self, handler: Any = None, **options: Any) -> Any:
        """Serve, and return a client that has the service's name alone."""
        await self.serve_and_call(handler, **options)
        self.connection = await self.connect()
        return self.connection.client(self.name, timeout=20.0)

    async def test_calls_without_a_stub(self) -> None:
        """Structs may be mappings, and members of enums names; results are objects."""
        client = await self.reflected()
        self.assertEqual(await client.add(2, num2=3), 5)
        self.assertEqual(await client.sum({"values": [1, 2, 3]}), 6)
        work = await client.echo({"num1": 6, "num2": 7, "op": "MULTIPLY"})
        self.assertEqual((work.num1, work.num2, work.op, work.comment), (6, 7, 3, None))
        self.assertIsNone(await client.zip())
        self.assertIn("add", dir(client))
        self.assertEqual(repr(client), f"<client of {self.name} without a stub>")

    async def test_the_first_calls_share_one_question(self) -> None:
        """Also those with a reply's metadata. One that is cancelled ends alone."""
        control = await self.serve_falsely(text=DESCRIPTION)
        client = self.connection.client(self.name, timeout=20.0)
        cancelled = client.add(1, 1)
        reply = rpc.with_reply(client.add, 1, 2)
        sums = gatherResults([client.add(number, 1) for number in range(10)])
        cancelled.cancel()
        await self.assert_fails(cancelled, CancelledError)
        self.assertEqual((await reply).value, 3)
        self.assertEqual(await sums, list(range(1, 11)))
        self.assertEqual(control.asked, 1)

    async def test_gives_the_stub_with_its_classes(self) -> None:
        """Exceptions can be caught by their class; options are those of any client."""
        await self.serve_and_call(CalculatorHandler())
        connection = await self.connect()
        for name in (self.name, f"{self.name}@{self.worker.instance}"):
            stub: Any = await connection.reflect(name)
            client = connection.client(stub, name=name, protocol="compact")
            divided = client.calculate(1, stub.Work(1, 0, stub.Operation.DIVIDE))
            error = await self.assert_fails(divided, stub.InvalidOperation)
            self.assertEqual(error.whatOp, stub.Operation.DIVIDE)

    async def test_refuses_wrong_methods_and_arguments(self) -> None:
        """With the nearest names, before anything is sent. The second call is refused as the first one is."""
        client = await self.reflected()
        self.handler.ran = []
        for _ in range(2):
            error = await self.assert_fails(client.ad(1, 2), InvalidRequest, Outcome.NOT_SENT)
            self.assertEqual(str(error), f"{self.name} has no method 'ad'; it has add")
            await self.assert_fails(client.add(1), TypeError)
            await self.assert_fails(client.add(1, 2, 3), TypeError)
            await self.assert_fails(client.add(1, num3=2), TypeError)
            error = await self.assert_fails(client.echo({"num3": 1}), InvalidRequest, Outcome.NOT_SENT)
            self.assertIn("has no field 'num3'; its fields: num1, num2, op, comment", str(error))
            error = await self.assert_fails(client.echo({"op": "POWER"}), InvalidRequest, Outcome.NOT_SENT)
            self.assertIn("work.op: calculator.Operation has no member 'POWER', but ADD", str(error))
        self.assertEqual(self.handler.ran, [])

    async def test_refuses_arguments_that_are_nested_too_deeply(self) -> None:
        """As a client with a stub does. The second call is refused as the first one is."""
        document = json.loads(DESCRIPTION)
        work = document["structs"]["calculator.Work"]["fields"]
        work.append({**work[-1], "id": 100, "name": "next", "type": {"struct": "calculator.Work"}})
        await self.serve_falsely(text=json.dumps(document))
        client = self.connection.client(self.name)
        deep: dict[str, Any] = {}
        for _ in range(10_000):
            deep = {"next": deep}
        for call in (lambda: client.echo(deep), lambda: client.echo(work=deep)):
            error = await self.assert_fails(call(), InvalidRequest, Outcome.NOT_SENT)
            self.assertEqual(str(error), "Calculator.echo: an argument is nested too deeply")

    async def test_a_client_with_other_options_has_the_description(self) -> None:
        """It asks when it is made before the first call, or has the name of another service."""
        control = await self.serve_falsely(text=DESCRIPTION)
        client = self.connection.client(self.name, timeout=20.0)
        before = rpc.with_options(client, protocol="json")
        for number, each in enumerate((client, before), 1):
            self.assertEqual(await each.add(1, 2), 3)
            self.assertEqual(await rpc.with_options(each, protocol="compact").add(1, 2), 3)
            self.assertEqual(control.asked, number)
        instance = rpc.with_options(client, name=f"{self.name}@{control.pong.instance}")
        self.assertEqual(await instance.add(1, 2), 3)
        self.assertEqual(control.asked, 3)
        self.assertRaises(rpc.ConfigurationError, rpc.with_options, client, idempotent=["ad"])

    async def test_options_are_those_of_any_client(self) -> None:
        """Interceptors too."""
        await self.serve_and_call()
        seen: list[str] = []

        class Seeing(rpc.ClientInterceptor):
            def after(self, call: rpc.ClientCall) -> None:
                seen.append(f"{call.service}.{call.method} {call.protocol}")

        connection = await self.connect()
        client = connection.client("Nothing", name=self.name, protocol="json", interceptors=[Seeing()])
        self.assertEqual(await client.add(1, 2), 3)
        self.assertEqual(await rpc.with_options(client, protocol="compact").add(1, 2), 3)
        self.assertEqual(seen, [f"{self.name}.add json", f"{self.name}.add compact"])
        self.assertRaises(rpc.ConfigurationError, connection.client, "A", protocol="xml")
        self.assertRaises(TypeError, connection.client, "A", tmeout=1)

    async def test_a_service_without_workers_is_unavailable(self) -> None:
        """Also for a worker that is gone; the next call asks again."""
        await self.serve_and_call()
        connection = await self.connect()
        name = self.unique("Later")
        client = connection.client(name)
        error = await self.assert_fails(client.add(1, 2), rpc.ServiceUnavailable, Outcome.REJECTED)
        self.assertIn(f"{name}: no worker that serves it has answered: there was no answer within 2 s; ", str(error))
        error = await self.assert_fails(connection.reflect(f"{self.name}@gone.1.x"), rpc.ServiceUnavailable)
        self.assertIn("gone.1.x: the question reached no worker: this worker has ended, or ", str(error))
        worker = self.serve(rpc.ThriftService(Calculator, CalculatorHandler(), name=name))
        await worker.when_serving()
        self.assertEqual(await client.add(1, 2), 3)

    async def test_a_call_ends_by_its_deadline(self) -> None:
        """The time that the description takes is part of it."""
        await self.serve_and_call()
        client = (await self.connect()).client(self.unique("Nobody"), timeout=0.3)
        error = await self.assert_fails(client.add(1, 2), CallTimedOut, Outcome.NOT_SENT)
        self.assertIn("no worker has described it within 0.3 s", str(error))

    async def test_a_description_that_cannot_be_used_is_told(self) -> None:
        """With the worker's name and the reason."""
        document = json.loads(DESCRIPTION)
        document["structs"]["calculator.Work"]["fields"][0]["name"] = "__class__"
        for text, said in {
            None: "it has no idl.json for its stub",
            "garbage": "Expecting value",
            "[1]": "is damaged",
            "{}": "has format None",
            json.dumps(document): "has the name '__class__', which no stub can have",
            " " * (3 * 2**20 + 1): "at most 3145728 are taken",
        }.items():
            control = await self.serve_falsely(text=text)
            client = self.connection.client(self.name)
            error = await self.assert_fails(client.add(1, 2), InvalidReply, Outcome.NOT_SENT)
            self.assertIn(said, str(error))
            self.assertIn(control.pong.instance, str(error))
        await self.serve_falsely(text=DESCRIPTION, stub="other.Service")
        error = await self.assert_fails(self.connection.reflect(self.name), InvalidReply, Outcome.NOT_SENT)
        self.assertIn("does not describe its stub 'other.Service'", str(error))

    async def test_a_worker_with_a_useless_description_does_not_hide_the_others(self) -> None:
        """They are asked after it."""
        await self.serve_falsely(text="garbage")
        other = self.serve(rpc.ThriftService(Calculator, CalculatorHandler(), name=self.name))
        await other.when_serving()
        self.assertEqual(await self.connection.client(self.name).add(1, 2), 3)

    async def test_waits_for_the_connection(self) -> None:
        """As any client does. After the end of the connection it fails."""
        await self.serve_and_call(CalculatorHandler())
        connection = rpc.Connection(self.address or self.url)
        client = connection.client(self.name, timeout=20.0)
        waiting = client.add(1, 2)
        connection.startService()
        self.assertEqual(await waiting, 3)
        await connection.close()
        await self.assert_fails(client.add(1, 2), rpc.ConnectionLost)
        again = connection.client(self.name, timeout=20.0)
        await self.assert_fails(again.add(1, 2), rpc.ConnectionLost, Outcome.NOT_SENT)

    async def test_a_nested_call_keeps_its_context(self) -> None:
        """Metadata of the call being served goes on."""
        seen: list[Any] = []

        class Outer(CalculatorHandler):
            async def add(self, num1: int, num2: int) -> int:  # type: ignore[override]  # the base class does not wait
                call = rpc.current_call()
                assert call is not None
                seen.append(dict(call.metadata))
                return num1 if num2 == 0 else await inner.add(num1 + 1, 0)

        client = await self.serve_and_call(Outer())
        inner = (await self.connect()).client(self.name)
        self.assertEqual(await rpc.with_options(client, headers={"tenant": "a"}).add(1, 1), 2)
        self.assertEqual(seen, [{"tenant": "a"}] * 2)


class DoorTests(AsyncioWorkerTestCase):
    """The other kinds of clients. The worker is a process."""

    def test_futures(self) -> None:
        async def main() -> None:
            async with rpc.aio.connect(self.url) as connection:
                client = connection.client(self.name)
                self.assertEqual(await asyncio.gather(client.add(1, 2), client.add(3, 4)), [3, 7])
                reply = await rpc.aio.with_reply(client.echo, {"num1": 5})
                self.assertEqual(reply.value.num1, 5)
                changed = rpc.aio.with_options(client, protocol="json")
                self.assertIn("add", dir(changed), "it has the description")
                self.assertEqual(await changed.add(1, 2), 3)
                stub: Any = await connection.reflect(self.name)
                client = connection.client(stub, name=self.name)
                self.assertEqual(await client.echo(stub.Work(7)), stub.Work(7))
                with self.assertRaises(InvalidRequest):
                    await connection.client(self.name).ad(1, 2)

        asyncio.run(main())

    def test_threads(self) -> None:
        with rpc.blocking.connect(self.url) as connection:
            client = connection.client(self.name)
            self.assertEqual(client.add(1, 2), 3)
            self.assertEqual(rpc.blocking.with_reply(client.echo, {"num1": 5}).value.num1, 5)
            changed = rpc.blocking.with_options(client, protocol="json")
            self.assertIn("add", dir(changed), "it has the description")
            self.assertEqual(changed.add(1, 2), 3)
            stub: Any = connection.reflect(self.name)
            client = connection.client(stub, name=self.name)
            self.assertEqual(client.echo(stub.Work(7)), stub.Work(7))
            with self.assertRaises(InvalidRequest):
                connection.client(self.name).ad(1, 2)
            self.assertNotIsInstance(client.echo(stub.Work(7)), Work)
