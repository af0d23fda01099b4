"""How often a request may have begun, and where it goes then."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.worker.begins import Destination, believed, destination, possible_begins


class BeginsTests(SynchronousTestCase):
    """Counting, and deciding."""

    def test_adds_the_count_of_the_broker_to_the_header_of_the_worker(self) -> None:
        """A quorum queue has a number, a classic queue only a flag."""
        for headers, redelivered, expected in (
            ({}, False, 0),
            ({}, True, 1),
            ({"x-delivery-count": 3}, True, 3),
            ({"rpc-deliveries": 2}, False, 2),
            ({"rpc-deliveries": 2}, True, 3),
            ({"rpc-deliveries": 2, "x-delivery-count": 1}, True, 3),
        ):
            self.assertEqual(possible_begins(headers, redelivered), expected, headers)

    def test_takes_a_header_that_is_no_count_for_none(self) -> None:
        """A peer can send any value."""
        odd: list[Any] = ["many", -1, True, 1.5, None, [], 2**63]
        for value in odd:
            self.assertEqual(possible_begins({"rpc-deliveries": value, "x-delivery-count": value}, True), 1)

    def test_believes_the_count_of_a_worker_alone(self) -> None:
        """Workers publish to the default exchange, and callers cannot."""
        headers = {"rpc-deliveries": 2, "a": 1}
        self.assertEqual(believed(headers, ""), headers)
        self.assertEqual(believed(headers, "rpc"), {"a": 1})
        self.assertEqual(believed({"a": 1}, "rpc"), {"a": 1})

    def test_sends_a_request_to_its_queue_then_to_quarantine_then_to_the_dead_letters(self) -> None:
        """With a small limit it goes to quarantine at once."""
        queue, quarantine, dead = Destination.QUEUE, Destination.QUARANTINE, Destination.DEAD_LETTERS
        went = [destination(begins, 3) for begins in range(1, 6)]
        self.assertEqual(went, [queue, quarantine, quarantine, dead, dead])
        self.assertEqual([destination(1, 2), destination(2, 2)], [quarantine, quarantine])
        self.assertEqual([destination(1, 1), destination(2, 1)], [quarantine, dead])
