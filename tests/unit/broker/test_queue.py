"""Queues over a connection in memory and a clock: limits in time and length, requeues, dead letters."""

from __future__ import annotations

from tests.unit.broker.peer import Client
from tests.unit.broker.queue_case import DEAD, QueueCase


class TimeTests(QueueCase):
    """Expired messages and queues."""

    def test_dead_letters_a_message_after_the_time_of_its_queue(self) -> None:
        """x-message-ttl: an expired message is dead-lettered with the reason expired."""
        self.client.declare(1, "dead")
        self.client.declare(1, "q", {"x-message-ttl": 1000, **DEAD})
        self.put("q", b"old")
        self.advance(0.5)
        self.put("q", b"young")
        self.advance(0.6)
        self.assertEqual((self.count("q"), self.count("dead")), (1, 1))
        found = self.get("dead")
        assert found is not None
        (death,) = found[2]["x-death"]
        self.assertEqual((death["queue"], death["reason"], death["count"]), ("q", "expired", 1))
        self.assertEqual(found[2]["x-first-death-reason"], "expired")

    def test_expires_a_message_at_the_head_by_the_shorter_time(self) -> None:
        """A message behind another one with a longer time expires when it reaches the head."""
        self.client.declare(1, "q", {"x-message-ttl": 60_000})
        self.put("q", b"stays")
        self.put("q", b"goes", expiration="10")
        self.advance(1.0)
        self.assertEqual(self.count("q"), 2)
        self.assertEqual(self.get("q"), (b"stays", False, None))
        self.assertEqual(self.count("q"), 0)

    def test_delivers_an_expiration_of_zero_to_a_ready_consumer_only(self) -> None:
        """An expiration of 0 allows an immediate delivery only."""
        self.client.declare(1, "q")
        self.put("q", b"no consumer", expiration="0")
        self.advance(0)
        self.assertEqual(self.count("q"), 0)
        self.client.consume(1, "q", no_ack=True)
        self.put("q", b"consumer", expiration="0")
        self.assertEqual(self.bodies(), [b"consumer"])

    def test_deletes_a_queue_of_the_state_that_is_not_used(self) -> None:
        """x-expires: the start of the broker counts as a use (RabbitMQ: "Queue TTL")."""
        vhost = self.broker.vhosts["/"]
        vhost.restore_queue("q", False, {"x-expires": 1000})
        self.advance(0.999)
        self.assertEqual([*vhost.queues], ["q"])
        self.advance(0.002)
        self.assertEqual([*vhost.queues], [])

    def test_deletes_an_unused_queue(self) -> None:
        """x-expires: a consumer, a get or a declaration is a use."""
        self.client.declare(1, "q", {"x-expires": 1000})
        for _ in range(3):
            self.advance(0.9)
            self.get("q")
        self.client.consume(1, "q", "c")
        self.advance(5.0)
        self.client.send(1, "basic.cancel", "c", False)
        self.advance(0.9)
        self.assertEqual(self.count("q"), 0)
        self.advance(1.1)
        self.assertEqual(self.broker.vhosts["/"].queues, {})

    def test_a_declaration_is_a_use_and_a_publish_is_none(self) -> None:
        """A passive declaration is a use as well."""
        self.client.declare(1, "q", {"x-expires": 1000})
        for _ in range(2):
            self.advance(0.9)
            self.client.declare(1, "q", {"x-expires": 1000})
            self.advance(0.9)
            self.count("q")
        for _ in range(3):
            self.put("q", b"no use")
            self.advance(0.4)
        self.assertEqual((self.broker.vhosts["/"].queues, self.broker.memory.held), ({}, 0))

    def test_expires_a_requeued_message(self) -> None:
        """An unacked message does not expire; it expires when it is requeued."""
        self.client.declare(1, "dead")
        self.client.declare(1, "q", {"x-message-ttl": 1000, **DEAD})
        self.put("q", b"1")
        self.get("q", no_ack=False)
        self.advance(5.0)
        self.assertEqual(self.count("dead"), 0)
        self.client.send(1, "basic.nack", 1, False, True)
        self.advance(0)
        self.assertEqual((self.count("q"), self.count("dead")), (0, 1))


class LengthTests(QueueCase):
    """Queues that are full."""

    def test_drops_the_oldest_messages_of_a_full_queue(self) -> None:
        """By number and by bytes; they are dead letters with the reason maxlen."""
        self.client.declare(1, "dead")
        self.client.declare(1, "number", {"x-max-length": 2, **DEAD})
        self.client.declare(1, "bytes", {"x-max-length-bytes": 5})
        self.put("number", b"1", b"2", b"3")
        self.put("bytes", b"123", b"45", b"6")
        self.assertEqual((self.get("number"), self.get("bytes")), ((b"2", False, None), (b"45", False, None)))
        dead = self.get("dead")
        assert dead is not None
        self.assertEqual((dead[0], dead[2]["x-death"][0]["reason"]), (b"1", "maxlen"))

    def test_rejects_publishes_to_a_full_queue(self) -> None:
        """The publisher gets a nack; with reject-publish-dlx the message is dead-lettered as well."""
        self.client.declare(1, "dead")
        self.client.declare(1, "q", {"x-max-length": 1, "x-overflow": "reject-publish"})
        self.client.declare(1, "dlx", {"x-max-length": 1, "x-overflow": "reject-publish-dlx", **DEAD})
        self.client.call(1, "confirm.select", False)
        self.put("q", b"1", b"2")
        self.put("dlx", b"3", b"4")
        confirms = [(each.name, each.args[0]) for each in self.client.written()]
        self.assertEqual(confirms, [("basic.ack", 1), ("basic.nack", 2), ("basic.ack", 3), ("basic.nack", 4)])
        self.assertEqual([self.count(queue) for queue in ("q", "dlx", "dead")], [1, 1, 1])
        dead = self.get("dead")
        assert dead is not None
        self.assertEqual((dead[0], dead[2]["x-death"][0]["reason"]), (b"4", "maxlen"))

    def test_does_not_count_unacked_messages(self) -> None:
        """A requeued message may be one too many for a queue that drops its head."""
        self.client.declare(1, "q", {"x-max-length": 1})
        self.put("q", b"1")
        self.get("q", no_ack=False)
        self.put("q", b"2")
        self.assertEqual(self.count("q"), 1)
        self.client.send(1, "basic.reject", 1, True)
        self.assertEqual((self.get("q"), self.count("q")), ((b"2", False, None), 0))

    def test_nacks_a_message_that_one_of_two_queues_rejects(self) -> None:
        """The other queue has the message."""
        self.client.declare(1, "full", {"x-max-length": 0, "x-overflow": "reject-publish"})
        self.client.declare(1, "free")
        for queue in ("full", "free"):
            self.client.call(1, "queue.bind", 0, queue, "amq.fanout", "", False, {})
        self.client.call(1, "confirm.select", False)
        self.client.publish(1, "amq.fanout", "", b"1")
        self.assertEqual(self.client.names(), ["basic.nack"])
        self.assertEqual([self.count(queue) for queue in ("full", "free")], [0, 1])

    def test_delivers_higher_priorities_first(self) -> None:
        """Priorities above the highest count as the highest. Equal ones are delivered in order."""
        self.client.declare(1, "q", {"x-max-priority": 2})
        for body, priority in ((b"none", None), (b"1", 1), (b"2", 2), (b"9", 9), (b"1 again", 1)):
            self.put("q", body, priority=priority)
        self.client.consume(1, "q", no_ack=True)
        self.assertEqual(self.bodies(), [b"2", b"9", b"1", b"1 again", b"none"])


class ReturningTests(QueueCase):
    """Requeued and rejected messages."""

    def test_requeues_messages_at_their_old_positions(self) -> None:
        """They are marked as redelivered."""
        self.client.declare(1, "q")
        self.put("q", b"1", b"2", b"3", b"4")
        for _ in range(3):
            self.get("q", no_ack=False)
        self.client.send(1, "basic.nack", 2, True, True)
        self.client.send(1, "basic.reject", 3, True)
        found = [self.get("q") for _ in range(4)]
        self.assertEqual(found, [(b"1", True, None), (b"2", True, None), (b"3", True, None), (b"4", False, None)])

    def test_requeues_messages_within_their_priority(self) -> None:
        """Each priority has its own order."""
        self.client.declare(1, "q", {"x-max-priority": 5})
        for body, priority in ((b"low", 1), (b"high", 4), (b"high 2", 4)):
            self.put("q", body, priority=priority)
        for _ in range(3):
            self.get("q", no_ack=False)
        self.client.send(1, "basic.nack", 0, True, True)
        found = [self.get("q") for _ in range(3)]
        self.assertEqual(found, [(b"high", True, None), (b"high 2", True, None), (b"low", True, None)])

    def test_redelivers_unacked_messages_on_recover(self) -> None:
        """All unacked messages of the channel are delivered again."""
        self.client.declare(1, "q")
        self.put("q", b"1", b"2")
        self.client.consume(1, "q", "c")
        self.assertEqual(len(self.bodies()), 2)
        self.client.send(1, "basic.recover", True)
        self.assertEqual([(each[2], each[3]) for each in self.deliveries()], [(True, b"1"), (True, b"2")])

    def test_counts_the_delivery_count_header_as_memory(self) -> None:
        """The header that a quorum queue adds is released with the message."""
        self.client.declare(1, "q", {"x-queue-type": "quorum"}, durable=True)
        self.put("q", b"1")
        for tag in range(1, 4):
            self.get("q", no_ack=False)
            self.client.send(1, "basic.reject", tag, True)
        self.assertEqual(self.get("q"), (b"1", True, {"x-delivery-count": 3}))
        self.assertEqual(self.broker.memory.held, 0)

    def test_requeues_a_message_with_malformed_headers_unchanged(self) -> None:
        """A quorum queue cannot add its count to them; the client stays connected."""
        self.client.declare(1, "q", {"x-queue-type": "quorum"}, durable=True)
        properties = b"\x20\x00\x00\x00\x00\x03\x01a?"  # a field of type ?
        self.client.publish(1, "", "q", b"body", properties=properties)
        for tag in range(1, 3):
            self.client.send(1, "basic.get", 0, "q", False)
            answer, header, _ = self.client.written()
            self.assertEqual((answer.args[1], header.payload[12:]), (tag > 1, properties))
            self.client.send(1, "basic.reject", tag, True)
        self.assertEqual(self.count("q"), 1)

    def test_redelivers_messages_of_a_lost_connection(self) -> None:
        """In their order."""
        other = Client(self.broker).login()
        other.channel()
        self.client.declare(1, "q")
        other.consume(1, "q")
        self.put("q", b"1", b"2")
        other.lose()
        self.client.consume(1, "q")
        self.assertEqual([(each[2], each[3]) for each in self.deliveries()], [(True, b"1"), (True, b"2")])

    def test_drops_or_dead_letters_rejected_messages(self) -> None:
        """A queue without a dead-letter exchange drops them."""
        self.client.declare(1, "dead")
        self.client.declare(1, "q", DEAD)
        self.client.declare(1, "plain")
        self.put("q", b"1")
        self.put("plain", b"2")
        for queue in ("q", "plain"):
            self.get(queue, no_ack=False)
        self.client.send(1, "basic.nack", 0, True, False)
        self.assertEqual([self.count(queue) for queue in ("q", "plain", "dead")], [0, 0, 1])

    def test_dead_letters_a_message_at_the_delivery_limit(self) -> None:
        """A quorum queue counts requeues in x-delivery-count."""
        self.client.declare(1, "dead")
        self.client.declare(1, "q", {"x-queue-type": "quorum", "x-delivery-limit": 2, **DEAD}, durable=True)
        self.put("q", b"1")
        seen = []
        for tag in range(1, 4):
            found = self.get("q", no_ack=False)
            assert found is not None
            seen.append((found[2] or {}).get("x-delivery-count"))
            self.client.send(1, "basic.reject", tag, True)
        self.assertEqual((seen, self.count("q"), self.count("dead")), ([None, 1, 2], 0, 1))

    def test_closes_the_channel_for_an_unknown_delivery_tag(self) -> None:
        """A message is settled once (AMQP 0-9-1, basic.ack)."""
        self.client.declare(1, "q")
        self.put("q", b"1")
        self.get("q", no_ack=False)
        self.client.send(1, "basic.ack", 1, False)
        answer = self.client.call(1, "basic.ack", 1, False)
        self.assertEqual(
            (answer.name, answer.args[:2]), ("channel.close", (406, "PRECONDITION_FAILED - unknown delivery tag 1"))
        )

    def test_drops_expired_messages_of_a_dead_letter_cycle(self) -> None:
        """RabbitMQ drops a message that returns to a queue without a rejection on the way."""
        self.client.declare(
            1, "a", {"x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "b"}
        )
        self.client.declare(
            1, "b", {"x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "a"}
        )
        self.put("a", b"1")
        for _ in range(10):
            self.advance(0.011)
        self.assertEqual((self.count("a"), self.count("b"), self.broker.memory.held), (0, 0, 0))
