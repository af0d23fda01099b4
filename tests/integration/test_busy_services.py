"""Services with many calls, over a real broker: backlog, routing, concurrency."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Work
from rpc.topology import BROADCAST
from tests.integration.call_case import CallTestCase, Handler, pause


class BacklogTests(CallTestCase):
    """A queue that is full."""

    async def test_a_full_backlog_harms_no_other_service(self) -> None:
        """Its callers get Overloaded at once, for longer than the checks of the channel's health take."""
        full = self.unique("full")
        stuck = Handler()
        self.serve(rpc.ThriftService(Calculator, stuck, name=full, backlog=1, concurrency=1))
        await self.client(Calculator, "ping", name=full)
        client = await self.serve_and_call()
        overloading = client._caller.channel
        connection = await self.connect()
        filling = connection.client(Calculator, name=full)
        filling.calculate(0, Work()).addErrback(lambda _: None)
        await stuck.holding(1)  # it has left the queue
        filling.calculate(1, Work()).addErrback(lambda _: None)
        while not (await connection.queue_counts(f"rpc.{full}")).ready:  # type: ignore[union-attr]  # it is there
            await pause(0.02)
        other = rpc.with_options(client, name=full)
        waiting = client.calculate(1, Work())
        await self.handler.holding(1)
        for _ in range(15):
            await self.assert_fails(other.ping(), rpc.Overloaded, rpc.Outcome.REJECTED)
            await pause(0.1)
        self.assertIs(client._caller.channel, overloading)
        self.handler.release()
        self.assertEqual(await waiting, 7)
        stuck.release()
        await stuck.holding(1)
        stuck.release()


class RoutingTests(CallTestCase):
    """One worker of many, and all of them."""

    async def test_reaches_one_instance_or_all_workers(self) -> None:
        """``<service>@<instance>`` reaches one worker, the broadcast exchange all; the first answer wins."""
        client = await self.serve_and_call()
        second = Handler()
        worker = self.serve(rpc.ThriftService(Calculator, second, name=self.name))
        await worker.when_serving()
        to_second = rpc.with_options(client, name=f"{self.name}@{worker.instance}")
        for _ in range(5):
            await to_second.ping()
        self.assertEqual((self.handler.ran, second.ran), ([], ["ping"] * 5))
        second.ran.clear()
        everybody = rpc.with_options(client, exchange=BROADCAST)
        await everybody.zip()
        self.assertEqual(await everybody.add(1, 2), 3)
        while client._caller.incoming.late_replies == 0:
            await pause()
        self.assertEqual((self.handler.ran, second.ran), (["zip"], ["zip"]))


class ConcurrencyTests(CallTestCase):
    """How much runs at once, and when it is acknowledged."""

    async def assert_never_more_than(self, limit: int, acknowledge: str) -> None:
        """Over both of a worker's queues, never more than `limit` calls run at once, and all are answered."""
        client = await self.serve_and_call(concurrency=limit, acknowledge=acknowledge)
        own = rpc.with_options(client, name=f"{self.name}@{self.worker.instance}")
        calls = [sender.calculate(number, Work()) for number in range(20) for sender in (client, own)]
        done = gatherResults(calls)
        for left in range(len(calls), 0, -1):
            await self.handler.holding(min(limit, left))
            self.handler.held.pop(0).callback(7)
        self.assertEqual(await done, [7] * 40)
        self.assertEqual(self.handler.most, limit)
        self.assertEqual(len(self.handler.ran), 40)

    async def test_concurrency_is_the_limit_when_acknowledging_after(self) -> None:
        """PITFALLS, stubs: concurrency is prefetch and limit when acknowledging after."""
        await self.assert_never_more_than(3, "after")

    async def test_concurrency_is_the_limit_when_acknowledging_before(self) -> None:
        """Prefetch cannot hold it then."""
        await self.assert_never_more_than(3, "before")

    async def test_a_request_runs_once_in_a_worker_that_loses_its_connection(self) -> None:
        """Its redelivery joins the run in progress; when acknowledging before, there is none."""
        for acknowledge in ("after", "before"):
            client = await self.serve_and_call(acknowledge=acknowledge)
            call = client.calculate(1, Work())
            fired: list[Any] = []
            call.addBoth(fired.append)
            await self.handler.holding(1)
            await pause(0.05)
            connection = self.worker._link.connection
            connection.transport.abortConnection()  # type: ignore[union-attr]
            while self.worker._link.connection in (None, connection) or not self.worker.is_serving:
                await pause(0.02)
            await rpc.with_options(client, timeout=10.0).ping()
            self.assertEqual([ran for ran in self.handler.ran if ran != "ping"], [1])
            self.handler.release()
            await call
            self.assertEqual(fired, [7])
