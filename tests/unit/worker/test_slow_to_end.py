"""Calls that were cancelled, and whose handlers take their time to end."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from tests.unit.worker.again_case import AgainTestCase


class SlowToEndTests(AgainTestCase):
    """A handler that is cancelled at the deadline of an attempt, while the caller sends another one."""

    def setUp(self) -> None:
        self.serve(deduplicate=True, concurrency=2)
        self.handler.hold = self.hold  # type: ignore[method-assign,assignment]

    async def hold(self) -> Any:
        """Work, and clean up until the test ends that."""
        ended: Deferred[Any] = Deferred()
        self.handler.held.append(ended)
        working: Deferred[Any] = Deferred()
        ended.addCallback(lambda value: value if working.called else working.callback(value))
        try:
            return await working
        except CancelledError:
            return await ended

    def cancel_first(self) -> None:
        self.request(message_id="m", expiration="1000")
        self.wire.clock.advance(1.02)

    def test_another_attempt_runs_when_the_cancelled_handler_has_ended(self) -> None:
        """Not before: a call runs once at a time. And it is answered."""
        self.cancel_first()
        self.request(message_id="m", expiration="1000", headers={"rpc-attempt": 2})
        self.assertEqual(len(self.handler.held), 1)
        self.handler.held[0].callback(1)
        self.wire.settle()
        self.assertEqual((len(self.handler.held), self.acked(), self.wire.take()), (2, [1], []))
        self.handler.held[1].callback(2)
        self.assertEqual((len(self.wire.take()), self.acked(), self.worker.running), (1, [2], 0))

    def test_another_attempt_does_not_run_when_the_call_is_cancelled_meanwhile(self) -> None:
        """Its caller has given up all attempts."""
        self.cancel_first()
        self.request(message_id="m", headers={"rpc-attempt": 2})
        self.worker.dispatcher.cancel([b"m"])
        self.handler.held[0].callback(1)
        self.wire.settle()
        self.assertEqual((len(self.handler.held), self.acked(), self.wire.take()), (1, [1, 2], []))

    def test_of_two_further_attempts_the_second_joins_the_first(self) -> None:
        """Both are answered."""
        self.cancel_first()
        for attempt in "23":
            self.request(message_id="m", correlation_id=attempt)
        self.handler.held[0].callback(1)
        self.wire.settle()
        self.handler.held[1].callback(2)
        self.assertEqual([reply.properties.correlation_id for reply in self.wire.take()], ["2", "3"])
        self.assertEqual(self.acked(), [1, 2, 3])

    def test_a_redelivery_of_the_cancelled_attempt_is_acked_with_it(self) -> None:
        """Its caller has given it up."""
        self.cancel_first()
        self.request(message_id="m", expiration="1000", again=True)
        self.handler.held[0].callback(1)
        self.wire.settle()
        self.assertEqual((len(self.handler.held), self.acked(), self.wire.take()), (1, [1, 2], []))

    def test_an_attempt_on_a_channel_that_is_lost_meanwhile_does_not_run(self) -> None:
        """It is delivered again."""
        self.cancel_first()
        self.request(message_id="m")
        self.wire.close_channel()
        self.handler.held[0].callback(1)
        self.wire.settle()
        self.assertEqual((len(self.handler.held), self.worker.running), (1, 0))
