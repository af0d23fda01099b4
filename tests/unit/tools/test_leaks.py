"""The leak check of the faults: it finds entries in the parts of a transport, too."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers
from rpc.testing import Harness
from services.calculator import CalculatorHandler
from tools.faults.leaks import tables


class Waiting(CalculatorHandler):
    """A calculator whose ``sum`` never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: Deferred[None] = Deferred()

    def sum(self, numbers: Numbers) -> Any:
        self.begun.callback(None)
        return Deferred()


def entries(harness: Harness) -> dict[str, int]:
    """The tables with entries, of the client and of the worker."""
    assert harness.worker is not None
    owners = [*harness.connection._transports.values(), *harness.worker._serving]
    return {name: count for owner in owners for name, count in tables(owner) if count}


class LeakTests(TestCase):
    """A call in progress is in tables; a settled call is in none."""

    timeout = 20.0

    async def test_finds_a_call_in_progress_in_the_parts_of_both_ends(self) -> None:
        """Nested names tell that the check looks into parts; it must, wherever their modules are."""
        handler = Waiting()
        async with Harness(rpc.ThriftService(Calculator, handler)) as harness:
            client = harness.client(Calculator)
            call = client.sum(Numbers([]))
            await handler.begun
            nested = [name for name in entries(harness) if name.count(".") > 1]
            self.assertTrue(nested, entries(harness))
            call.cancel()
            await self.assertFailure(call, CancelledError)
            await client.ping()
            self.assertEqual(entries(harness), {})
