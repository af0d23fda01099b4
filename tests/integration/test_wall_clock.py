"""The wall clock is set an hour forward or back while clients, workers and commands run.

Time limits are asserted without measuring: calls that must not end early are answered after the jump. Those that must
end by themselves would otherwise take an hour.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from tests.integration.call_case import Handler, pause
from tests.processes import WorkerProcess
from tests.services.support import ServiceTestCase
from tests.wall_clock import HOUR, WallClock
from tools.processes import Process

PROGRAM = """
import sys
import rpc
from generated.calculator import Calculator
from twisted.internet import reactor

FIRST_LINE

client = None

def read():
    for number, timeout in enumerate(sys.stdin, 1):
        reactor.callFromThread(call, number, float(timeout))
    reactor.callFromThread(reactor.stop)

def call(number, timeout):
    calling = rpc.with_options(client, timeout=timeout).add(number, 0)
    calling.addBoth(lambda result: print(f"call {number}: {getattr(result, 'value', result)!r}", flush=True))

def connected(connection):
    global client
    client = connection.client(Calculator, name=sys.argv[2])
    reactor.callInThread(read)

rpc.connect(sys.argv[1]).addCallback(connected).addErrback(print)
reactor.run()
"""

REACHED = 3.0
"""Seconds of a call that is to time out, but not before the handler has begun."""

PLAIN = ""
MONOTONIC = "rpc.use_monotonic_time()"

ON_ASYNCIO = (
    "import asyncio\nfrom twisted.internet import asyncioreactor\nasyncioreactor.install(asyncio.new_event_loop())"
)

SERVICE = """
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred
import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler

class Slow(CalculatorHandler):
    def add(self, num1, num2):
        print("adding", flush=True)
        if num2:
            return task.deferLater(reactor, num2, lambda: num1)
        self.held = Deferred(lambda _: print("the handler was cancelled", flush=True))
        return self.held

    def ping(self):
        self.held.callback(7)

service = rpc.ThriftService(Calculator, Slow(), name=NAME)
"""


class Holding(Handler):
    """A calculator whose sums the test can hold."""

    def add(self, num1: int, num2: int) -> Any:
        return self.hold()


class WallClockCase(ServiceTestCase):
    """A test case with a wall clock for its processes."""

    timeout = 60.0

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.wall_clock = WallClock(self.folder)
        self.name = self.unique("Calculator")

    def start_program(self, first_line: str = PLAIN, install: str = "") -> None:
        """Start a program that calls the service: once for each :meth:`call`."""
        program = install + PROGRAM.replace("FIRST_LINE", first_line)
        self.program = Process(
            "the program",
            [sys.executable, "-c", program, self.url, self.name],
            environment=self.wall_clock.environment,
            takes_input=True,
        )
        self.addCleanup(self.program.close)

    def call(self, timeout: float) -> None:
        """Have the program make a call."""
        self.program.stdin.write(b"%f\n" % timeout)


class ClientTests(WallClockCase):
    """A program that calls a service of the test's process."""

    async def start(self, first_line: str, install: str = "") -> Handler:
        """Start the program, and serve the service that it calls."""
        handler = Holding()
        self.serve(rpc.ThriftService(Calculator, handler, name=self.name))
        await self.client(Calculator, "ping", name=self.name)
        self.start_program(first_line, install)
        return handler

    async def printed(self, text: str) -> None:
        """Wait for a line of the program."""
        await deferToThread(self.program.wait_for, text)

    async def no_call_ends_early(self, first_line: str, install: str = "") -> None:
        """A deadline is an hour away by the wall clock, and a minute by the monotonic one."""
        handler = await self.start(first_line, install)
        self.call(60.0)
        await handler.holding(1)
        self.wall_clock.set(HOUR)
        self.call(60.0)  # wakes the reactor, which looks at its timers
        await handler.holding(2)
        self.call(60.0)
        await handler.holding(3)
        handler.release()
        for number in (1, 2, 3):
            await self.printed(f"call {number}: 7")

    async def a_call_ends_by_itself(self, install: str = "") -> None:
        """By the wall clock, its deadline would be in an hour."""
        handler = await self.start(MONOTONIC, install)
        self.call(REACHED)
        await handler.holding(1)
        self.wall_clock.set(-HOUR)
        await self.printed("call 1: CallTimedOut")

    async def test_no_call_ends_early(self) -> None:
        """The clock is set forward. The program has monotonic time."""
        await self.no_call_ends_early(MONOTONIC)

    async def test_no_call_ends_early_beside_a_foreign_reactor(self) -> None:
        """The clock is set forward. The program's reactor follows it."""
        await self.no_call_ends_early(PLAIN)

    async def test_no_call_ends_early_on_asyncio(self) -> None:
        """The same on asyncio's reactor, which schedules by the monotonic clock, and then asks the wall clock."""
        await self.no_call_ends_early(MONOTONIC, ON_ASYNCIO)

    async def test_no_call_ends_early_beside_a_foreign_asyncio_reactor(self) -> None:
        """The same beside asyncio's reactor as it is."""
        await self.no_call_ends_early(PLAIN, ON_ASYNCIO)

    async def test_a_call_ends_at_its_deadline(self) -> None:
        """The clock is set back. The program has monotonic time."""
        await self.a_call_ends_by_itself()

    async def test_a_call_ends_at_its_deadline_on_asyncio(self) -> None:
        """The clock is set back, on asyncio's reactor."""
        await self.a_call_ends_by_itself(ON_ASYNCIO)

    async def test_the_next_call_mends_the_timers_of_a_foreign_reactor(self) -> None:
        """The clock is set back. The program's reactor follows it, and sleeps until there is something to do."""
        handler = await self.start(PLAIN)
        self.call(REACHED)
        await handler.holding(1)
        self.wall_clock.set(-HOUR)
        self.call(0.5)
        await self.printed("call 2: CallTimedOut")
        await self.printed("call 1: CallTimedOut")


class WorkerTests(WallClockCase):
    """``twistd rpc-worker``, called from the test's process."""

    async def start(self, **options: Any) -> Any:
        """Start the worker; return a client."""
        (self.folder / "slow.py").write_text(SERVICE.replace("NAME", repr(self.name)))
        self.worker = WorkerProcess(
            "rpc-worker",
            "--broker",
            self.url,
            "slow:service",
            folder=self.folder,
            environment=self.wall_clock.environment,
        )
        self.addCleanup(self.worker.close)
        await deferToThread(self.worker.wait_until_serving, self.name)
        return await self.client(Calculator, "getStruct", 1, name=self.name, **options)

    async def added(self) -> None:
        """Wait until the handler has begun."""
        await deferToThread(self.worker.wait_for, "adding")

    async def test_cancels_no_handler_early(self) -> None:
        """The clock is set forward: no call has reached its deadline."""
        client = await self.start(timeout=60.0)
        call = client.add(1, 0)
        await self.added()
        self.wall_clock.set(HOUR)
        await client.getStruct(1)
        await client.getStruct(1)
        await client.ping()
        self.assertEqual(await call, 7)

    async def test_cancels_a_handler_at_the_deadline(self) -> None:
        """The clock is set back. The caller no longer exists, so only the worker ends the call."""
        await self.start()
        self.start_program()
        self.call(3.0)
        await self.added()
        self.program.kill()
        self.wall_clock.set(-HOUR)
        await deferToThread(self.worker.wait_for, "the handler was cancelled")

    async def test_sends_keepalives(self) -> None:
        """The clock is set back. Keepalives, and the handler's own pauses, go on."""
        client = await self.start(liveness=3.0, timeout=60.0)  # the default of "add" is 5 s
        call = client.add(9, 5)
        await self.added()
        self.wall_clock.set(-HOUR)
        self.assertEqual(await call, 9)


class CommandTests(WallClockCase):
    """``thrift-rpc call``, answered from the test's process."""

    async def start(self, timeout: float) -> tuple[Process, Handler]:
        """Start the command; return it when its call is held."""
        handler = Holding()
        self.serve(rpc.ThriftService(Calculator, handler, name=self.name))
        await self.client(Calculator, "ping", name=self.name)
        command = str(Path(sys.executable).with_name("thrift-rpc"))
        stub = "generated.calculator.Calculator"
        arguments = [
            "--broker",
            f"{self.url}?heartbeat=3",
            "--name",
            self.name,
            "--timeout",
            str(timeout),
            stub,
            "add",
            "1",
            "2",
        ]
        process = Process("the command", [command, "call", *arguments], environment=self.wall_clock.environment)
        self.addCleanup(process.close)
        await handler.holding(1)
        return process, handler

    async def test_waits_for_the_reply(self) -> None:
        """The clock is set forward."""
        process, handler = await self.start(60.0)
        self.wall_clock.set(HOUR)
        await pause(2.0)  # heartbeats of the broker wake the reactor, which looks at its timers
        handler.release()
        self.assertEqual(await deferToThread(process.wait), 0, process.output())
        self.assertEqual(process.output(), "7\n")

    async def test_ends_at_its_timeout(self) -> None:
        """The clock is set back."""
        process, _ = await self.start(5.0)
        self.wall_clock.set(-HOUR)
        self.assertEqual(await deferToThread(process.wait, 60.0), 1, process.output())
        self.assertIn("no reply", process.output())
