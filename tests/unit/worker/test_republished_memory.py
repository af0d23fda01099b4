"""A worker's memory of the requests that it has replaced by copies."""

from __future__ import annotations

from tests.unit.worker.again_case import AgainTestCase


class RepublishedMemoryTests(AgainTestCase):
    """A request that comes again is acked only if it surely is one that has a copy."""

    def copies(self) -> list[str]:
        """Where copies were published to since the last time."""
        self.wire.settle()
        return [published.routing_key for published in self.wire.take()]

    def test_a_second_request_with_the_same_content_is_republished_as_well(self) -> None:
        """A peer that sets no ids sends equal messages. The second may be one that another worker has begun."""
        for tag in (1, 2):
            self.request("zip", again=True, reply_to=None, correlation_id=None)
            self.assertEqual((self.copies(), self.acked()), (["rpc.Calculator"], [tag]))

    def test_a_request_whose_ack_may_be_lost_is_acked_when_it_comes_again(self) -> None:
        """Its copy is in the queue."""
        self.request("zip", again=True, message_id="m")
        self.wire.answer()
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.close_channel()
        self.worker.open()
        self.wire.last_tag = 0
        self._lowest = 1
        self.request("zip", again=True, message_id="m")
        self.assertEqual((self.copies(), self.acked()), ([], [1]))

    def test_nothing_is_lost_that_cannot_be_identified(self) -> None:
        """Without a message id it may be another request: it is republished, and may run twice."""
        self.request("zip", again=True)
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.close_channel()
        self.worker.open()
        self.request("zip", again=True)
        self.assertEqual(self.copies(), ["rpc.Calculator"])
