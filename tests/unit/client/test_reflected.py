"""Clients without a stub, while there is no connection."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc.errors import CallTimedOut, Outcome
from tests.unit.amqp.memory_reactor import BrokerReactor


class WaitingTests(SynchronousTestCase):
    """Calls that wait for the description of their service."""

    def test_calls_that_have_ended_leave_nothing_behind(self) -> None:
        """Programs call on while the broker is away."""
        reactor = BrokerReactor()
        client = rpc.Connection("amqp://192.0.2.1", reactor=reactor).client("Calculator", timeout=1.0)
        late, cancelled = client.add(1, 2), client.add(1, 2)
        self.assertEqual(len(client._waiting), 2)
        cancelled.cancel()
        self.assertEqual(len(client._waiting), 1)
        reactor.advance(1.0)
        self.assertEqual(self.failureResultOf(late, CallTimedOut).value.outcome, Outcome.NOT_SENT)
        self.failureResultOf(cancelled)
        self.assertEqual(len(client._waiting), 0)
        again = client.add(1, 2)
        self.assertEqual(len(client._waiting), 1)
        again.cancel()
        self.failureResultOf(again)
