"""The log lines about a worker: its name, and its end with calls in progress."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from rpc.testing import Harness
from services.calculator import CalculatorHandler
from tests.unit.logs import log_lines


class Held(CalculatorHandler):
    """A calculator whose calls of ``add`` end when the test says so.

    :ivar sums: the calls in progress.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sums: list[Deferred[int]] = []
        self.began: Deferred[None] = Deferred()
        self._expected = 0

    def expect(self, calls: int) -> Deferred[None]:
        """Fires when so many calls are in progress."""
        self._expected = calls
        return self.began

    def add(self, num1: int, num2: int) -> Any:
        self.sums.append(Deferred())
        if len(self.sums) == self._expected:
            self.began.callback(None)
        return self.sums[-1]


class InstanceLogTests(TestCase):
    """A worker that begins to serve."""

    timeout = 20.0

    async def test_tells_the_name_by_which_the_worker_is_reached_alone(self) -> None:
        """For each service. A client with this name reaches it."""
        lines = log_lines(self)
        async with Harness() as harness:
            services = [rpc.ThriftService(Calculator, CalculatorHandler(), name=name) for name in ("First", "Second")]
            worker = harness.serve(*services)
            await worker.when_serving()
            for name in ("First", "Second"):
                reached = f"{name}@{worker.instance}"
                self.assertIn(f"serving {name} from rpc.{name} as {reached}", lines)
                self.assertEqual(await harness.client(Calculator, name=reached).add(2, 3), 5)
            await worker.stopService()
            error = await self.assertFailure(harness.client(Calculator, name=reached).add(2, 3), rpc.ServiceUnavailable)
            self.assertIn(f"the worker {reached!r} is not here (312 NO_ROUTE): it has ended or is stopping", str(error))


class DrainLogTests(TestCase):
    """A worker of two services, one of them with calls in progress."""

    timeout = 20.0

    async def stop(self, calls: int, drain_timeout: float, finish: bool) -> list[str]:
        """Stop a worker with so many calls in progress. Return the lines about it."""
        handler = Held()
        lines = log_lines(self)
        async with Harness() as harness:
            held = rpc.ThriftService(Calculator, handler, name="Held")
            idle = rpc.ThriftService(Calculator, CalculatorHandler(), name="Idle")
            worker = harness.serve(held, idle, drain_timeout=drain_timeout)
            await worker.when_serving()
            client = harness.client(Calculator, name="Held")
            began = handler.expect(calls)
            pending = [client.add(1, 2) for _ in range(calls)]
            if calls:
                await began
            stopped = worker.stopService()
            if finish:
                for each in handler.sums:
                    each.callback(3)
            await stopped
            for call in pending:
                call.addErrback(lambda _: None)
                call.cancel()
        return [line for line in lines if "finish" in line or "progress" in line]

    async def test_tells_how_many_calls_it_finishes_and_that_they_have_finished(self) -> None:
        """One line for the service, one at the end."""
        self.assertEqual(
            await self.stop(2, 30.0, finish=True),
            ["Held: finishing 2 calls, at most 30 s", "all calls in progress have finished"],
        )

    async def test_tells_how_many_calls_it_gives_up(self) -> None:
        """The drain timeout has passed."""
        self.assertEqual(
            await self.stop(1, 0.25, finish=False),
            ["Held: finishing 1 call, at most 0.25 s", "stopping with 1 call in progress"],
        )

    async def test_tells_nothing_without_calls(self) -> None:
        """An idle worker stops at once."""
        self.assertEqual(await self.stop(0, 30.0, finish=True), [])
