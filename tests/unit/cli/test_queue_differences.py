"""Refusals of RabbitMQ, as differences for an operator."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.queue_differences import Difference

REFUSAL = "PRECONDITION_FAILED - inequivalent arg '{}' for queue 'rpc.S' in vhost '/': received {} but current is {}"


class DifferenceTests(SynchronousTestCase):
    """RabbitMQ writes types only when one side has no value."""

    def test_reads_the_value_of_the_queue(self) -> None:
        """Numbers, truths and texts; none."""
        for received, current, value in (
            ("'5'", "'3'", 3),
            ("'classic'", "'quorum'", "quorum"),
            ("none", "the value '7' of type 'signedint'", 7),
            ("none", "the value 'true' of type 'bool'", True),
            ("none", "the value 'lazy' of type 'longstr'", "lazy"),
            ("the value '5' of type 'signedint'", "none", None),
        ):
            self.assertEqual(Difference.read(REFUSAL.format("x-a", received, current)), Difference("x-a", value))

    def test_reads_nothing_else(self) -> None:
        """Other properties of a queue, other refusals, and the texts of other brokers."""
        for text in (
            REFUSAL.format("durable", "'true'", "'false'"),
            "PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'rpc.S' in vhost '/'",
            "",
        ):
            self.assertIsNone(Difference.read(text))

    def test_describes_old_and_new(self) -> None:
        """The next declaration has the value of the queue."""
        more, less = Difference("x-a", 3), Difference("x-b", None)
        wanted = {"x-a": 5, "x-b": "new"}
        self.assertEqual((more.described(wanted), less.described(wanted)), ("x-a: 3 -> 5", "x-b: none -> new"))
        self.assertEqual(more.applied(wanted), {"x-a": 3, "x-b": "new"})
        self.assertEqual(less.applied(wanted), {"x-a": 5})
