"""RabbitMQ 4 drops a message of a quorum queue at its 21st delivery. No request and no dead letter is lost by that."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue, gatherResults

import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler
from tests.integration.dead_case import DeadTestCase
from tests.support import BrokerTestCase

TIMES = 25


class Handler(CalculatorHandler):
    """A calculator whose calls the test answers.

    :ivar began: the results of the calls, as they begin.
    """

    def __init__(self) -> None:
        super().__init__()
        self.began: DeferredQueue[Deferred[int]] = DeferredQueue()

    def add(self, num1: int, num2: int) -> Any:
        result: Deferred[int] = Deferred()
        self.began.put(result)
        return result


class RequestTests(BrokerTestCase):
    """Requests in a quorum queue, of a service without a limit of its own."""

    timeout = 270.0

    async def test_a_request_outlives_many_workers(self) -> None:
        """Each worker ends while it runs the request. One more request waits beside it, and never begins."""
        handler = Handler()
        service = rpc.ThriftService(
            Calculator,
            handler,
            name=self.unique("Calculator"),
            queue_type="quorum",
            redelivery_limit=None,
            concurrency=1,
        )
        worker = await self.serving(service)
        connection = await rpc.connect(self.url)
        self.addCleanup(connection.close)
        client = connection.client(Calculator, name=service.name, timeout=260.0)
        calls = gatherResults([client.add(1, 2), client.add(3, 4)])
        for _ in range(TIMES):
            await handler.began.get()
            await worker.stopService()
            worker = await self.serving(service)
        for _ in range(2):
            (await handler.began.get()).callback(5)
        self.assertEqual(await calls, [5, 5])

    async def serving(self, service: rpc.ThriftService) -> rpc.Worker:
        """Start a worker that does not wait for its calls when it stops."""
        worker = rpc.Worker(self.url, [service], drain_timeout=0.0)
        self.addCleanup(worker.stopService)
        worker.startService()
        await worker.when_serving()
        return worker


class DeadLetterTests(DeadTestCase):
    """Dead letters in a quorum queue."""

    timeout = 270.0
    queue_type = "quorum"

    async def test_a_letter_outlives_many_lists(self) -> None:
        """Each list reads all letters and puts them back. Their order and content stay the same."""
        names = ("a", "b", "c")
        await self.buried(*names)
        first: Any = await self.listed()
        for _ in range(TIMES):
            self.assertEqual(await self.listed(), first)
        self.assertEqual([letter["message_id"] for letter in first], [*names])
