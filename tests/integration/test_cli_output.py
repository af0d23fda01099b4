"""Verbs that have done their work when standard output fails: they report the work, and exit with 1."""

from __future__ import annotations

import os

from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler
from tests.integration.dead_case import COMMAND, PROJECT, DeadTestCase


class FullDiskTests(DeadTestCase):
    """Standard output is on a full disk."""

    async def assert_says_what_was_done(self, done: str, *words: str) -> None:
        """Run a verb; standard error has the work done and the reason, without a traceback."""
        shell = 'exec "$0" "$@" > /dev/full'
        _, error, status = await getProcessOutputAndValue(
            "/bin/sh", ["-c", shell, str(COMMAND), *words], env=os.environ, path=str(PROJECT)
        )
        expected = f"Error: {done}; standard output cannot be written: No space left on device\n"
        self.assertEqual((error.decode(), status), (expected, 1))

    async def test_a_call_was_executed(self) -> None:
        worker = rpc.Worker(self.url, [rpc.ThriftService(Calculator, CalculatorHandler(), name=self.name)])
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        await self.assert_says_what_was_done(
            f"{self.name}.add was executed",
            *("call", "--broker", self.url, "--name", self.name, "generated.calculator.Calculator", "add", "2", "3"),
        )

    async def test_letters_were_replayed(self) -> None:
        self.bury()
        await self.assert_says_what_was_done(
            f"replayed 1 dead letter to {self.topology.queue}",
            "dead",
            "replay",
            "--broker",
            self.url,
            "--all",
            self.name,
        )

    async def test_letters_were_deleted(self) -> None:
        self.bury()
        await self.assert_says_what_was_done(
            f"deleted 1 dead letter of {self.name}", "dead", "purge", "--broker", self.url, "--all", "--yes", self.name
        )
