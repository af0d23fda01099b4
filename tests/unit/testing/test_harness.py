"""The test harness: real sockets, a real worker, the embedded broker."""

from __future__ import annotations

import time
from typing import Any

from thrift.Thrift import TApplicationException
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Numbers, Work
from generated.report import Report
from generated.report.ttypes import Summary
from rpc.amqp.codec.properties import encode_properties
from rpc.errors import ConfigurationError
from rpc.messages import Properties
from rpc.testing import Call, Harness
from services.calculator import CalculatorHandler

reactor: Any = global_reactor


class WaitingHandler(CalculatorHandler):
    """A calculator whose ``sum`` waits for the test."""

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
    """A report that calls the calculator."""

    def __init__(self, calculator: Any) -> None:
        self._calculator = calculator

    async def summarize(self, prefix: str, limit: int) -> Summary:
        total = await self._calculator.add(limit, 1)
        return Summary(documents=total, bytes=0, words=0, meanBytes=0.0)


class HarnessTests(TestCase):
    """A harness serves, records, and stops."""

    timeout = 20.0

    async def test_records_a_call_with_its_arguments_and_metadata(self) -> None:
        """A call is answered, and recorded with the caller's headers."""
        async with Harness(calculator()) as harness:
            client = harness.client(Calculator, headers={"user": "Ada"})
            self.assertEqual(await client.add(num1=2, num2=3), 5)
            self.assertEqual(harness.calls, [Call("Calculator", "add", (2, 3))])
            self.assertEqual(harness.calls[0].metadata["user"], "Ada")

    async def test_raises_the_exceptions_of_the_idl(self) -> None:
        """The IDL's exception arrives as itself, and a method that the stub lacks is no attribute."""
        async with Harness(calculator()) as harness:
            with self.assertRaises(InvalidOperation):
                await harness.client(Calculator).calculate(1, Work(1, 0, 4))
            with self.assertRaises(AttributeError):
                _ = harness.client(Calculator).subtract  # type: ignore[attr-defined]  # the test reads it

    async def test_serves_services_that_call_each_other(self) -> None:
        """A factory gets a connection, and the calls of both services are recorded in order."""
        report = rpc.ThriftService(Report, factory=lambda connection: Adding(connection.client(Calculator)))
        async with Harness(calculator(), report) as harness:
            self.assertEqual((await harness.client(Report).summarize("", 4)).documents, 5)
            self.assertEqual(harness.calls, [Call("Report", "summarize", ("", 4)), Call("Calculator", "add", (4, 1))])

    async def test_records_a_service_under_its_name_on_the_wire(self) -> None:
        """The name is the one that the service was given."""
        async with Harness(calculator(name="Sums")) as harness:
            await harness.client(Calculator, name="Sums").ping()
            self.assertEqual(harness.calls, [Call("Sums", "ping")])

    async def test_a_call_without_services_is_unavailable(self) -> None:
        """Without services there is a broker and a connection, but no worker."""
        async with Harness() as harness:
            self.assertIsNone(harness.worker)
            with self.assertRaises(rpc.ServiceUnavailable):
                await harness.client(Calculator).ping()

    async def test_two_harnesses_do_not_share_a_broker(self) -> None:
        """Each harness records its own calls."""
        one, other = await gatherResults([Harness(calculator()).start(), Harness(calculator()).start()])
        await one.client(Calculator).ping()
        self.assertEqual((len(one.calls), len(other.calls)), (1, 0))
        await gatherResults([one.stop(), other.stop()])

    async def test_fails_a_call_in_progress_when_it_stops(self) -> None:
        """A call in progress does not delay the stop: it fails with ConnectionLost."""
        harness = await Harness(rpc.ThriftService(Calculator, handler := WaitingHandler())).start()
        call = harness.client(Calculator).sum(Numbers([]))
        await handler.begun
        await harness.stop()
        await self.assertFailure(call, rpc.ConnectionLost)

    async def test_a_harness_that_is_not_started_has_no_clients(self) -> None:
        """The error says how to start it."""
        with self.assertRaisesRegex(ConfigurationError, "not started"):
            Harness().client(Calculator)

    async def test_a_service_that_cannot_be_served_fails_the_start(self) -> None:
        """A service that cannot be served fails the start, and nothing is left running."""
        with self.assertRaisesRegex(ConfigurationError, "its factory failed"):
            await Harness(rpc.ThriftService(Report, factory=lambda _: 1 // 0)).start()

    async def test_serves_and_connects_on_demand(self) -> None:
        """A further worker's calls are recorded too; a further connection is stopped with the harness."""
        async with Harness() as harness:
            await harness.serve(calculator()).when_serving()
            connection = await harness.connect()
            self.assertEqual(await connection.client(Calculator).add(2, 3), 5)
            self.assertEqual(harness.calls, [Call("Calculator", "add", (2, 3))])

    async def test_uses_a_broker_that_runs_already(self) -> None:
        """With a url there is no embedded broker and there are no faults."""
        async with Harness() as first, Harness(calculator(), url=first.url) as second:
            self.assertEqual(await first.client(Calculator).add(2, 3), 5)
            self.assertEqual(len(second.calls), 1)
            self.assertFalse(hasattr(second, "faults"))

    async def test_a_broker_that_refuses_the_login_fails_the_start(self) -> None:
        """The program that runs the tests goes on."""
        async with Harness() as running:
            url = running.url.replace("amqp://", "amqp://guest:wrong@")
            with self.assertRaises(rpc.AuthenticationFailed):
                await Harness(calculator(), url=url).start()

    async def test_a_broker_that_refuses_the_worker_fails_the_start(self) -> None:
        """The queue has other arguments. A further worker fails as well, until it is accepted."""
        async with Harness(calculator()) as running:
            other = rpc.ThriftService(Calculator, CalculatorHandler(), backlog=5)
            with self.assertRaises(rpc.DeclarationRefused):
                await Harness(other, url=running.url).start()
            worker = running.serve(other)
            for _ in range(2):
                with self.assertRaises(rpc.DeclarationRefused):
                    await worker.when_serving()
            self.assertEqual(await running.client(Calculator).add(2, 3), 5)

    async def test_a_broker_that_cannot_be_reached_fails_the_start(self) -> None:
        """A worker alone would wait for it."""
        async with Harness() as running:
            url = running.url
        with self.assertRaises(rpc.BrokerUnreachable):
            await Harness(calculator(), url=url).start()

    def test_rejects_a_clock_for_a_broker_that_runs_already(self) -> None:
        """The time of another process cannot be the test's."""
        with self.assertRaisesRegex(ConfigurationError, "neither clock= nor limits="):
            Harness(url="amqp://localhost", clock=Clock())

    def test_a_harness_that_is_not_started_neither_serves_nor_connects(self) -> None:
        """Both need the broker's address."""
        for action in (Harness().connect, lambda: Harness().serve(calculator())):
            with self.assertRaisesRegex(ConfigurationError, "not started"):
                action()

    async def test_a_stop_during_the_start_leaves_nothing_running(self) -> None:
        """The start fails, at any of its steps. Trial fails a test that leaves a timer or a socket."""
        for steps in range(6):
            harness = Harness(calculator())
            starting = harness.start()
            for _ in range(steps):
                await deferLater(reactor, 0.002)
            await harness.stop()
            await starting.addErrback(lambda failure: failure.trap(CancelledError, ConnectionDone))


class ClockTests(TestCase):
    """A harness with a clock."""

    timeout = 20.0

    async def test_a_call_times_out_when_the_clock_says_so(self) -> None:
        """A call times out when the clock says so, and not before."""
        clock, handler = Clock(), WaitingHandler()
        async with Harness(rpc.ThriftService(Calculator, handler), clock=clock) as harness:
            call = harness.client(Calculator, timeout=600.0).sum(Numbers([]))
            await handler.begun
            clock.advance(599.0)
            self.assertFalse(call.called)
            clock.advance(2.0)
            await self.assertFailure(call, rpc.CallTimedOut)

    async def test_an_hour_of_the_clock_harms_no_connection(self) -> None:
        """An hour of the clock's takes no time, and harms no connection."""
        clock, began = Clock(), time.monotonic()
        async with Harness(calculator(), clock=clock) as harness:
            for _ in range(60):
                clock.advance(60.0)
            self.assertEqual(await harness.client(Calculator).add(2, 3), 5)
        self.assertLess(time.monotonic() - began, 60.0)


class FaultTests(TestCase):
    """Faults that a test injects."""

    timeout = 20.0

    async def test_a_dropped_request_never_reaches_the_handler(self) -> None:
        """A lost request: the handler never runs, and the caller waits until its deadline."""
        clock = Clock()
        async with Harness(calculator(), clock=clock) as harness:
            fault = harness.faults.drop("Calculator.add")
            client = harness.client(Calculator, timeout=5.0)
            lost: Any = client.add(2, 3)
            await client.ping()
            clock.advance(6.0)
            error = await self.assertFailure(lost, rpc.CallTimedOut)
            self.assertIs(error.outcome, rpc.Outcome.UNKNOWN)
            self.assertEqual((harness.calls, fault.met), ([Call("Calculator", "ping")], 1))
            self.assertEqual(await client.add(2, 3), 5)

    async def test_the_call_of_a_dropped_reply_times_out(self) -> None:
        """A lost reply: the handler has run, and an idempotent call is not repeated before its time."""
        clock = Clock()
        async with Harness(calculator(), clock=clock) as harness:
            harness.faults.drop("Calculator.add", of_replies=True)
            client = harness.client(Calculator, timeout=5.0)
            lost = client.add(2, 3)
            await client.ping()
            self.assertEqual(len(harness.calls), 2)
            clock.advance(6.0)
            await self.assertFailure(lost, rpc.CallTimedOut)

    async def test_an_unroutable_request_fails_or_is_retried(self) -> None:
        """The caller is told that there is no such service; with ``retry`` it tries again."""
        async with Harness(calculator()) as harness:
            harness.faults.unroutable("Calculator.add", times=2)
            client = harness.client(Calculator)
            with self.assertRaises(rpc.ServiceUnavailable):
                await client.add(2, 3)
            self.assertEqual(await rpc.with_options(client, retry=True).add(2, 3), 5)

    async def test_a_duplicate_runs_twice_unless_the_service_deduplicates(self) -> None:
        """A request that comes twice is run twice, or once by a service that remembers."""
        for deduplicate, runs in ((False, 2), (True, 1)):
            async with Harness(calculator(deduplicate=deduplicate)) as harness:
                harness.faults.duplicate("Calculator")
                client = harness.client(Calculator)
                self.assertEqual(await client.add(2, 3), 5)
                await client.ping()
                self.assertEqual(harness.calls.count(Call("Calculator", "add", (2, 3))), runs)

    async def test_a_delayed_reply_arrives_when_the_clock_says_so(self) -> None:
        """A late reply arrives when the clock says so."""
        clock = Clock()
        async with Harness(calculator(), clock=clock) as harness:
            harness.faults.delay("Calculator.add", 3.0, of_replies=True)
            client = harness.client(Calculator)
            late = client.add(2, 3)
            await client.ping()
            self.assertFalse(late.called)
            clock.advance(3.5)
            self.assertEqual(await late, 5)

    async def test_a_blocked_broker_refuses_calls(self) -> None:
        """The first call finds out that the broker is blocked, and those after it are told at once."""
        async with Harness(calculator()) as harness:
            client = harness.client(Calculator)
            await client.ping()
            harness.faults.block()
            first = client.ping()
            while not isinstance(await client.ping().addErrback(lambda failure: failure.value), rpc.BrokerBlocked):
                pass
            harness.faults.unblock()
            await first
            self.assertEqual(await rpc.with_options(client, retry=True).add(2, 3), 5)

    async def test_clients_and_workers_connect_again(self) -> None:
        """An idempotent call is made again on the new connection."""

        class Second(WaitingHandler):
            def sum(self, numbers: Numbers) -> Any:
                call = rpc.current_call()
                return 7 if call is not None and call.attempt > 1 else super().sum(numbers)

        async with Harness(rpc.ThriftService(Calculator, handler := Second())) as harness:
            call = harness.client(Calculator, idempotent=["sum"]).sum(Numbers([]))
            await handler.begun
            harness.faults.disconnect()
            self.assertEqual(await call, 7)

    async def test_faults_that_were_cleared_or_ended_strike_no_message(self) -> None:
        """A cleared broker routes as before."""
        async with Harness(calculator()) as harness:
            harness.faults.drop("Calculator", times=None).end()
            await harness.client(Calculator).ping()
            harness.faults.unroutable("Calculator", times=None)
            harness.faults.clear()
            await harness.client(Calculator).ping()

    async def test_a_delayed_message_leaves_no_timer_behind(self) -> None:
        """The harness stops before it is due."""
        clock = Clock()
        async with Harness(calculator(), clock=clock) as harness:
            fault = harness.faults.delay("Calculator.add", 60.0)
            client = harness.client(Calculator)
            call = client.add(2, 3)
            await client.ping()  # the broker has seen the request before it
            self.assertEqual(fault.met, 1)
        await self.assertFailure(call, rpc.ConnectionLost)
        self.assertEqual(clock.getDelayedCalls(), [])

    async def test_a_fault_strikes_one_method_or_one_service(self) -> None:
        """A fault of another method, or of a service whose name begins alike, strikes nothing."""
        async with Harness(calculator()) as harness:
            fault = harness.faults.unroutable("Calculator.add", times=None)
            harness.faults.unroutable("Calc", times=None)
            await harness.client(Calculator).ping()
            self.assertEqual(fault.met, 0)

    async def test_a_fault_strikes_a_service_whose_name_has_dots(self) -> None:
        """The dots of a name are no methods: neither the wrong service nor the wrong method is struck."""
        async with Harness(
            calculator(name="math"), calculator(name="math.add"), calculator(name="math.sums")
        ) as harness:
            dotted = harness.faults.unroutable("math.add", times=None)
            method = harness.faults.unroutable("math.sums.add", times=None)
            other = harness.faults.unroutable("math.ping", times=None)
            self.assertEqual(await harness.client(Calculator, name="math").add(2, 3), 5)
            await harness.client(Calculator, name="math.sums").ping()
            self.assertEqual((dotted.met, method.met, other.met), (0, 0, 0))
            for name, struck in (("math.add", "ping"), ("math.sums", "add"), ("math", "ping")):
                arguments = (2, 3) if struck == "add" else ()
                with self.assertRaises(rpc.ServiceUnavailable):
                    await getattr(harness.client(Calculator, name=name), struck)(*arguments)
            self.assertEqual((dotted.met, method.met, other.met), (1, 1, 1))

    async def test_a_fault_strikes_requests_to_one_worker(self) -> None:
        """A request to <service>@<instance> is a request of the service."""
        async with Harness(calculator(name="math.sums")) as harness:
            assert harness.worker is not None
            fault = harness.faults.unroutable("math.sums.add")
            client = harness.client(Calculator, name=f"math.sums@{harness.worker.instance}")
            await client.ping()
            with self.assertRaises(rpc.ServiceUnavailable):
                await client.add(2, 3)
            self.assertEqual(fault.met, 1)

    async def test_a_dead_letter_is_no_request(self) -> None:
        """A dead letter has the type of its request, and is not struck by a fault for requests."""
        async with Harness(calculator()) as harness:
            link = harness.connection._link.connection
            assert link is not None
            channel = await link.open_channel()
            letter = encode_properties(Properties(type="Calculator.add"))
            fault = harness.faults.drop("Calculator.add", times=None)
            channel.publish("rpc.dead", "Calculator", letter, b"")
            await harness.client(Calculator).ping()  # the broker has seen the dead letter before it
            self.assertEqual(fault.met, 0)

    async def test_a_cancellation_is_no_request(self) -> None:
        """The type rpc.cancel is no method of a service named rpc."""
        async with Harness(rpc.ThriftService(Calculator, handler := WaitingHandler())) as harness:
            fault = harness.faults.drop("rpc", times=None)
            call = harness.client(Calculator).sum(Numbers([]))
            await handler.begun
            call.cancel()
            await self.assertFailure(call, CancelledError)
            await self.assertFailure(handler.waiting, CancelledError)
            self.assertEqual(fault.met, 0)

    async def test_a_notice_of_the_quarantine_is_no_request(self) -> None:
        """A worker announces that it exists, and asks for it. The type rpc.quarantine is no method of a service rpc."""
        async with Harness(calculator()) as harness:
            link = harness.connection._link.connection
            assert link is not None
            channel = await link.open_channel()
            notice = encode_properties(Properties(type="rpc.quarantine"))
            faults = [harness.faults.drop("rpc", times=None, of_replies=of_replies) for of_replies in (False, True)]
            channel.publish("rpc.broadcast", "Calculator", notice, b"")
            channel.publish("", "rpc.Calculator.quarantine", notice, b"")
            await channel.queue_declare(queue="rpc.Calculator", passive=True)  # the broker has seen both before it
            self.assertEqual([fault.met for fault in faults], [0, 0])

    async def test_rejects_times_and_seconds_out_of_range(self) -> None:
        """The error names the argument and its value."""
        async with Harness() as harness:
            with self.assertRaisesRegex(ConfigurationError, "times=0"):
                harness.faults.drop("Calculator", times=0)
            with self.assertRaisesRegex(ConfigurationError, "seconds=-1"):
                harness.faults.delay("Calculator", -1)


class HandlerErrorTests(TestCase):
    """Handlers that fail are logged, as in production."""

    timeout = 20.0

    async def test_an_internal_error_is_logged_with_its_traceback(self) -> None:
        """The caller is told no more than that, and trial finds the traceback in the log."""

        class Failing(CalculatorHandler):
            def add(self, num1: int, num2: int) -> int:
                raise ValueError("no sums today")

        async with Harness(rpc.ThriftService(Calculator, Failing())) as harness:
            with self.assertRaises(TApplicationException):
                await harness.client(Calculator).add(2, 3)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
