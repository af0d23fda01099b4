"""Promises beyond a single attempt, over a real broker: attempts, deduplication, cancelling, nested calls."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers, Work
from tests.integration.test_calls import CallTestCase, Handler, pause


class AttemptTests(CallTestCase):
    """Calls that are made again."""

    async def test_idempotent(self) -> None:
        """A call whose connection is lost is made again when it may be run twice; the handler is told so."""
        client = rpc.with_options(await self.serve_and_call(), idempotent=["calculate"])
        attempts: list[int] = []

        def calculate(logid: int, w: Work) -> Any:
            call = rpc.current_call()
            assert call is not None
            attempts.append(call.attempt)
            return self.handler.hold() if len(attempts) == 1 else 8

        self.worker._serving[0]._handlers["calculate"] = calculate
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        client._caller.channel.client.transport.abortConnection()
        self.assertEqual((await call, attempts), (8, [1, 2]))
        self.handler.release()

    async def test_never_served(self) -> None:
        """With ``retry`` a call waits for a service that does not exist yet."""
        name = self.unique("Later")
        client = (await self.connect()).client(Calculator, name=name, retry=True)
        call = client.add(2, 3)
        await pause(0.1)
        self.serve(rpc.ThriftService(Calculator, Handler(), name=name))
        self.assertEqual(await call, 5)

    async def test_an_exchange_that_is_not_there(self) -> None:
        """A client that publishes to no exchange harms no other on its connection."""
        client = await self.serve_and_call()
        elsewhere = rpc.with_options(client, exchange=self.unique("nowhere"), idempotent=[])
        held = client.calculate(1, Work())
        await self.handler.holding(1)
        error = await self.assert_fails(elsewhere.add(1, 2), rpc.ConnectionLost)
        self.assertIn("NOT_FOUND", str(error))
        self.handler.release()
        self.assertEqual(await held, 7)


class DeduplicationTests(CallTestCase):
    """Calls that are not run again."""

    async def test_reply_lost(self) -> None:
        """A call that was run, whose reply was lost with the caller's connection, is answered and not run again."""
        client = rpc.with_options(await self.serve_and_call(deduplicate=True), idempotent=["calculate"])
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        client._caller.channel.client.transport.abortConnection()
        await pause(0.05)
        self.handler.release()
        self.assertEqual((await call, self.handler.ran), (7, [1]))

    async def test_worker_disconnected(self) -> None:
        """A request that comes again to the worker that is running it is joined to that."""
        client = await self.serve_and_call(deduplicate=True)
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        self.worker._link.connection.transport.abortConnection()  # type: ignore[union-attr]
        self.assertEqual(await rpc.with_options(client, timeout=20.0).add(1, 2), 3)
        self.handler.release()
        self.assertEqual((await call, self.handler.ran), (7, [1]))


class CancellingTests(CallTestCase):
    """Handlers that nobody waits for."""

    async def test_cancelled(self) -> None:
        """A cancelled call's handler is cancelled, wherever it runs; a request that waits is not begun."""
        client = await self.serve_and_call(concurrency=1)
        running, waiting = client.calculate(1, Work()), client.calculate(2, Work())
        await self.handler.holding(1)
        for call in (waiting, running):
            call.cancel()
            await self.assert_fails(call, CancelledError)
        self.assertEqual(await client.add(1, 2), 3)
        self.assertTrue(self.handler.held[0].called)
        self.assertEqual(self.handler.ran, [1])

    async def test_deadline(self) -> None:
        """A handler is cancelled when its caller's time is up, and its place is free again."""
        client = await self.serve_and_call(concurrency=1)
        await self.assert_fails(rpc.with_options(client, timeout=0.2).calculate(1, Work()), rpc.CallTimedOut)
        self.assertEqual(await client.add(1, 2), 3)
        self.assertTrue(self.handler.held[0].called)

    async def test_liveness(self) -> None:
        """A long call goes on while its worker says so, and ends soon when its worker is gone."""
        client = rpc.with_options(await self.serve_and_call(), timeout=600.0, liveness=0.6)
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        await pause(1.5)
        self.assertFalse(call.called)
        await self.worker._serving[0].drain(0)  # of whom nothing is heard any more
        await self.assert_fails(call, rpc.WorkerLost, rpc.Outcome.UNKNOWN)
        self.handler.release()


class NestedTests(CallTestCase):
    """Services of one worker that call each other."""

    timeout = 120.0

    async def assert_no_deadlock(self, limit: int, depth: int) -> None:
        """A calls B calls A and so on, a hundred at once: all are answered, and soon."""
        names = [self.unique("A"), self.unique("B")]
        running = [0, 0]
        most = [0, 0]

        def build(own: int) -> Any:
            class Other(Handler):
                def __init__(self, connection: rpc.Connection) -> None:
                    super().__init__()
                    self.other = connection.client(Calculator, name=names[1 - own])

                async def sum(self, numbers: Numbers) -> int:
                    left = numbers.values[0]
                    call = rpc.current_call()
                    outer = call is not None and "nested" not in call.metadata
                    running[own] += outer
                    most[own] = max(most[own], running[own])
                    await pause()
                    nested = rpc.with_options(self.other, headers={"nested": True})
                    result = (await nested.sum(Numbers([left - 1]))) + 1 if left else 0
                    running[own] -= outer
                    return int(result)

            return Other

        services = [
            rpc.ThriftService(Calculator, factory=build(own), name=names[own], concurrency=limit) for own in (0, 1)
        ]
        worker = self.serve(*services)
        await worker.when_serving()
        connection = await self.connect()
        clients = [connection.client(Calculator, name=name, timeout=20.0) for name in names]
        calls = [clients[number % 2].sum(Numbers([depth])) for number in range(100)]
        self.assertEqual(await gatherResults(calls), [depth] * 100)
        self.assertLessEqual(max(most), limit)
        self.assertEqual([(each.running, each._places.waiting) for each in worker._serving], [(0, 0), (0, 0)])

    async def test_limit_of_two(self) -> None:
        """A→B→A, limit 2, a hundred at once, from either end."""
        await self.assert_no_deadlock(2, 2)

    async def test_limit_of_one(self) -> None:
        """Six deep, limit 1."""
        await self.assert_no_deadlock(1, 6)

    async def test_drained(self) -> None:
        """A worker that is stopped serves what the calls in progress still call of it."""
        name = self.unique("Self")
        waiting: Deferred[None] = Deferred()
        arrived: Deferred[None] = Deferred()

        class Calling(Handler):
            def __init__(self, connection: rpc.Connection) -> None:
                super().__init__()
                self.itself = connection.client(Calculator, name=name)

            async def sum(self, numbers: Numbers) -> int:
                arrived.callback(None)
                await waiting
                return int(await self.itself.add(*numbers.values))

        worker = self.serve(rpc.ThriftService(Calculator, factory=Calling, name=name))
        await worker.when_serving()
        client = (await self.connect()).client(Calculator, name=name)
        call = client.sum(Numbers([2, 3]))
        await arrived
        stopped = worker.stopService()
        await pause(0.1)
        waiting.callback(None)
        self.assertEqual(await call, 5)
        await stopped
