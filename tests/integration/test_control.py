"""The control service, asked over a broker: workers that are busy, stop, are silent, or answer wrongly."""

from __future__ import annotations

from typing import Any

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Work
from rpc.control import Control, Status
from tests.integration.call_case import CallTestCase

WAIT = 20.0
"""Seconds, for questions whose answers are all expected: they end before."""


class ControlTests(CallTestCase):
    """A worker, and its answers about itself."""

    async def control(self, **options: Any) -> Control:
        """Serve; return a ``Control`` that asks the worker."""
        self.served = await self.serve_and_call(**options)
        return Control(await self.connect())

    async def test_pings_the_workers_of_a_service(self) -> None:
        control = await self.control()
        second = self.serve(rpc.ThriftService(Calculator, self.handler, name=self.name))
        await second.when_serving()
        answers = await control.ping(self.name, wait=WAIT)
        self.assertEqual(answers.expected, 2)
        self.assertTrue(answers.is_complete)
        self.assertEqual({pong.instance for pong in answers}, {self.worker.instance, second.instance})
        self.assertEqual({pong.status for pong in answers}, {Status.ALIVE})
        self.assertTrue(all(0 < answer.seconds < WAIT for answer in answers.good))

    async def test_asks_one_worker(self) -> None:
        control = await self.control()
        answers = await control.describe(self.name, instance=self.worker.instance, wait=WAIT)
        (worker,) = answers
        (service,) = worker.services
        self.assertEqual((worker.instance, worker.version), (self.worker.instance, rpc.__version__))
        self.assertEqual((service.name, service.idl_name), (self.name, "Calculator"))
        self.assertIn('"calculator.Calculator"', service.idl_json)

    async def test_answers_while_all_slots_are_taken_and_while_it_stops(self) -> None:
        control = await self.control(concurrency=1)
        call = self.served.calculate(1, Work(1, 2))
        await self.handler.holding(1)
        (busy,) = await control.stats(self.name, wait=WAIT)
        self.assertEqual((busy.services[0].running, busy.services[0].concurrency), (1, 1))
        stopped = self.worker.stopService()
        (stopping,) = await control.ping(instance=self.worker.instance, wait=WAIT)
        self.assertEqual(stopping.status, Status.STOPPING)
        self.handler.release()
        self.assertEqual(await call, 7)
        await stopped
