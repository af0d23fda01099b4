"""Copies of requests that come again anyway, on a lost channel or after the worker, are not published."""

from __future__ import annotations

from rpc.messages import Properties
from rpc.worker.republisher import Republisher
from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.served import QUARANTINE


class StaleCopyTests(AgainTestCase):
    """A worker whose republisher's channel ends alone, or is opened late."""

    def setUp(self) -> None:
        self.serve(Republisher())

    def copies(self) -> list[str]:
        """Where copies were published to since the last time."""
        return [published.routing_key for published in self.wire.take()]

    def lose(self) -> None:
        """The connection ends, and comes again."""
        self.wire.close_channel()
        self.worker.open()

    def test_a_copy_that_has_waited_for_a_channel_is_not_published_after_its_original_is_lost(self) -> None:
        """The broker has requeued the original on the lost channel, so a late copy of it would be a second request."""
        self.request(again=True, message_id="m")
        self.lose()
        self.wire.open_beside(self.worker.republisher)
        self.assertEqual(self.copies(), [])
        self.request(again=True, message_id="m")
        self.assertEqual(self.copies(), ["rpc.Calculator"])

    def test_a_dead_letter_that_has_waited_for_a_channel_is_not_published_after_its_original_is_lost(self) -> None:
        """The same for a dead letter: another worker makes one of the original."""
        self.wire.deliver(b"malformed", Properties(), "c2")
        self.lose()
        self.wire.open_beside(self.worker.republisher)
        self.assertEqual(self.copies(), [])

    def test_the_dead_letter_of_a_request_that_was_acked_is_published_on_the_next_channel(self) -> None:
        """An at-most-once request was acked before it was read: it does not come again."""
        self.serve(Republisher(), acknowledge="before")
        self.wire.deliver(b"malformed", Properties(), "c2")
        self.wire.settle()
        self.lose()
        self.wire.open_beside(self.worker.republisher)
        self.assertEqual(self.copies(), ["Calculator@invalid"])


class CopyInDrainTests(AgainTestCase):
    """A worker that stops while it makes a copy, and has got that copy already."""

    def setUp(self) -> None:
        self.serve()
        self.republisher = self.worker.republisher

    def begin(self) -> None:
        """The copy is published, comes back before its confirm, and the worker is told to stop."""
        self.wire.holds_confirms = True
        self.request(again=True, message_id="m")
        self.assertEqual(len(self.wire.take()), 1)
        self.request(message_id="m", headers={"rpc-deliveries": 1})
        self.drained = self.worker.drain(5.0)
        self.wire.settle()

    def test_the_drain_waits_until_the_copy_is_given_back(self) -> None:
        """The copy is republished for another worker, and acked when the broker has confirmed that."""
        self.begin()
        self.wire.confirm_held()
        self.wire.settle()
        self.assertEqual(len(self.wire.take()), 1)
        self.assertNoResult(self.drained)
        self.wire.confirm_held()
        self.wire.settle()
        self.successResultOf(self.drained)
        self.assertEqual(self.acked(), [1, 2])

    def test_after_the_end_of_the_drain_nothing_is_published_and_no_timer_is_left(self) -> None:
        """The broker delivers unsettled requests to another worker, so a copy would be a second request."""
        self.begin()
        self.wire.clock.advance(5.0)
        self.successResultOf(self.drained)
        self.wire.confirm_held()
        self.wire.settle()
        self.assertEqual((self.wire.take(), self.acked()), ([], []))
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_a_copy_that_fails_after_the_end_is_not_tried_again(self) -> None:
        """The republisher's channel ends with the connection, after the end of the drain."""
        self.begin()
        self.wire.clock.advance(5.0)
        self.republisher.lost(RuntimeError("the connection is closed"))
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_a_delivery_after_the_end_neither_begins_nor_is_published(self) -> None:
        """Deliveries may come until the connection is closed."""
        self.begin()
        self.wire.clock.advance(5.0)
        self.request(message_id="n")
        self.request(message_id="o", consumer=QUARANTINE)
        self.request(message_id="p", consumer="c1", key="Calculator@host.1.ab/nested")
        self.wire.settle()
        self.assertEqual((self.handler.ran, self.wire.take(), self.acked()), ([], [], []))
