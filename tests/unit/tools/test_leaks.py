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
from tools.faults.trial import Trial


class Waiting(CalculatorHandler):
    """A calculator whose ``sum`` never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: Deferred[None] = Deferred()

    def sum(self, numbers: Numbers) -> Any:
        self.begun.callback(None)
        return Deferred()


class LeakTests(TestCase):
    """A call in progress is in tables; a settled call is in none."""

    timeout = 20.0

    async def test_finds_a_call_in_progress_in_the_parts_of_both_ends(self) -> None:
        """Nested names tell that the check looks into parts; it must, wherever their modules are."""
        handler, trial = Waiting(), Trial(None)
        self.addCleanup(trial.close)
        async with Harness(rpc.ThriftService(Calculator, handler)) as harness:
            assert harness.worker is not None
            trial.connections, trial.workers = [harness.connection], [harness.worker]
            client = harness.client(Calculator)
            call = client.sum(Numbers([]))
            await handler.begun
            left = trial.entries_left()
            self.assertTrue([name for name in left if name.startswith("client.")], left)
            self.assertTrue([name for name in left if name.startswith("worker.") and name.count(".") > 1], left)
            call.cancel()
            await self.assertFailure(call, CancelledError)
            await client.ping()
            self.assertEqual(trial.entries_left(), {})
