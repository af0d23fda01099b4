"""A worker whose drain has ended before its calls: nothing begins any more, and no timer is left."""

from __future__ import annotations

from rpc.topology import NESTED
from tests.unit.worker.again_case import DIRECT_KEY, AgainTestCase
from tests.unit.worker.served import OWN, QUARANTINE


class EndOfDrainTests(AgainTestCase):
    """A drain that is given up between two retries, which are a second apart."""

    def give_up(self) -> None:
        """Drain until the time limit."""
        drained = self.worker.drain(1.5)
        for seconds in (0, 1.2):
            self.wire.clock.advance(seconds)
            self.wire.settle()
        self.assertNoResult(drained)
        self.wire.clock.advance(0.3)
        self.successResultOf(drained)

    def assert_no_timer(self) -> None:
        """Nothing is left to happen in time."""
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_a_nested_call_that_waits_for_a_slot_does_not_begin(self) -> None:
        """The handler before it ends after the drain."""
        self.serve(concurrency=1)
        self.request()
        self.request("add", OWN, key=f"{DIRECT_KEY}{NESTED}")
        self.give_up()
        self.handler.held[0].callback(1)
        self.wire.settle()
        self.assertEqual((self.handler.ran, self.worker.running), (["calculate 1"], 0))

    def test_no_timer_of_a_call_in_progress_is_left(self) -> None:
        """Neither that of its deadline nor that of its keepalives."""
        self.request(expiration="60000", headers={"rpc-liveness": 3000})
        self.give_up()
        self.assert_no_timer()

    def test_no_timer_of_a_copy_that_is_to_be_published_again_is_left(self) -> None:
        """The broker has refused it."""
        self.wire.refuses_beside = True
        self.request("add", again=True)
        self.give_up()
        self.assert_no_timer()

    def test_no_timer_of_a_dead_letter_that_is_to_be_published_again_is_left(self) -> None:
        """The broker has refused it."""
        self.wire.refuses_beside = True
        self.request("add", QUARANTINE, again=True, headers={"rpc-deliveries": 9})
        self.give_up()
        self.assert_no_timer()
