"""Consumers over a connection in memory: round-robin, prefetch, priorities, cancellation."""

from __future__ import annotations

from tests.unit.broker.peer import Client
from tests.unit.broker.queue_case import QueueCase


class ConsumerTests(QueueCase):
    """Deliveries to consumers."""

    def setUp(self) -> None:
        super().setUp()
        self.client.declare(1, "q")

    def test_delivers_to_consumers_in_round_robin(self) -> None:
        """Each consumer gets every third message."""
        for tag in "abc":
            self.client.consume(1, "q", tag)
        self.put("q", *(b"%d" % number for number in range(6)))
        self.assertEqual([each[0] for each in self.deliveries()], list("abcabc"))

    def test_delivers_up_to_the_prefetch_of_a_consumer(self) -> None:
        """An ack gives credit for one more. Consumers without credit are skipped."""
        self.client.call(1, "basic.qos", 0, 2, False)
        self.client.consume(1, "q", "a")
        self.put("q", *(b"%d" % number for number in range(6)))
        self.assertEqual(self.bodies(), [b"0", b"1"])
        self.client.send(1, "basic.ack", 1, False)
        self.assertEqual(self.bodies(), [b"2"])
        self.client.send(1, "basic.ack", 3, True)
        self.assertEqual(self.bodies(), [b"3", b"4"])
        self.client.consume(1, "q", "b", no_ack=True)
        self.assertEqual(self.bodies(), [b"5"])

    def test_delivers_up_to_the_prefetch_of_a_channel(self) -> None:
        """All consumers of the channel share it. A higher one has effect at once."""
        self.client.call(1, "basic.qos", 0, 3, True)
        for tag in "ab":
            self.client.consume(1, "q", tag)
        self.put("q", *(b"%d" % number for number in range(6)))
        self.assertEqual(self.bodies(), [b"0", b"1", b"2"])
        self.client.send(1, "basic.nack", 2, False, False)
        self.assertEqual(self.bodies(), [b"3"])
        self.client.send(1, "basic.qos", 0, 0, True)
        self.assertEqual(self.bodies(), [b"4", b"5"])

    def test_delivers_to_consumers_of_a_higher_priority_first(self) -> None:
        """While they have credit."""
        self.client.call(1, "basic.qos", 0, 1, False)
        self.client.consume(1, "q", "low")
        self.client.send(1, "basic.consume", 0, "q", "high", False, False, False, False, {"x-priority": 5})
        self.put("q", b"1", b"2", b"3")
        self.assertEqual([each[0] for each in self.deliveries()], ["high", "low"])

    def test_delivers_to_a_single_active_consumer_until_it_ends(self) -> None:
        """The consumer that was registered next follows."""
        self.client.declare(1, "single", {"x-single-active-consumer": True})
        for tag in "ab":
            self.client.consume(1, "single", tag)
        self.put("single", b"1", b"2")
        self.client.send(1, "basic.cancel", "a", False)
        self.put("single", b"3")
        self.assertEqual([each[0] for each in self.deliveries()], list("aab"))

    def test_redelivers_messages_of_a_lost_single_active_consumer(self) -> None:
        """The next consumer gets them."""
        other = Client(self.broker).login()
        other.channel()
        self.client.declare(1, "single", {"x-single-active-consumer": True})
        other.consume(1, "single", "first")
        self.client.consume(1, "single", "second")
        self.put("single", b"1", b"2")
        self.assertEqual(self.bodies(), [])
        other.lose()
        self.assertEqual([(each[2], each[3]) for each in self.deliveries()], [(True, b"1"), (True, b"2")])

    def test_an_exclusive_consumer_excludes_others(self) -> None:
        """It is rejected on a queue with consumers, and rejects others."""
        consume = ("basic.consume", 0, "q")
        self.client.channel(2)
        self.client.channel(3)
        self.client.call(1, *consume, "alone", False, True, True, False, {})
        self.assertEqual(self.client.call(2, *consume, "other", False, True, False, False, {}).args[0], 403)
        self.client.call(1, "basic.cancel", "alone", False)
        self.client.call(1, *consume, "one", False, True, False, False, {})
        self.assertEqual(self.client.call(3, *consume, "alone", False, True, True, False, {}).args[0], 403)

    def test_closes_the_channel_for_a_priority_that_is_no_number(self) -> None:
        """406; the consumer is not registered."""
        answer = self.client.call(1, "basic.consume", 0, "q", "c", False, False, False, False, {"x-priority": "high"})
        self.assertEqual((answer.name, answer.args[0]), ("channel.close", 406))
        self.assertEqual(self.broker.vhosts["/"].queues["q"].consumers, {})

    def test_delivers_nothing_to_a_cancelled_consumer(self) -> None:
        """Its unacked messages can still be settled."""
        self.client.consume(1, "q", "c")
        self.put("q", b"1")
        self.client.written()
        self.client.call(1, "basic.cancel", "c", False)
        self.put("q", b"2")
        self.assertEqual(self.bodies(), [])
        self.client.send(1, "basic.ack", 1, False)
        self.assertEqual((self.client.names(), self.count("q")), ([], 1))

    def test_a_prefetch_applies_to_later_consumers(self) -> None:
        """Each consumer has its own; 0 is no limit."""
        self.client.call(1, "basic.qos", 0, 1, False)
        self.client.consume(1, "q", "one")
        self.client.call(1, "basic.qos", 0, 0, False)
        self.put("q", *(b"%d" % number for number in range(3)))
        self.client.written()
        self.client.consume(1, "q", "all")
        self.assertEqual([(each[0], each[3]) for each in self.deliveries()], [("all", b"1"), ("all", b"2")])

    def test_cancels_the_consumers_of_a_deleted_queue(self) -> None:
        """Clients with the capability consumer_cancel_notify get basic.cancel."""
        for known in (True, False):
            other = Client(self.broker).login(capabilities={"consumer_cancel_notify": known})
            other.channel()
            self.client.declare(1, "gone")
            other.consume(1, "gone", "c")
            other.written()
            self.client.call(1, "queue.delete", 0, "gone", False, False, False)
            self.assertEqual(other.names(), ["basic.cancel"] if known else [])

    def test_delivers_to_others_while_a_client_reads_slowly(self) -> None:
        """A slow reader gets no deliveries."""
        slow = Client(self.broker).login()
        slow.channel()
        slow.consume(1, "q", no_ack=True)
        slow.written()
        slow.wire.reads = False
        self.put("q", *[b"x" * 50_000] * 4)
        taken = 4 - self.count("q")
        self.assertIn(taken, (1, 2))
        self.client.consume(1, "q", no_ack=True)
        self.assertEqual(len(self.bodies()), 4 - taken)
        slow.wire.reads = True
        self.put("q", b"y", b"z")
        self.assertEqual(len(self.bodies(slow)) + len(self.bodies()), taken + 2)
