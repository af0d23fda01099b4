"""Calls that a stopping worker gives up are run by another worker, whose answer their callers get."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers
from rpc.testing import Harness
from services.calculator import CalculatorHandler


class Outer(CalculatorHandler):
    """A calculator whose ``sum`` makes a nested call.

    :ivar began: fires when the first ``sum`` has begun.
    """

    def __init__(self, connection: rpc.Connection, began: Deferred[None]) -> None:
        super().__init__()
        self.inner = connection.client(Calculator, name="inner")
        self.began = began

    def sum(self, numbers: Numbers) -> Any:
        if not self.began.called:
            self.began.callback(None)
        return self.inner.add(*numbers.values)


class Inner(CalculatorHandler):
    """A calculator whose first ``add`` never ends."""

    def __init__(self) -> None:
        super().__init__()
        self.endless: Deferred[int] | None = None

    def add(self, num1: int, num2: int) -> Any:
        if self.endless is None:
            self.endless = Deferred()
            return self.endless
        return num1 + num2


class GivenUpTests(TestCase):
    """A drain that ends while a handler waits for a nested call."""

    timeout = 20.0

    async def test_a_caller_gets_the_answer_of_the_other_worker(self) -> None:
        """The nested call fails with the worker's connection. Its handler's error is not the answer."""
        began: Deferred[None] = Deferred()
        outer = rpc.ThriftService(Calculator, factory=lambda connection: Outer(connection, began), name="outer")
        async with Harness(rpc.ThriftService(Calculator, Inner(), name="inner")) as harness:
            first = harness.serve(outer, drain_timeout=0.1)
            await first.when_serving()
            call = harness.client(Calculator, name="outer").sum(Numbers([2, 3]))
            await began
            second = harness.serve(outer)
            await second.when_serving()
            await first.stopService()
            self.assertEqual(await call, 5)
        self.flushLoggedErrors(rpc.ConnectionLost)
