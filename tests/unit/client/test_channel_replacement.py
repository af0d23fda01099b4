"""A channel that refuses requests: kept when a backlog is full, replaced when nothing on it is harmed."""

from __future__ import annotations

from typing import Any

from rpc.errors import ConnectionLost, Overloaded
from tests.unit.amqp.peer import outcome_of
from tests.unit.client.caller_in_memory import AttemptTestCase, Calculator


class ReplacementTests(AttemptTestCase):
    """A caller whose requests are refused."""

    def setUp(self) -> None:
        super().setUp()
        self.number = 0
        self.other = self.caller.client(name="Other", idempotent=[], timeout=600.0)

    def call(self, client: Any = None) -> list[Any]:
        """Call, and return the outcome."""
        self.number += 1
        return outcome_of((client or self.client).ping())

    def refuse(self, seconds: float, client: Any = None, times: int = 20) -> None:
        """Make calls that are refused, for so long."""
        for _ in range(times):
            if self.wire.channel.closed:
                return
            fired = self.call(client)
            self.wire.confirm(self.number, refuse=True)
            self.assertIsInstance(fired[0], Overloaded)
            self.wire.clock.advance(seconds / times)

    def test_a_full_backlog_is_an_answer_for_three_seconds(self) -> None:
        self.refuse(2.9)
        self.assertFalse(self.wire.channel.closed)
        self.refuse(1.0)
        self.assertTrue(self.wire.channel.closed)

    def test_is_replaced_within_seconds_when_several_services_are_refused(self) -> None:
        for _ in range(3):
            self.refuse(0.3, times=3)
            self.refuse(0.3, self.other, times=3)
        self.assertTrue(self.wire.channel.closed)

    def test_is_kept_while_an_accepted_call_may_be_answered(self) -> None:
        accepted = self.call(self.other)
        request = self.request()
        self.wire.confirm(self.number)
        self.refuse(60.0, times=100)
        self.wire.take()
        self.assertFalse(self.wire.channel.closed)
        self.caller.reply(request, Calculator.ping_result())
        self.assertEqual(accepted, [None])
        self.refuse(1.0)
        self.assertTrue(self.wire.channel.closed)

    def test_waits_for_the_confirms_of_other_calls_and_is_kept_when_one_is_accepted(self) -> None:
        self.refuse(2.9)
        pending = self.call(self.other)
        self.wire.clock.advance(0.2)
        self.call()
        self.wire.confirm(self.number, refuse=True)
        self.wire.take()
        later = self.call()
        self.assertEqual(self.wire.take(), [])
        self.number -= 1
        self.wire.confirm(self.number - 1)
        self.assertFalse(self.wire.channel.closed)
        self.assertEqual((pending, later), ([], []))
        self.assertEqual(self.request().routing_key, "Calculator")

    def test_waits_for_the_confirms_of_other_calls_and_fails_none_of_them(self) -> None:
        self.refuse(2.9)
        pending = self.call(self.other)
        self.wire.clock.advance(0.2)
        self.call()
        self.wire.confirm(self.number, refuse=True)
        self.assertFalse(self.wire.channel.closed)
        self.wire.confirm(self.number - 1, refuse=True)
        self.assertIsInstance(pending[0], Overloaded)
        self.assertTrue(self.wire.channel.closed)
        self.assertEqual(self.caller.leftovers(), [])

    def test_does_not_wait_for_a_confirm_for_ever(self) -> None:
        self.refuse(2.9)
        pending = self.call(self.other)
        self.wire.clock.advance(0.2)
        self.call()
        self.wire.confirm(self.number, refuse=True)
        self.wire.clock.advance(1.1)
        self.assertIsInstance(pending[0], ConnectionLost)
        self.assertTrue(self.wire.channel.closed)

    def test_closing_in_the_meantime_leaves_no_timer(self) -> None:
        self.refuse(2.9)
        self.call(self.other)
        self.wire.clock.advance(0.2)
        self.call()
        self.wire.confirm(self.number, refuse=True)
        self.caller.subject.close()
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])
