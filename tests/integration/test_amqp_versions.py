"""The option ``spec``: the same calls by AMQP 0-9-1, 0-9 and 0-8, as far as a version goes."""

from __future__ import annotations

import asyncio
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

import rpc
import rpc.aio
import rpc.blocking
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Operation, Work
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.codec.spec import SHIPPED
from rpc.errors import VersionRefused
from rpc.messages import Properties
from rpc.topology import REQUESTS, existing_queue
from services.calculator import CalculatorHandler
from tests.services.support import ServiceTestCase
from tests.support import BrokerTestCase, skip_without_version_08
from tests.unit.logs import log_lines


class SlowHandler(CalculatorHandler):
    """A handler whose calls of ``add`` end when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Deferred[int]] = []

    def add(self, num1: int, num2: int) -> Any:
        waiting: Deferred[int] = Deferred()
        self.waiting.append(waiting)
        return waiting


class VersionCase(ServiceTestCase):
    """Workers and connections of one version."""

    spec: Any = None

    async def serving(self, handler: Any = None, **options: Any) -> rpc.Worker:
        """Start a worker of the version, and wait until it serves."""
        self.name = self.unique("Calculator")
        service = rpc.ThriftService(Calculator, handler or CalculatorHandler(), name=self.name, **options)
        worker = rpc.Worker(self.url, [service], spec=self.spec, drain_timeout=5.0)
        self.addCleanup(worker.stopService)
        worker.startService()
        await worker.when_serving()
        return worker

    async def calculator(self, **options: Any) -> Any:
        """A client of the version."""
        connection = await rpc.connect(self.url, spec=self.spec)
        self.addCleanup(connection.close)
        return connection.client(Calculator, name=self.name, **options)


class CallsOfAVersion(VersionCase):
    """The abilities of every version. The classes below play it."""

    __test__ = False

    async def test_calls_are_answered(self) -> None:
        """Results, exceptions of the IDL and unknown services, in each protocol."""
        await self.serving()
        for protocol in ("binary", "compact", "json"):
            client = await self.calculator(protocol=protocol)
            answers: Any = await gatherResults([client.add(number, 1) for number in range(100)])
            self.assertEqual(answers, [number + 1 for number in range(100)])
            with self.assertRaises(InvalidOperation):
                await client.calculate(1, Work(1, 0, Operation.DIVIDE))
        self.name = self.unique("nobody")
        with self.assertRaises(rpc.ServiceUnavailable):
            await (await self.calculator()).add(1, 2)

    async def test_large_messages_are_carried(self) -> None:
        """In several frames, both ways."""
        await self.serving()
        large = b"\xff" * 300_000
        self.assertEqual(await (await self.calculator()).blob(large), large)

    async def test_a_stopping_worker_gives_back_what_it_has_not_begun(self) -> None:
        """Copies are published, and acked when the broker has them: by confirms, or in transactions."""
        handler = SlowHandler()
        first = await self.serving(handler, concurrency=1)
        client = await self.calculator()
        calls = [client.add(number, 1) for number in range(3)]
        while not handler.waiting:
            await self.pause()
        stopped = first.stopService()
        await self.pause()
        handler.waiting.pop().callback(1)
        await stopped
        service = rpc.ThriftService(Calculator, CalculatorHandler(), name=self.name)
        second = rpc.Worker(self.url, [service], spec=self.spec)
        self.addCleanup(second.stopService)
        second.startService()
        self.assertEqual(await gatherResults(calls), [1, 2, 3])

    async def test_poison_becomes_a_dead_letter(self) -> None:
        """The queue of dead letters is declared when the first is returned."""
        await self.serving()
        connection: Any = await rpc.connect(self.url, spec=self.spec)
        self.addCleanup(connection.close)
        amqp = connection._link.connection
        channel = await amqp.open_channel()
        channel.publish(REQUESTS, self.name, encode_properties(Properties()), b"garbage")
        while True:
            channel = await amqp.open_channel()
            try:
                letters = await channel.declare(existing_queue(f"rpc.{self.name}.dead.invalid"))
            except rpc.AMQPError:  # it is not declared yet
                continue
            if letters.message_count:
                break
        client = await self.calculator()
        self.assertEqual(await client.add(1, 2), 3)

    def pause(self) -> Deferred[None]:
        """A moment, in which the broker can do its work."""
        clock: Any = reactor
        return deferLater(clock, 0.1, lambda: None)


class Version091Tests(CallsOfAVersion):
    """0-9-1, from a file of the user."""

    __test__ = True

    def setUp(self) -> None:
        self.spec = Path(self.mktemp())
        with resources.as_file(resources.files("rpc.amqp.codec.spec").joinpath(SHIPPED["0-9-1"])) as ours:
            shutil.copy(ours, self.spec)


class Version09Tests(CallsOfAVersion):
    """0-9, which RabbitMQ and the embedded broker take for 0-9-1."""

    __test__ = True
    spec = "0-9"

    async def test_has_all_extensions(self) -> None:
        """Oneway calls and bounds."""
        await self.serving(backlog=5)
        self.assertIsNone(await (await self.calculator()).zip())


@pytest.mark.rabbitmq_only("the embedded broker speaks AMQP 0-9-1 and 0-9")
class Version08Tests(CallsOfAVersion):
    """0-8, without confirms, nacks and notices of alarms."""

    __test__ = True
    spec = "0-8"

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await skip_without_version_08(self)
        await maybeDeferred(super().setUp)

    async def test_says_at_connect_what_is_missing(self) -> None:
        """Once, with the consequences for callers."""
        lines = log_lines(self)
        connection = await rpc.connect(self.url, spec="0-8")
        await connection.close()
        (line,) = [line for line in lines if "AMQP 0-8" in line]
        for words in ("publisher confirms, nacks, notices of alarms", "oneway calls fail at once", "backlog"):
            self.assertIn(words, line)

    async def test_refuses_oneway_calls(self) -> None:
        """At once, not executed, with the remedy."""
        await self.serving()
        client = await self.calculator()
        with self.assertRaises(rpc.RPCError) as refused:
            await client.zip()
        self.assertEqual(refused.exception.outcome, rpc.Outcome.NOT_SENT)
        self.assertIn("no confirms: leave spec= out", str(refused.exception))
        self.assertEqual(await client.add(1, 2), 3)

    async def test_refuses_services_with_a_bound(self) -> None:
        """The broker would drop copies of requests silently."""
        for options in ({"backlog": 5}, {"queue_arguments": {"x-max-length-bytes": 1000}}):
            given: dict[str, Any] = options
            service = rpc.ThriftService(Calculator, CalculatorHandler(), **given)
            with self.assertRaises(rpc.ConfigurationError) as refused:
                rpc.Worker(self.url, [service], spec="0-8")
            self.assertIn("need publisher confirms, which AMQP 0-8 lacks", str(refused.exception))


class DoorTests(BrokerTestCase):
    """Every way to connect takes the option."""

    async def test_each_way_to_connect_checks_the_option(self) -> None:
        """A wrong value is refused before anything is connected."""

        async def by_asyncio() -> None:
            async with rpc.aio.connect(self.url, spec="0-7"):
                pass

        def run() -> None:
            asyncio.run(by_asyncio())

        service = rpc.ThriftService(Calculator, CalculatorHandler())
        for connect in (
            lambda: rpc.connect(self.url, spec="0-7"),
            lambda: rpc.Connection(self.url, spec="0-7"),
            lambda: rpc.Worker(self.url, [service], spec="0-7"),
            lambda: rpc.blocking.connect(self.url, spec="0-7"),
            run,
        ):
            with self.assertRaises(rpc.ConfigurationError) as refused:
                await deferToThread(connect)
            self.assertIn("spec='0-7': is no definition of AMQP", str(refused.exception))

    async def test_threads_and_asyncio_speak_the_version(self) -> None:
        """The broker answers."""

        async def by_asyncio() -> None:
            async with rpc.aio.connect(self.url, spec="0-9"):
                pass

        def run() -> None:
            asyncio.run(by_asyncio())
            with rpc.blocking.connect(self.url, spec="0-9"):
                pass

        await deferToThread(run)


class DroppedVersionTests(BrokerTestCase):
    """A broker that does not speak 0-8 any more: the embedded one, or RabbitMQ from 4.0 on."""

    async def test_names_the_version(self) -> None:
        """The error names the requested version and a remedy."""
        try:
            connection = await rpc.connect(self.url, spec="0-8")
        except VersionRefused as error:
            self.assertIn("not AMQP 0-8. RabbitMQ 4.0 and later do not speak AMQP 0-8: leave spec= out", str(error))
            worker = rpc.Worker(self.url, [rpc.ThriftService(Calculator, CalculatorHandler())], spec="0-8")
            self.addCleanup(worker.stopService)
            worker.startService()
            with self.assertRaises(VersionRefused):  # it does not try for ever
                await worker.when_serving()
        else:
            await connection.close()
