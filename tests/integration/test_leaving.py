"""Workers and clients that leave, over a real broker, and a broker that comes late."""

from __future__ import annotations

import os
import signal
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredList, gatherResults

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Work
from tests.integration.call_case import PROJECT, CallTestCase, Handler, pause
from tests.processes import WorkerProcess


class LeavingTests(CallTestCase):
    """Workers and clients that go."""

    async def test_stopping_worker_loses_nothing(self) -> None:
        """A stopping worker finishes its calls in progress. The others run in another worker; each runs once."""
        client = await self.serve_and_call(concurrency=5)
        calls = gatherResults([client.calculate(number, Work()) for number in range(50)])
        await self.handler.holding(5)
        stopped = self.worker.stopService()
        second = Handler()
        self.serve(rpc.ThriftService(Calculator, second, name=self.name, concurrency=5))
        await second.holding(5)
        self.assertFalse(stopped.called)
        self.handler.release()
        await stopped
        self.assertEqual(len(self.handler.ran), 5)
        while not calls.called:
            second.release()
            await pause()
        self.assertEqual(await calls, [7] * 50)
        self.assertEqual(sorted(self.handler.ran + second.ran), list(range(50)))

    async def test_calls_of_a_killed_worker_are_run_by_another(self) -> None:
        self.name = self.unique("killed")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "served.py").write_text(
                textwrap.dedent(f"""\
                    import rpc
                    from generated.calculator import Calculator
                    from tests.integration.call_case import Handler
                    service = rpc.ThriftService(Calculator, Handler(), name={self.name!r}, concurrency=200)
                    """)
            )
            path = os.pathsep.join([folder, str(PROJECT)])
            with WorkerProcess(
                "rpc-worker",
                "--broker",
                self.url,
                "served:service",
                folder=Path(folder),
                environment={"PYTHONPATH": path},
            ) as process:
                process.wait_until_serving(self.name)
                client = await self.client(Calculator, "ping", name=self.name)
                calls = gatherResults([client.calculate(number, Work()) for number in range(100)])
                await client.ping()
                process.send(signal.SIGKILL)
                handler = Handler()
                self.serve(rpc.ThriftService(Calculator, handler, name=self.name, concurrency=100))
                await handler.holding(100)
                handler.release()
                self.assertEqual(await calls, [7] * 100)

    async def test_closing_the_connection_settles_its_calls(self) -> None:
        """Later calls fail at once."""
        client = await self.serve_and_call()
        connection = await self.connect()
        leaving = connection.client(Calculator, name=self.name)
        call = leaving.calculate(1, Work())
        failing = self.assert_fails(call, rpc.ConnectionLost, rpc.Outcome.UNKNOWN)
        await self.handler.holding(1)
        await connection.close()
        await failing
        await self.assert_fails(leaving.ping(), rpc.ConnectionLost, rpc.Outcome.NOT_SENT)
        self.handler.release()
        self.assertEqual(await client.add(1, 2), 3)

    async def test_a_lost_connection_fails_the_calls_sent(self) -> None:
        """Later calls wait for the next connection."""
        client = await self.serve_and_call()
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        client._caller.channel.client.transport.abortConnection()
        await self.assert_fails(call, rpc.ConnectionLost, rpc.Outcome.UNKNOWN)
        self.assertEqual(await client.add(1, 2), 3)
        self.handler.release()


class LateBrokerTests(CallTestCase):
    """A broker that comes after its callers."""

    own_broker = True
    timeout = 240.0

    async def test_calls_wait_for_the_broker(self) -> None:
        """Calls that are out of time were not sent."""
        self.broker.stop()
        connection = rpc.Connection(self.url)
        connection.startService()
        self.addCleanup(connection.stopService)
        client = connection.client(Calculator, timeout=200.0)
        self.serve(rpc.ThriftService(Calculator, Handler()))
        waiting: Any = DeferredList([client.zip(), client.zip()], consumeErrors=True)
        impatient = rpc.with_options(client, timeout=0.3)
        error = await self.assert_fails(impatient.ping(), rpc.CallTimedOut, rpc.Outcome.NOT_SENT)
        self.assertIn("not sent before the deadline", str(error))
        self.broker.start()
        for success, result in await waiting:
            # A call that comes before the first worker has no queue, and is returned.
            self.assertTrue(success or isinstance(result.value, rpc.ServiceUnavailable), result)
        while True:
            try:
                self.assertEqual(await client.add(1, 2), 3)
            except rpc.ServiceUnavailable:
                continue
            break
