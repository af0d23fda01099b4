"""``rpc.aio``: asyncio programs call, in loops of their own."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import warnings
from typing import Any, ClassVar

import pytest
import uvloop

import rpc
import rpc.aio
import rpc.blocking
from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import InvalidOperation, Operation, Work
from rpc.aio.client import CallFuture
from rpc.errors import BrokerUnreachable, ConfigurationError, ConnectionLost, InvalidURI
from rpc.loop_reactor import LoopReactor
from tests.integration.asyncio_worker import ASYNCIO, CANCELLED, TWISTED, WAITING, AsyncioWorkerTestCase
from tests.integration.documents import ROOT
from tests.support import BrokerTestCase
from tools.nodes.rabbitmq import RabbitMQNode

Calculator: Any = CalculatorStub


class AsyncioTests(AsyncioWorkerTestCase):
    """The worker is a process. The tests run event loops of asyncio, and Twisted's reactor stands still meanwhile."""

    async def make_calls(self) -> None:
        """Futures, gathered or alone, with options and metadata."""
        async with rpc.aio.connect(self.url) as connection:
            client = connection.client(Calculator, name=self.name)
            self.assertEqual(await client.add(1, 2), 3)
            self.assertEqual(await asyncio.gather(*(client.add(n, 1) for n in range(20))), [*range(1, 21)])
            with self.assertRaises(InvalidOperation):
                await client.calculate(1, Work(1, 0, Operation.DIVIDE))
            reply = await rpc.aio.with_reply(client.echo, Work(1, comment="x"))
            self.assertEqual((reply.value.comment, reply.headers), ("x", {}))
            other = rpc.aio.with_options(client, protocol="json", timeout=5.0)
            self.assertEqual(await other.blob(b"\0\xff"), b"\0\xff")
            self.assertIsNone(await client.zip())

    def test_calls_in_two_loops_one_after_the_other(self) -> None:
        """No thread and no descriptor stays."""
        before = threading.active_count(), open_descriptors()
        for _ in range(2):
            asyncio.run(self.make_calls())
        self.assertEqual((threading.active_count(), open_descriptors()), before)

    def test_calls_in_loops_of_uvloop(self) -> None:
        """The same, and a time limit, in another kind of event loop."""
        for main in (self.make_calls, self.cancel_calls):
            uvloop.run(main())

    def test_a_connection_can_be_awaited_and_closed(self) -> None:
        """Calls on a closed connection fail; so does one that was waiting."""

        async def main() -> None:
            connection = await rpc.aio.connect(self.url)
            client = connection.client(Calculator, name=self.name)
            waiting = client.blob(bytes(2**20))
            await connection.close()
            await connection.close()
            for call in (waiting, client.ping()):
                with self.assertRaises(ConnectionLost):
                    await call
            with self.assertRaises(ConfigurationError):
                connection.client(Calculator)

        asyncio.run(main())

    async def cancel_calls(self) -> None:
        """Cancel calls whose handlers await a future of asyncio, and a Deferred, until the handlers are cancelled."""
        async with rpc.aio.connect(self.url) as connection:
            client = connection.client(Calculator, name=self.name)
            waiting, cancelled = await client.sum(WAITING), await client.sum(CANCELLED)
            for number, key in enumerate((ASYNCIO, TWISTED), 1):
                call = client.getStruct(key)
                while await client.sum(WAITING) < waiting + number:
                    await asyncio.sleep(0.01)
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(call, 0.05)
                self.assertTrue(call.cancelled())
                while await client.sum(CANCELLED) < cancelled + number:
                    await asyncio.sleep(0.01)

    def test_a_timeout_of_asyncio_cancels_the_call(self) -> None:
        """The worker is told, and cancels the future of asyncio or the Deferred that its handler awaits."""
        asyncio.run(self.cancel_calls())

    def test_handlers_await_futures_and_deferreds(self) -> None:
        """Many at once, each in its own context. An error of a Deferred is raised where it is awaited."""

        async def main() -> None:
            async with rpc.aio.connect(self.url) as connection:
                client = connection.client(Calculator, name=self.name)
                self.assertEqual(await asyncio.gather(*(client.add(n, 1) for n in range(50))), [*range(1, 51)])
                self.assertIn("i32 expected, got str", (await client.getStruct(0)).value)

        asyncio.run(main())

    def test_a_broker_that_is_not_there(self) -> None:
        """The error is the usual one, and nothing is left in the loop."""

        async def main() -> None:
            with self.assertRaises(BrokerUnreachable):
                await enter(rpc.aio.connect("amqp://127.0.0.1:1"))
            with self.assertRaises(InvalidURI):
                await rpc.aio.connect("http://localhost")
            connecting = asyncio.ensure_future(enter(rpc.aio.connect("amqp://127.0.0.1:1?connection_timeout=30")))
            await asyncio.sleep(0)
            connecting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await connecting

        before = open_descriptors()
        asyncio.run(main())
        self.assertEqual(open_descriptors(), before)

    def test_an_unclosed_connection_is_told(self) -> None:
        """As asyncio does for its transports."""

        async def main() -> None:
            connection = await rpc.aio.connect(self.url)
            opened = connection._open
            assert opened is not None
            gc.collect()  # the garbage of earlier tests, which may warn as well
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                del connection
                gc.collect()
            self.assertIn("was not closed", str(told[0].message))
            await opened.close()

        asyncio.run(main())

    def test_tasks_may_open_and_close_at_the_same_time(self) -> None:
        """They get one connection, and after the last close nothing is left."""

        async def main() -> None:
            connection = rpc.aio.connect(self.url)
            first, second = await asyncio.gather(enter_only(connection), enter_only(connection))
            self.assertIs(first._opened(), second._opened())
            await asyncio.gather(connection.close(), connection.close())
            opening = asyncio.ensure_future(enter_only(connection))
            await asyncio.sleep(0)
            await connection.close()
            await opening
            self.assertIn("not open", repr(connection))

        before = open_descriptors()
        asyncio.run(main())
        self.assertEqual(open_descriptors(), before)

    def test_a_connection_belongs_to_one_loop(self) -> None:
        """It is opened anew where its loop has ended without closing it. Another loop's is refused."""
        connection = rpc.aio.connect(self.url)

        async def call() -> Any:
            await connection
            return await connection.client(Calculator, name=self.name).add(1, 2)

        before = open_descriptors()
        self.assertEqual((asyncio.run(call()), asyncio.run(call())), (3, 3))
        asyncio.run(connection.close())
        self.assertEqual(open_descriptors(), before)
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        loop.run_until_complete(call())
        with self.assertRaisesRegex(ConfigurationError, "in another event loop"):
            asyncio.run(call())
        loop.run_until_complete(connection.close())

    def test_a_call_in_another_loop_is_refused(self) -> None:
        """At once, with the remedy: while the client's loop is open, and when it has ended. Without a running loop, a
        call may begin, and is answered when the client's loop runs.
        """
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)

        async def enter() -> rpc.aio.Connection:
            return await rpc.aio.connect(self.url)

        connection = loop.run_until_complete(enter())
        client = connection.client(Calculator, name=self.name)
        self.assertEqual(loop.run_until_complete(client.add(1, 2)), 3)

        async def refused() -> None:
            for call in (
                client.ping,
                lambda: rpc.aio.with_reply(client.ping),
                lambda: connection.call_raw(self.name, b""),
                lambda: connection.reflect(self.name),
            ):
                with self.assertRaisesRegex(RuntimeError, "another event loop, .*: open a connection in each loop"):
                    call()

        asyncio.run(refused())
        loop.close()
        asyncio.run(refused())
        asyncio.run(connection.close())
        with self.assertRaisesRegex(RuntimeError, "another event loop"):
            client.ping()

    def test_a_raw_call_is_a_future_too(self) -> None:
        """It begins at once, as other calls do."""

        async def main() -> None:
            async with rpc.aio.connect(self.url) as connection:
                message = b"\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07\0"
                call = connection.call_raw(self.name, message, timeout=5.0)
                self.assertIsInstance(call, asyncio.Future)
                self.assertEqual((await call).message, b"\x80\x01\0\x02\0\0\0\x04ping\0\0\0\x07\0")

        asyncio.run(main())

    def test_nothing_is_called_after_the_end(self) -> None:
        """The lookup of a host name may end later. Then it sets no timers."""
        called: list[int] = []

        async def main() -> None:
            reactor = LoopReactor(asyncio.get_running_loop())
            reactor.callLater(10, called.append, 1)
            reactor.close()
            reactor.callLater(0, called.append, 2)
            reactor.callFromThread(called.append, 3)
            await asyncio.sleep(0.01)

        asyncio.run(main())
        self.assertEqual(called, [])

    def test_a_call_of_another_thread_is_refused(self) -> None:
        """At once, and before anything is sent."""

        async def main() -> None:
            async with rpc.aio.connect(self.url) as connection:
                client = connection.client(Calculator, name=self.name)
                with self.assertRaisesRegex(RuntimeError, "another thread"):
                    await asyncio.to_thread(client.add, 1, 2)
                self.assertEqual(await client.add(1, 2), 3)

        asyncio.run(main())

    def test_rejects_what_is_no_client_of_this_module(self) -> None:
        """The functions of rpc do not take clients of rpc.aio, and the other way round."""

        async def main() -> None:
            async with rpc.aio.connect(self.url) as connection:
                client = connection.client(Calculator, name=self.name)
                with self.assertRaisesRegex(TypeError, "a method of a client of rpc.aio: use rpc.aio.with_reply"):
                    await rpc.with_reply(client.ping)
                with self.assertRaisesRegex(TypeError, "use rpc.aio.with_reply"):
                    rpc.blocking.with_reply(client.ping)
                self.assertIsNone(await rpc.with_options(client, timeout=1.0).ping())
                with self.assertRaises(TypeError):
                    rpc.aio.with_options(Calculator, timeout=1.0)
                with self.assertRaisesRegex(TypeError, "is no method of a client; give one such as client.add"):
                    await rpc.aio.with_reply(len, ())  # type: ignore[arg-type]
                with self.assertRaises(AttributeError):
                    _ = client.subtract
                self.assertIsInstance(client.ping(), CallFuture)
                self.assertIn("add", dir(client))
                self.assertIn("(num1, num2)", repr(client.add))

        asyncio.run(main())

    def test_the_program_ends_when_main_is_over(self) -> None:
        """Also when the connection was never closed, and when the lookup of a host name is running."""
        program = (
            "import asyncio, rpc.aio\n"
            "from generated.calculator import Calculator\n"
            "async def main():\n"
            f"    connection = await rpc.aio.connect({self.url.replace('127.0.0.1', 'localhost')!r})\n"
            f"    print(await connection.client(Calculator, name={self.name!r}).add(1, 2))\n"
            "asyncio.run(main())\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, b"3\n"), done.stderr)


@pytest.mark.rabbitmq_only("the embedded broker listens without TLS")
class TLSTests(BrokerTestCase):
    """amqps://: all that is sent goes by the connection's own reactor."""

    broker: ClassVar[RabbitMQNode]

    def test_connects(self) -> None:
        """In asyncio, and in a thread."""
        url = f"{self.broker.tls_url}?cacertfile={self.broker.ca_file}"
        asyncio.run(enter(rpc.aio.connect(url)))
        with rpc.blocking.connect(url):
            pass


async def enter(connection: rpc.aio.Connection) -> None:
    """Open and close it."""
    async with connection:
        pass


async def enter_only(connection: rpc.aio.Connection) -> rpc.aio.Connection:
    """Open it."""
    return await connection


def open_descriptors() -> int:
    """Return the number of open files and sockets of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
