"""Exchanges and bindings that are deleted at the broker while workers serve and clients call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Work
from rpc.amqp.channel import Channel
from rpc.errors import ChannelClosed
from rpc.topology import BROADCAST, DEAD, REQUESTS, direct_exchange, existing_exchange
from tests.integration.amqp_case import AMQPTestCase
from tests.integration.call_case import Handler, pause


class DeletedExchangesTests(AMQPTestCase):
    """A worker and a client on a virtual host of their own."""

    timeout = 60.0

    def setUp(self) -> None:
        self.address = self.virtual_host()
        self.handler = Handler()

    def serve(self, **options: Any) -> None:
        """Start a worker, which is stopped when the test ends."""
        self.worker = rpc.Worker(self.address, [rpc.ThriftService(Calculator, self.handler, **options)])
        self.worker.startService()
        self.addCleanup(self.worker.stopService)

    async def serve_calculator(self, **options: Any) -> Any:
        """Serve, and return a client."""
        self.serve(**options)
        await self.worker.when_serving()
        connection = await self.client_connection()
        return connection.client(Calculator, exchange=options.get("exchange", REQUESTS), timeout=20.0)

    async def client_connection(self) -> rpc.Connection:
        """Return a client's connection, which is closed when the test ends."""
        connection = await rpc.connect(self.address)
        self.addCleanup(connection.close)
        return connection

    async def operator(self) -> Channel:
        """Return a channel of an operator."""
        return await self.channel(self.address)

    @contextmanager
    def unnoticed(self) -> Iterator[None]:
        """The worker's watch checks nothing meanwhile. It may have restored all, otherwise, before the next call."""
        server = self.worker._server
        server.watch.stop()
        yield
        server.watch.start(server._queue)

    async def called(self, client: Any) -> int:
        """Call until it succeeds. Each call that fails was not executed, and its caller knows it."""
        while True:
            try:
                result: int = await client.add(2, 3)
            except rpc.ServiceUnavailable as error:
                self.assertIsNot(error.outcome, rpc.Outcome.UNKNOWN)
                await pause(0.1)
            else:
                return result

    async def test_a_worker_declares_deleted_exchanges_again(self) -> None:
        """And binds its queues to them. No program has to be restarted."""
        client = await self.serve_calculator()
        self.assertEqual(await client.add(2, 3), 5)
        operator = await self.operator()
        with self.unnoticed():
            for exchange in (REQUESTS, BROADCAST, DEAD):
                await operator.exchange_delete(exchange=exchange)
            with self.assertRaises(rpc.RPCError):  # its request goes to an exchange that is not there
                await client.add(2, 3)
        self.assertEqual(await self.called(client), 5)

    async def test_a_worker_binds_again_to_exchanges_that_others_have_declared_anew(self) -> None:
        """An old client declares the exchange as soon as it has lost its channel: it exists, without bindings."""
        client = await self.serve_calculator()
        operator = await self.operator()
        with self.unnoticed():
            await operator.exchange_delete(exchange=REQUESTS)
            await operator.declare(direct_exchange(REQUESTS))
            with self.assertRaises(rpc.ServiceUnavailable):
                await client.add(2, 3)
        self.assertEqual(await self.called(client), 5)

    async def test_an_exchange_of_one_service_is_restored_with_the_keys_of_the_worker(self) -> None:
        """Requests for one worker find it again as well."""
        exchange = self.unique("services")
        client = await self.serve_calculator(exchange=exchange)
        operator = await self.operator()
        await operator.exchange_delete(exchange=exchange)
        await operator.declare(direct_exchange(exchange))
        self.assertEqual(await self.called(client), 5)
        direct = rpc.with_options(client, name=f"Calculator@{self.worker.instance}")
        self.assertEqual(await self.called(direct), 5)

    async def test_cancellations_arrive_again_after_the_exchange_for_broadcasts_was_deleted(self) -> None:
        """Calls go on meanwhile."""
        client = await self.serve_calculator()
        operator = await self.operator()
        await operator.exchange_delete(exchange=BROADCAST)
        await operator.declare(direct_exchange(BROADCAST))
        cancelled: list[str] = []
        held: list[Deferred[int]] = []
        while not cancelled:
            self.assertEqual(await client.add(2, 3), 5)
            call = client.calculate(1, Work())
            await self.handler.holding(1)
            held += self.handler.held
            self.handler.held.pop().addErrback(lambda _: cancelled.append("cancelled"))
            call.cancel()
            await self.assertFailure(call, CancelledError)
            await pause(0.3)
        for call in held:
            call.callback(0)  # those whose cancellation was lost; the worker would wait for them

    async def test_a_dead_letter_survives_the_deletion_of_its_exchange(self) -> None:
        """It is published again, when the exchange and the binding are there."""
        client = await self.serve_calculator()
        operator = await self.operator()
        await operator.exchange_delete(exchange=DEAD)
        self.assertEqual(await client.add(2, 3), 5)
        operator.publish(REQUESTS, "Calculator", b"\x00\x00", b"no Thrift message")
        while True:
            checking = await self.operator()
            try:
                found = await checking.queue_declare(queue="rpc.Calculator.dead.invalid", passive=True)
            except ChannelClosed:
                await pause(0.1)
                continue
            if found.message_count:
                break

    async def test_a_client_declares_nothing(self) -> None:
        """On a virtual host where no worker has ever served, its calls fail at once, and say so. When a worker serves,
        they succeed.
        """
        connection = await self.client_connection()
        client: Any = connection.client(Calculator, timeout=20.0)
        for _ in range(3):
            error = await self.assertFailure(client.add(2, 3), rpc.ServiceUnavailable)
            self.assertIs(error.outcome, rpc.Outcome.NOT_SENT)
            self.assertIn("the exchange 'rpc' does not exist on this virtual host", str(error))
        operator = await self.operator()
        await self.assertFailure(operator.declare(existing_exchange(REQUESTS)), ChannelClosed)
        self.serve()
        self.assertEqual(await self.called(client), 5)

    async def test_a_client_needs_no_exchange_but_its_own(self) -> None:
        """A worker of another program has declared one exchange alone."""
        exchange = self.unique("services")
        client = await self.serve_calculator(exchange=exchange)
        operator = await self.operator()
        await operator.exchange_delete(exchange=BROADCAST)
        self.assertEqual(await client.add(2, 3), 5)
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        call.cancel()
        await self.assertFailure(call, CancelledError)
        self.assertEqual(await client.add(2, 3), 5)
        self.handler.release()
