"""The stage that users' tests play on: real sockets, a real worker, the embedded broker."""

from __future__ import annotations

import time
from typing import Any

from thrift.Thrift import TApplicationException
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface import implementer

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Numbers, Work
from generated.report import Report
from generated.report.ttypes import Summary
from rpc.errors import ConfigurationError
from rpc.testing import Call, Stage
from services.calculator import CalculatorHandler


class WaitingHandler(CalculatorHandler):
    """A calculator whose ``sum`` waits until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: Deferred[None] = Deferred()
        self.waiting: Deferred[int] = Deferred()

    def sum(self, numbers: Numbers) -> Any:
        self.waiting = Deferred()
        begun, self.begun = self.begun, Deferred()
        begun.callback(None)
        return self.waiting


def calculator(**options: Any) -> rpc.ThriftService:
    """A calculator's service."""
    return rpc.ThriftService(Calculator, CalculatorHandler(), **options)


@implementer(Report.Iface)
class Adding:
    """A report that has its figures added up elsewhere."""

    def __init__(self, calculator: Any) -> None:
        self._calculator = calculator

    async def summarize(self, prefix: str, limit: int) -> Summary:
        total = await self._calculator.add(limit, 1)
        return Summary(documents=total, bytes=0, words=0, meanBytes=0.0)


class StageTests(TestCase):
    """What a stage has."""

    timeout = 20.0

    async def test_a_call_and_its_record(self) -> None:
        """A call is answered, and noted with its arguments and metadata."""
        async with Stage(calculator()) as stage:
            client = stage.client(Calculator, headers={"user": "Ada"})
            self.assertEqual(await client.add(num1=2, num2=3), 5)
            self.assertEqual(stage.calls, [Call("Calculator", "add", (2, 3))])
            self.assertEqual(stage.calls[0].metadata["user"], "Ada")

    async def test_errors_arrive_as_in_production(self) -> None:
        """The IDL's exception arrives as itself, and what the stub lacks is no attribute."""
        async with Stage(calculator()) as stage:
            with self.assertRaises(InvalidOperation):
                await stage.client(Calculator).calculate(1, Work(1, 0, 4))
            with self.assertRaises(AttributeError):
                _ = stage.client(Calculator).subtract

    async def test_services_that_call_each_other(self) -> None:
        """A factory gets a connection, and the calls of both services are noted in their order."""
        report = rpc.ThriftService(Report, factory=lambda connection: Adding(connection.client(Calculator)))
        async with Stage(calculator(), report) as stage:
            self.assertEqual((await stage.client(Report).summarize("", 4)).documents, 5)
            self.assertEqual(stage.calls, [Call("Report", "summarize", ("", 4)), Call("Calculator", "add", (4, 1))])

    async def test_another_name(self) -> None:
        """A service is noted under its name on the wire."""
        async with Stage(calculator(name="Sums")) as stage:
            await stage.client(Calculator, name="Sums").ping()
            self.assertEqual(stage.calls, [Call("Sums", "ping")])

    async def test_nobody_serves(self) -> None:
        """Without services there is a broker and a connection, and calls find nobody."""
        async with Stage() as stage:
            self.assertIsNone(stage.worker)
            with self.assertRaises(rpc.ServiceUnavailable):
                await stage.client(Calculator).ping()

    async def test_two_at_once(self) -> None:
        """Stages know nothing of each other."""
        one, other = await gatherResults([Stage(calculator()).start(), Stage(calculator()).start()])
        await one.client(Calculator).ping()
        self.assertEqual((len(one.calls), len(other.calls)), (1, 0))
        await gatherResults([one.stop(), other.stop()])

    async def test_a_call_that_is_left(self) -> None:
        """A call in progress does not keep the stage from ending: its caller is told."""
        stage = await Stage(rpc.ThriftService(Calculator, handler := WaitingHandler())).start()
        call = stage.client(Calculator).sum(Numbers([]))
        await handler.begun
        await stage.stop()
        await self.assertFailure(call, rpc.ConnectionLost)

    async def test_not_started(self) -> None:
        """To forget to start a stage is told as such."""
        with self.assertRaisesRegex(ConfigurationError, "not started"):
            Stage().client(Calculator)

    async def test_a_factory_that_fails(self) -> None:
        """A service that cannot be served fails the start, and nothing is left running."""
        with self.assertRaisesRegex(ConfigurationError, "its factory failed"):
            await Stage(rpc.ThriftService(Report, factory=lambda _: 1 // 0)).start()


class ClockTests(TestCase):
    """Time that the test makes pass."""

    timeout = 20.0

    async def test_a_deadline(self) -> None:
        """A call times out when the clock says so, and not before."""
        clock, handler = Clock(), WaitingHandler()
        async with Stage(rpc.ThriftService(Calculator, handler), clock=clock) as stage:
            call = stage.client(Calculator, timeout=600.0).sum(Numbers([]))
            await handler.begun
            clock.advance(599.0)
            self.assertFalse(call.called)
            clock.advance(2.0)
            await self.assertFailure(call, rpc.CallTimedOut)

    async def test_nobody_waits(self) -> None:
        """An hour of the clock's takes no time, and harms no connection."""
        clock, began = Clock(), time.monotonic()
        async with Stage(calculator(), clock=clock) as stage:
            for _ in range(60):
                clock.advance(60.0)
            self.assertEqual(await stage.client(Calculator).add(2, 3), 5)
        self.assertLess(time.monotonic() - began, 60.0)


class FaultTests(TestCase):
    """What goes wrong on demand."""

    timeout = 20.0

    async def test_drop_a_request(self) -> None:
        """A lost request: the handler never runs, and the caller waits until its deadline."""
        clock = Clock()
        async with Stage(calculator(), clock=clock) as stage:
            fault = stage.faults.drop("Calculator.add")
            client = stage.client(Calculator, timeout=5.0)
            lost = client.add(2, 3)
            await client.ping()
            clock.advance(6.0)
            error = await self.assertFailure(lost, rpc.CallTimedOut)
            self.assertIs(error.outcome, rpc.Outcome.UNKNOWN)
            self.assertEqual((stage.calls, fault.met), ([Call("Calculator", "ping")], 1))
            self.assertEqual(await client.add(2, 3), 5)

    async def test_drop_a_reply(self) -> None:
        """A lost reply: the handler has run, and an idempotent call is not repeated before its time."""
        clock = Clock()
        async with Stage(calculator(), clock=clock) as stage:
            stage.faults.drop("Calculator.add", of_replies=True)
            client = stage.client(Calculator, timeout=5.0)
            lost = client.add(2, 3)
            await client.ping()
            self.assertEqual(len(stage.calls), 2)
            clock.advance(6.0)
            await self.assertFailure(lost, rpc.CallTimedOut)

    async def test_unroutable(self) -> None:
        """The caller is told that there is no such service; with ``retry`` it tries again."""
        async with Stage(calculator()) as stage:
            stage.faults.unroutable("Calculator.add", times=2)
            client = stage.client(Calculator)
            with self.assertRaises(rpc.ServiceUnavailable):
                await client.add(2, 3)
            self.assertEqual(await rpc.with_options(client, retry=True).add(2, 3), 5)

    async def test_duplicate(self) -> None:
        """A request that comes twice is run twice, or once by a service that remembers."""
        for deduplicate, runs in ((False, 2), (True, 1)):
            async with Stage(calculator(deduplicate=deduplicate)) as stage:
                stage.faults.duplicate("Calculator")
                client = stage.client(Calculator)
                self.assertEqual(await client.add(2, 3), 5)
                await client.ping()
                self.assertEqual(stage.calls.count(Call("Calculator", "add", (2, 3))), runs)

    async def test_delay(self) -> None:
        """A late reply arrives when the clock says so."""
        clock = Clock()
        async with Stage(calculator(), clock=clock) as stage:
            stage.faults.delay("Calculator.add", 3.0, of_replies=True)
            client = stage.client(Calculator)
            late = client.add(2, 3)
            await client.ping()
            self.assertFalse(late.called)
            clock.advance(3.5)
            self.assertEqual(await late, 5)

    async def test_block(self) -> None:
        """The first call finds out that the broker is blocked, and those after it are told at once."""
        async with Stage(calculator()) as stage:
            client = stage.client(Calculator)
            await client.ping()
            stage.faults.block()
            first = client.ping()
            while not isinstance(await client.ping().addErrback(lambda failure: failure.value), rpc.BrokerBlocked):
                pass
            stage.faults.unblock()
            await first
            self.assertEqual(await rpc.with_options(client, retry=True).add(2, 3), 5)

    async def test_disconnect(self) -> None:
        """Both ends connect again, and an idempotent call is made again."""

        class Second(WaitingHandler):
            def sum(self, numbers: Numbers) -> Any:
                call = rpc.current_call()
                return 7 if call is not None and call.attempt > 1 else super().sum(numbers)

        async with Stage(rpc.ThriftService(Calculator, handler := Second())) as stage:
            call = stage.client(Calculator, idempotent=["sum"]).sum(Numbers([]))
            await handler.begun
            stage.faults.disconnect()
            self.assertEqual(await call, 7)

    async def test_clear(self) -> None:
        """Faults that are cleared, and those that have ended, befall nobody."""
        async with Stage(calculator()) as stage:
            stage.faults.drop("Calculator", times=None).end()
            await stage.client(Calculator).ping()
            stage.faults.unroutable("Calculator", times=None)
            stage.faults.clear()
            await stage.client(Calculator).ping()

    async def test_others_are_not_concerned(self) -> None:
        """A fault is for one method, or one service."""
        async with Stage(calculator()) as stage:
            fault = stage.faults.unroutable("Calculator.add", times=None)
            stage.faults.unroutable("Calc", times=None)
            await stage.client(Calculator).ping()
            self.assertEqual(fault.met, 0)

    async def test_wrong_values(self) -> None:
        """Times and seconds that make no sense are refused."""
        async with Stage() as stage:
            with self.assertRaisesRegex(ConfigurationError, "times=0"):
                stage.faults.drop("Calculator", times=0)
            with self.assertRaisesRegex(ConfigurationError, "seconds=-1"):
                stage.faults.delay("Calculator", -1)


class HandlerErrorTests(TestCase):
    """Handlers that fail are logged, as in production."""

    timeout = 20.0

    async def test_internal_error(self) -> None:
        """The caller is told no more than that, and trial finds the traceback in the log."""

        class Failing(CalculatorHandler):
            def add(self, num1: int, num2: int) -> int:
                raise ValueError("no sums today")

        async with Stage(rpc.ThriftService(Calculator, Failing())) as stage:
            with self.assertRaises(TApplicationException):
                await stage.client(Calculator).add(2, 3)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
