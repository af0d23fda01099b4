"""What becomes of a request that was delivered before."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.worker.redelivery import Next, destination, unfinished_deliveries


class RedeliveryTests(SynchronousTestCase):
    """Counting, and deciding."""

    def test_counting(self) -> None:
        """Our header counts, and on top of it the broker's: its number in quorum queues, its flag in classic ones."""
        for headers, redelivered, expected in (
            ({}, False, 0),
            ({}, True, 1),
            ({"x-delivery-count": 3}, True, 3),
            ({"rpc-deliveries": 2}, False, 2),
            ({"rpc-deliveries": 2}, True, 3),
            ({"rpc-deliveries": 2, "x-delivery-count": 1}, True, 3),
        ):
            self.assertEqual(unfinished_deliveries(headers, redelivered), expected, headers)

    def test_odd_headers(self) -> None:
        """A header that is no sensible number counts as none."""
        odd: list[Any] = ["many", -1, True, 1.5, None, [], 2**63]
        for value in odd:
            self.assertEqual(unfinished_deliveries({"rpc-deliveries": value, "x-delivery-count": value}, True), 1)

    def test_destination(self) -> None:
        """Once more like any other, then with the suspects, and over the limit no more."""
        went = [destination(deliveries, 3) for deliveries in range(1, 6)]
        self.assertEqual(went, [Next.QUEUE, Next.QUARANTINE, Next.QUARANTINE, Next.DEAD, Next.DEAD])
        self.assertEqual([destination(1, 2), destination(2, 2)], [Next.QUARANTINE, Next.QUARANTINE])
        self.assertEqual([destination(1, 1), destination(2, 1)], [Next.QUARANTINE, Next.DEAD])
