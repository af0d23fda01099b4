"""Requests with ``acknowledge="before"``, between their ack and their begin."""

from __future__ import annotations

from tests.unit.worker.again_case import AgainTestCase


class BetweenAckAndBeginTests(AgainTestCase):
    """A request is decided on again when the broker has taken its ack."""

    def setUp(self) -> None:
        self.serve(acknowledge="before", deduplicate=True, concurrency=4)

    def test_a_second_delivery_of_a_call_joins_the_first(self) -> None:
        """Both came in one read, so neither ran when the other arrived."""
        self.request(message_id="m", correlation_id="a")
        self.request(message_id="m", correlation_id="b")
        self.wire.settle()
        self.assertEqual((len(self.handler.held), self.worker.running), (1, 1))
        self.handler.held[0].callback(1)
        self.assertEqual([reply.properties.correlation_id for reply in self.wire.take()], ["a", "b"])
        self.assertEqual(self.worker.running, 0)

    def test_a_call_that_was_answered_meanwhile_is_answered_again(self) -> None:
        """The first run ended at once."""
        self.request("add", message_id="m", correlation_id="a")
        self.request("add", message_id="m", correlation_id="b")
        self.wire.settle()
        self.assertEqual((self.handler.ran, len(self.wire.take())), (["add"], 2))

    def test_a_call_that_was_cancelled_meanwhile_does_not_begin(self) -> None:
        """Nor does one whose deadline has passed."""
        self.request("add", message_id="m")
        self.request("add", message_id="n", expiration="100")
        self.worker.dispatcher.cancel([b"m"])
        self.wire.clock.advance(0.2)
        self.wire.settle()
        self.assertEqual((self.handler.ran, self.worker.running, self.wire.take()), ([], 0, []))

    def test_a_call_does_not_begin_after_the_end_of_a_drain(self) -> None:
        """The broker's answer comes when the worker has given the call up."""
        self.wire.settle()
        self.request("add", message_id="m")
        drained = self.worker.drain(0.0)
        self.worker.server.abandon()
        self.worker.dispatcher.stop()
        self.wire.settle()
        self.successResultOf(drained)
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))
