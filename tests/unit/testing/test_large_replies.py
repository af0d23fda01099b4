"""Replies that are larger than the broker's limit, which RabbitMQ tells only by closing the channel (406)."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException
from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from rpc.broker.limits import Limits
from rpc.testing import Harness
from services.calculator import CalculatorHandler

LIMIT = 100_000


class LargeHandler(CalculatorHandler):
    """A calculator with a large blob."""

    def blob(self, data: bytes) -> bytes:
        return bytes(2 * LIMIT)


class LargeReplyTests(TestCase):
    """The service's own limit is higher than the broker's."""

    timeout = 30.0

    async def answer(self, harness: Harness, **options: Any) -> str | None:
        """Call the method, and return the message of the error."""
        client = harness.client(Calculator, timeout=20.0, **options)
        error = await self.assertFailure(client.blob(b""), TApplicationException)
        message: str | None = error.message
        return message

    async def test_a_reply_over_the_brokers_limit_is_told_and_its_call_runs_once(self) -> None:
        """The worker learns the limit when the broker closes its channel. The next reply does not close it."""
        for options in ({}, {"redelivery_limit": None}, {"deduplicate": rpc.Deduplicate()}, {"queue_type": "quorum"}):
            given: dict[str, Any] = options
            service = rpc.ThriftService(Calculator, LargeHandler(), **given)
            async with Harness(service, limits=Limits(message=LIMIT)) as harness:
                for runs in (1, 2):
                    self.assertEqual("Calculator.blob: the reply is too large", await self.answer(harness))
                    self.assertEqual(len(harness.calls), runs, options)
                self.assertEqual(await harness.client(Calculator).add(2, 3), 5)
