"""A worker and a connection as services: started, waited for, stopped, started again."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException
from twisted.internet.defer import CancelledError

import rpc
from generated.calculator import Calculator
from generated.report import Report
from rpc.errors import ConfigurationError
from services.calculator import CalculatorHandler
from tests.support import BrokerTestCase


class Nested:
    """A report that asks the calculator through the worker's connection."""

    def __init__(self, calculator: Any) -> None:
        self.calculator = calculator

    async def summarize(self, prefix: str, limit: int) -> Any:
        raise RuntimeError(f"the sum is {await self.calculator.add(limit, 1)}")


class WorkerTests(BrokerTestCase):
    """rpc.Worker as an IService."""

    def setUp(self) -> None:
        self.name = self.unique("Calculator")
        self.report = self.unique("Report")
        self.worker = rpc.Worker(
            self.url,
            [
                rpc.ThriftService(Calculator, CalculatorHandler(), name=self.name),
                rpc.ThriftService(
                    Report,
                    factory=lambda connection: Nested(connection.client(Calculator, name=self.name)),
                    name=self.report,
                ),
            ],
        )
        self.addCleanup(self.worker.stopService)

    async def test_when_serving_fires_for_every_caller(self) -> None:
        """Calls are answered from then on."""
        waiting = [self.worker.when_serving() for _ in range(2)]
        self.worker.startService()
        for deferred in waiting:
            await deferred
        await self.worker.when_serving()
        connection = await rpc.connect(self.url)
        self.addCleanup(connection.close)
        self.assertEqual(await connection.client(Calculator, name=self.name).add(2, 3), 5)

    async def test_serves_with_a_consumer_timeout(self) -> None:
        """Both brokers take ``x-consumer-timeout`` when the queue is declared, and when it is declared again."""
        service = rpc.ThriftService(
            Calculator, CalculatorHandler(), name=self.unique("Patient"), consumer_timeout=3600.0
        )
        connection = await rpc.connect(self.url)
        self.addCleanup(connection.close)
        for _ in range(2):
            worker = rpc.Worker(self.url, [service])
            self.addCleanup(worker.stopService)
            worker.startService()
            await worker.when_serving()
        self.assertEqual(await connection.client(Calculator, name=service.name).add(2, 3), 5)

    async def test_when_serving_fails_when_the_worker_is_stopped(self) -> None:
        """To cancel one of two leaves the other waiting, until the stop."""
        impatient, patient = self.worker.when_serving(), self.worker.when_serving()
        impatient.cancel()
        await self.assertFailure(impatient, CancelledError)
        await self.worker.stopService()
        await self.assertFailure(patient, CancelledError)

    async def test_a_stopped_worker_can_be_started_again(self) -> None:
        """A worker and a connection that were stopped can be started again, with the handlers' own clients."""
        connection = rpc.Connection(self.url)
        self.addCleanup(connection.stopService)
        client = connection.client(Calculator, name=self.name)
        report = connection.client(Report, name=self.report)
        for _ in range(2):
            self.worker.startService()
            connection.startService()
            await self.worker.when_serving()
            self.assertEqual(await client.add(2, 3), 5)
            with self.assertRaises(TApplicationException):
                await report.summarize("", 4)
            (failure,) = self.flushLoggedErrors(RuntimeError)
            self.assertEqual(str(failure.value), "the sum is 5")
            await self.worker.stopService()
            await connection.stopService()

    async def test_two_stops_fire_at_the_same_end(self) -> None:
        """Both fire when the connection is gone."""
        self.worker.startService()
        await self.worker.when_serving()
        first, second = self.worker.stopService(), self.worker.stopService()
        await first
        await second

    def test_rejects_a_drain_timeout_that_is_no_number_of_seconds(self) -> None:
        """A drain timeout that is no number of seconds is refused at once, not when the worker is to stop."""
        for wrong in (-1, float("nan"), float("inf"), True):
            with self.assertRaisesRegex(ConfigurationError, "drain_timeout"):
                rpc.Worker(self.url, self.worker_services(), drain_timeout=wrong)

    def worker_services(self) -> list[rpc.ThriftService]:
        """One service."""
        return [rpc.ThriftService(Calculator, CalculatorHandler())]
