"""The concurrency limiter by itself."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.content import Delivery
from rpc.worker.limiter import ConcurrencyLimiter
from rpc.worker.request import SHARED, Request


class LimiterTests(SynchronousTestCase):
    """Held requests."""

    def test_a_request_that_cannot_be_begun_does_not_keep_the_others(self) -> None:
        """Its error is logged, and the next one begins."""
        clock = Clock()
        begun: list[Request] = []

        def start(request: Request) -> None:
            begun.append(request)
            if len(begun) == 1:
                raise ZeroDivisionError

        limiter = ConcurrencyLimiter(clock, 1, start)
        channel: Any = None
        limiter.enter()
        for tag in (1, 2):
            limiter.hold(Request(Delivery(channel, tag, False, b"", b"\x00\x00", b""), 0.0, SHARED))
        limiter.leave()
        for _ in range(4):
            clock.advance(0)
        self.assertEqual([request.delivery.delivery_tag for request in begun], [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(clock.getDelayedCalls(), [])
