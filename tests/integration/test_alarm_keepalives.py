"""A broker with an alarm, while a client does nothing but wait for a long call."""

from __future__ import annotations

from twisted.internet.threads import deferToThread

import rpc
from generated.calculator.ttypes import Work
from tests.integration.call_case import CallTestCase, pause


class AlarmTests(CallTestCase):
    """The worker lives, and its keepalives do not come through."""

    own_broker = True
    timeout = 90.0

    async def test_the_worker_is_not_lost_and_its_answer_comes_afterwards(self) -> None:
        """The client learns of the alarm when it asks about the missing keepalive."""
        client = rpc.with_options(await self.serve_and_call(), liveness=1.0, timeout=80.0)
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        connection = client._caller.channel.client
        await deferToThread(self.broker.set_memory_alarm, True)
        while connection.blocked is None and not call.called:
            await pause(0.05)
        self.assertFalse(call.called)
        self.assertIn("memory", connection.blocked)
        await deferToThread(self.broker.set_memory_alarm, False)
        self.handler.release()
        self.assertEqual(await call, 7)
