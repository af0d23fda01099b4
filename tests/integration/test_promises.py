"""Promises beyond a single attempt, on a real broker: attempts, deduplication, cancellation, nested calls."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers, Work
from tests.integration.call_case import CallTestCase, Handler, pause


class AttemptTests(CallTestCase):
    """Calls with more than one attempt."""

    async def test_repeats_an_idempotent_call_after_a_lost_connection(self) -> None:
        """The handler sees that it is a further attempt."""
        client = rpc.with_options(await self.serve_and_call(), idempotent=["calculate"])
        attempts: list[int] = []

        def calculate(logid: int, w: Work) -> Any:
            call = rpc.current_call()
            assert call is not None
            attempts.append(call.attempt)
            return self.handler.hold() if len(attempts) == 1 else 8

        self.execution()._handlers["calculate"] = calculate
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        client._caller.channel.client.transport.abortConnection()
        self.assertEqual((await call, attempts), (8, [1, 2]))
        self.handler.release()

    async def test_retry_waits_for_a_service_that_does_not_exist_yet(self) -> None:
        """Within the call's deadline."""
        name = self.unique("Later")
        client = (await self.connect()).client(Calculator, name=name, retry=True)
        call = client.add(2, 3)
        await pause(0.1)
        self.serve(rpc.ThriftService(Calculator, Handler(), name=name))
        self.assertEqual(await call, 5)

    async def test_a_missing_exchange_harms_no_other_client_of_the_connection(self) -> None:
        """RabbitMQ closes only the channel."""
        client = await self.serve_and_call()
        elsewhere = rpc.with_options(client, exchange=self.unique("nowhere"), idempotent=[])
        held = client.calculate(1, Work())
        await self.handler.holding(1)
        error = await self.assert_fails(elsewhere.add(1, 2), rpc.ServiceUnavailable)
        self.assertIn("does not exist on this virtual host", str(error))
        self.handler.release()
        self.assertEqual(await held, 7)


class DeduplicationTests(CallTestCase):
    """Calls that are not run again."""

    async def test_answers_a_repeated_call_without_running_it_again(self) -> None:
        """The reply was lost with the caller's connection."""
        client = rpc.with_options(await self.serve_and_call(deduplicate=True), idempotent=["calculate"])
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        client._caller.channel.client.transport.abortConnection()
        await pause(0.05)
        self.handler.release()
        self.assertEqual((await call, self.handler.ran), (7, [1]))

    async def test_joins_a_redelivered_request_to_the_running_one(self) -> None:
        """On the same worker."""
        client = await self.serve_and_call(deduplicate=True)
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        self.worker._link.connection.transport.abortConnection()  # type: ignore[union-attr]
        self.assertEqual(await rpc.with_options(client, timeout=20.0).add(1, 2), 3)
        self.handler.release()
        self.assertEqual((await call, self.handler.ran), (7, [1]))


class CancellingTests(CallTestCase):
    """Handlers without a waiting caller."""

    async def test_cancels_the_handler_of_a_cancelled_call(self) -> None:
        """On any worker; a request that is not running is dropped."""
        client = await self.serve_and_call(concurrency=1)
        running, waiting = client.calculate(1, Work()), client.calculate(2, Work())
        await self.handler.holding(1)
        for call in (waiting, running):
            call.cancel()
            await self.assert_fails(call, CancelledError)
        self.assertEqual(await client.add(1, 2), 3)
        self.assertTrue(self.handler.held[0].called)
        self.assertEqual(self.handler.ran, [1])

    async def test_cancels_the_handler_at_the_deadline(self) -> None:
        """Its slot is free again."""
        client = await self.serve_and_call(concurrency=1)
        while not self.handler.held:  # on a slow machine, the deadline may come before the handler
            await self.assert_fails(rpc.with_options(client, timeout=0.2).calculate(1, Work()), rpc.CallTimedOut)
        self.assertEqual(await client.add(1, 2), 3)
        self.assertTrue(self.handler.held[0].called)

    async def test_keepalives_keep_a_long_call_running(self) -> None:
        """Without them it fails soon after its worker has gone."""
        client = rpc.with_options(await self.serve_and_call(), timeout=600.0, liveness=1.0)
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        await pause(1.5)
        self.assertFalse(call.called)
        next(iter(self.worker._served.values())).dispatcher.in_progress.stop()  # it sends no more keepalives
        await self.assert_fails(call, rpc.WorkerLost, rpc.Outcome.UNKNOWN)
        self.handler.release()


class NestedTests(CallTestCase):
    """Services of one worker that call each other."""

    timeout = 120.0

    async def assert_no_deadlock(self, limit: int, depth: int) -> None:
        """Check that a hundred calls of A→B→A and so on are all answered soon."""
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
        limiters = [served.dispatcher.limiter for served in worker._served.values()]
        self.assertEqual([(each.running, each.waiting) for each in limiters], [(0, 0), (0, 0)])

    async def test_nested_calls_with_a_limit_of_two_do_not_deadlock(self) -> None:
        """A→B→A, a hundred at once, from either end."""
        await self.assert_no_deadlock(2, 2)

    async def test_nested_calls_with_a_limit_of_one_do_not_deadlock(self) -> None:
        """Six deep."""
        await self.assert_no_deadlock(1, 6)

    async def test_a_stopping_worker_serves_nested_calls(self) -> None:
        """Those of its calls in progress."""
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
