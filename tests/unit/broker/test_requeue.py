"""Requeued messages: none is lost, with any limits of the queue and any loss of its consumers."""

from __future__ import annotations

from tests.unit.broker.peer import Client
from tests.unit.broker.queue_case import DEAD, QueueCase


class BoundedQueueTests(QueueCase):
    """A requeue to a queue that is full meanwhile."""

    def fill(self, overflow: str) -> Client:
        """A queue for three messages: three are ready, and a worker has three more."""
        self.client.declare(1, "dead")
        self.client.declare(1, "q", {"x-max-length": 3, "x-overflow": overflow, **DEAD})
        worker = Client(self.broker).login()
        worker.channel()
        worker.call(1, "basic.qos", 0, 3, False)
        worker.consume(1, "q")
        self.client.call(1, "confirm.select", False)
        self.put("q", *(b"%d" % number for number in range(6)))
        self.assertEqual({each.name for each in self.client.written()}, {"basic.ack"})
        return worker

    def test_a_lost_worker_costs_no_message_of_a_queue_that_rejects_publishes(self) -> None:
        """RabbitMQ drops the head of a queue only when its overflow is drop-head: all six were confirmed."""
        for overflow in ("reject-publish", "reject-publish-dlx"):
            self.fill(overflow).lose()
            self.assertEqual((self.count("q"), self.count("dead")), (6, 0), overflow)
            self.put("q", b"rejected")
            self.assertEqual(self.client.names(), ["basic.nack"])
            self.assertEqual([self.get("q") for _ in range(6)], [(b"%d" % n, n < 3, None) for n in range(6)])
            for queue in ("q", "dead"):
                self.client.call(1, "queue.delete", 0, queue, False, False, False)
            self.client.send(1, "channel.close", 200, "", 0, 0)
            self.client.written()
            self.client.channel()

    def test_a_nack_costs_no_message_of_a_queue_that_rejects_publishes(self) -> None:
        worker = self.fill("reject-publish")
        worker.written()
        worker.send(1, "basic.nack", 0, True, True)
        self.assertEqual(self.count("q") + len(self.bodies(worker)), 6)

    def test_a_queue_that_drops_its_head_drops_requeued_messages(self) -> None:
        """As RabbitMQ does: they are dead letters with the reason maxlen."""
        self.fill("drop-head").lose()
        self.assertEqual((self.count("q"), self.count("dead")), (3, 3))


class LostConsumersTests(QueueCase):
    """Consumers of one queue that are all lost at once."""

    def lose_two_consumers(self, *channels: int, no_ack: bool, arguments: dict[str, object]) -> int:
        """Lose a connection with two consumers, after five messages; return the number of ready messages."""
        self.client.declare(1, "q", arguments)
        lost = Client(self.broker).login()
        for number in {*channels}:
            lost.channel(number)
        for number, tag in zip(channels, "ab", strict=True):
            lost.call(number, "basic.qos", 0, 1, False)
            lost.consume(number, "q", tag, no_ack=no_ack and tag == "b")
        self.put("q", *(b"%d" % number for number in range(5)))
        delivered = [each for each in lost.written() if each.name == "basic.deliver"]
        lost.lose()
        left = [self.get("q") for _ in range(self.count("q"))]
        self.assertEqual([each[1] for each in left if each], [n < len(delivered) for n in range(len(left))])
        return len(left)

    def test_a_single_active_consumer_is_not_followed_by_one_that_is_lost_too(self) -> None:
        """No message is delivered to a closed channel, with acks or without."""
        for number, (channels, no_ack) in enumerate((c, n) for c in ((1, 1), (1, 2), (2, 1)) for n in (False, True)):
            left = self.lose_two_consumers(
                *channels, no_ack=no_ack, arguments={"x-single-active-consumer": True, "x-max-priority": number + 1}
            )
            self.assertEqual(left, 5, (channels, no_ack))
            self.client.call(1, "queue.delete", 0, "q", False, False, False)

    def test_a_single_active_consumer_is_followed_by_one_that_lives(self) -> None:
        """The consumer that was registered next gets the unacked messages."""
        self.client.declare(1, "q", {"x-single-active-consumer": True})
        lost = Client(self.broker).login()
        for number in (1, 2):
            lost.channel(number)
            lost.consume(number, "q", f"lost {number}")
        self.client.consume(1, "q", "next")
        self.put("q", *(b"%d" % number for number in range(5)))
        lost.lose()
        found = [(each[0], each[2], each[3]) for each in self.deliveries()]
        self.assertEqual(found, [("next", True, b"%d" % number) for number in range(5)])

    def test_a_single_active_consumer_gets_the_unacked_messages_of_the_last_one_first(self) -> None:
        """A queue with a single active consumer keeps its order, however the consumer before it ends.

        RabbitMQ requeues the messages of an ended channel before the next consumer becomes active.
        """
        for number, end in enumerate(("connection", "channel", "error")):
            queue = f"q{number}"
            self.client.declare(1, queue, {"x-single-active-consumer": True})
            lost = Client(self.broker).login()
            lost.channel()
            lost.call(1, "basic.qos", 0, 2, False)
            lost.consume(1, queue, "lost")
            self.client.consume(1, queue, "next")
            self.put(queue, *(b"%d" % number for number in range(5)))
            if end == "connection":
                lost.lose()
            elif end == "channel":
                lost.send(1, "channel.close", 200, "", 0, 0)
            else:
                lost.send(1, "basic.ack", 999, False)
            found = [(each[2], each[3]) for each in self.deliveries()]
            self.assertEqual(found, [(number < 2, b"%d" % number) for number in range(5)], end)
            self.client.send(1, "basic.ack", 0, True)
            self.client.call(1, "basic.cancel", "next", False)


class ConsumersAgainTests(QueueCase):
    """Consumers that have credit again."""

    def consume_high(self) -> None:
        self.client.send(1, "basic.consume", 0, "q", "high", False, False, False, False, {"x-priority": 1})

    def test_an_ack_of_several_serves_the_highest_priority_first(self) -> None:
        """Though the other consumer has had the older message."""
        self.client.declare(1, "q")
        self.client.call(1, "basic.qos", 0, 1, False)
        self.client.consume(1, "q", "low")
        self.put("q", b"1")
        self.consume_high()
        self.put("q", b"2", b"3")
        self.assertEqual([each[0] for each in self.deliveries()], ["low", "high"])
        self.client.send(1, "basic.ack", 2, True)
        self.assertEqual([each[0] for each in self.deliveries()], ["high"])

    def test_a_larger_prefetch_of_the_channel_serves_the_highest_priority_first(self) -> None:
        """Though the other consumer was registered before."""
        self.client.declare(1, "q")
        self.client.call(1, "basic.qos", 0, 1, True)
        self.client.consume(1, "q", "low")
        self.consume_high()
        self.put("q", b"1", b"2", b"3")
        self.client.written()
        self.client.send(1, "basic.qos", 0, 2, True)
        self.assertEqual([each[0] for each in self.deliveries()], ["high"])
        self.client.send(1, "basic.ack", 1, False)
        self.assertEqual([each[0] for each in self.deliveries()], ["high"])

    def test_a_requeued_message_returns_to_the_consumer_of_the_highest_priority(self) -> None:
        """RabbitMQ counts its credit before it delivers the message."""
        self.client.declare(1, "q")
        other = Client(self.broker).login()
        other.channel()
        other.consume(1, "q", "low")
        self.client.call(1, "basic.qos", 0, 1, False)
        self.consume_high()
        self.put("q", b"1", b"2")
        self.assertEqual((self.bodies(), self.bodies(other)), ([b"1"], [b"2"]))
        for requeue in (("basic.reject", 1, True), ("basic.nack", 2, True, True), ("basic.recover", True)):
            self.client.send(1, *requeue)
            self.assertEqual([(each[0], each[3]) for each in self.deliveries()], [("high", b"1")], requeue)
            self.assertEqual(self.bodies(other), [])
            self.put("q", b"more")
            self.assertEqual(self.bodies(other), [b"more"])

    def test_requeued_messages_are_shared_with_their_consumer(self) -> None:
        """It takes its place in the rotation behind the others."""
        self.client.declare(1, "q")
        self.client.call(1, "basic.qos", 0, 4, False)
        self.client.consume(1, "q")
        self.put("q", *(b"%d" % number for number in range(4)))
        other = Client(self.broker).login()
        other.channel()
        other.consume(1, "q")
        self.put("q", b"4")
        self.assertEqual((len(self.bodies()), self.bodies(other)), (4, [b"4"]))
        self.client.send(1, "basic.nack", 0, True, True)
        self.assertEqual((self.bodies(other), self.bodies()), ([b"0", b"2"], [b"1", b"3"]))
