"""Queues over a connection in memory and a clock: limits, round-robin, dead letters, confirms."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.frames import PROTOCOL_HEADER
from rpc.amqp.codec.methods import decode_method
from rpc.amqp.codec.properties import decode_properties
from rpc.amqp.codec.spec import load_spec
from rpc.broker.broker import Broker
from rpc.broker.limits import Limits
from rpc.messages import Properties
from tests.unit.broker.peer import Client, new_broker, publish, start_ok

DEAD = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}


class QueueCase(SynchronousTestCase):
    """A broker, and a client with channel 1 open."""

    def setUp(self) -> None:
        self.broker: Broker = new_broker()
        self.client = Client(self.broker).login()
        self.client.channel()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        clock = self.broker.clock
        assert isinstance(clock, Clock)
        clock.advance(seconds)

    def deliveries(self, client: Client | None = None) -> list[tuple[Any, ...]]:
        """Deliveries: consumer tag, delivery tag, redelivered, body, headers."""
        return [(*args[:3], body, headers) for args, body, headers in self.contents("basic.deliver", client)]

    def bodies(self, client: Client | None = None) -> list[bytes]:
        """The bodies alone."""
        return [body for _, body, _ in self.contents("basic.deliver", client)]

    def contents(self, name: str, client: Client | None = None) -> list[tuple[Any, bytes, Any]]:
        """Arguments, body and headers of each message in methods of this name."""
        found: list[tuple[Any, bytes, Any]] = []
        frames = (client or self.client).written()
        for number, frame in enumerate(frames):
            if frame.name == name:
                header, body = frames[number + 1], b""
                for each in frames[number + 2 :]:
                    if each.kind != 3:
                        break
                    body += each.payload
                found.append((frame.args, body, decode_properties(header.payload[12:]).headers))
        return found

    def get(self, queue: str, *, no_ack: bool = True) -> tuple[bytes, bool, Any] | None:
        """Get a message: its body, whether it is redelivered, its headers."""
        self.client.send(1, "basic.get", 0, queue, no_ack)
        found = self.contents("basic.get-ok")
        return (found[0][1], found[0][0][1], found[0][2]) if found else None

    def count(self, queue: str) -> int:
        """The number of ready messages."""
        answer = self.client.call(1, "queue.declare", 0, queue, True, False, False, False, False, {})
        count: int = answer.args[1]
        return count

    def put(self, queue: str, *bodies: bytes, **properties: Any) -> None:
        """Publish messages to a queue."""
        for body in bodies:
            self.client.publish(1, "", queue, body, properties=Properties(**properties))


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
        self.put("q", b"nobody", expiration="0")
        self.advance(0)
        self.assertEqual(self.count("q"), 0)
        self.client.consume(1, "q", no_ack=True)
        self.put("q", b"somebody", expiration="0")
        self.assertEqual(self.bodies(), [b"somebody"])

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
        self.assertEqual(self.broker.vhosts["/"].queues["q"].consumers, [])

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


class PublishingTests(QueueCase):
    """Returns, confirms, alarms and routing."""

    def test_returns_an_unroutable_message_before_its_ack(self) -> None:
        """basic.return precedes basic.ack, as RabbitMQ documents."""
        self.client.call(1, "confirm.select", False)
        self.client.publish(1, "", "nowhere", b"body", mandatory=True)
        names = [name for name in self.client.names() if name]
        self.assertEqual(names, ["basic.return", "basic.ack"])

    def test_confirms_the_publishes_of_one_read_with_one_ack(self) -> None:
        """The ack has the flag multiple."""
        self.client.declare(1, "q")
        self.client.call(1, "confirm.select", False)
        self.client.feed(b"".join(publish(1, "", "q", b"%d" % number) for number in range(100)))
        (ack,) = self.client.written()
        self.assertEqual((ack.name, ack.args), ("basic.ack", (100, True)))

    def test_forgets_the_route_to_a_deleted_queue(self) -> None:
        """Routes are cached by exchange and key."""
        self.client.declare(1, "q")
        self.client.publish(1, "", "q", b"1", mandatory=True)
        self.assertEqual(self.client.names(), [])
        self.client.call(1, "queue.delete", 0, "q", False, False, False)
        self.client.publish(1, "", "q", b"2", mandatory=True)
        self.assertEqual(self.client.names()[0], "basic.return")

    def test_blocks_publishing_connections_during_an_operators_alarm(self) -> None:
        """Clients with the capability get connection.blocked. Connections that do not publish stay unblocked."""
        unknowing = Client(self.broker).login(capabilities={})
        unknowing.channel()
        self.broker.set_alarm(True)
        self.assertEqual(self.client.names(), [])
        for client in (self.client, unknowing):
            client.publish(1, "", "nowhere", b"1")
            self.assertEqual(client.wire.producerState, "paused")
        self.assertEqual((self.client.names(), unknowing.names()), (["connection.blocked"], []))
        self.broker.set_alarm(False)
        self.assertEqual((self.client.names(), unknowing.names()), (["connection.unblocked"], []))
        self.assertEqual((self.client.wire.producerState, unknowing.wire.producerState), ("producing", "producing"))

    def test_blocks_publishing_connections_while_memory_is_short(self) -> None:
        """They are unblocked when memory is free again."""
        broker = new_broker(limits=Limits(memory=10_000))
        publisher, consumer = (Client(broker).login() for _ in range(2))
        for each in (publisher, consumer):
            each.channel()
        consumer.declare(1, "q")
        publisher.publish(1, "", "q", b"x" * 20_000)
        publisher.publish(1, "", "q", b"once more")
        self.assertEqual(publisher.names(), ["connection.blocked"])
        self.assertEqual(publisher.wire.producerState, "paused")
        consumer.call(1, "queue.purge", 0, "q", False)
        self.assertEqual(publisher.names(), ["connection.unblocked"])
        self.assertEqual((publisher.wire.producerState, broker.memory.held), ("producing", 0))

    def test_delivers_direct_replies(self) -> None:
        """To the channel of the request, without a queue. A late reply is unroutable."""
        server = Client(self.broker).login()
        server.channel()
        server.declare(1, "q")
        server.consume(1, "q", no_ack=True)
        server.written()
        self.client.consume(1, "amq.rabbitmq.reply-to", "r", no_ack=True)
        self.put("q", b"question", reply_to="amq.rabbitmq.reply-to")
        frames = server.written()
        (address,) = [decode_properties(each.payload[12:]).reply_to for each in frames if each.kind == 2]
        assert address is not None
        server.publish(1, "", address, b"answer")
        self.assertEqual(self.bodies(), [b"answer"])
        self.client.lose()
        server.publish(1, "", address, b"late", mandatory=True)
        self.assertEqual(server.names()[0], "basic.return")

    def test_routes_to_the_keys_in_CC_and_BCC(self) -> None:
        """BCC is removed from the message."""
        for queue in ("a", "b", "c"):
            self.client.declare(1, queue)
        self.put("a", b"1", headers={"CC": ["b"], "BCC": ["c"], "x": 1})
        self.assertEqual([self.get(queue) for queue in ("a", "b", "c")], [(b"1", False, {"CC": ["b"], "x": 1})] * 3)

    def test_routes_unmatched_messages_to_the_alternate_exchange(self) -> None:
        """They are not returned."""
        self.client.declare(1, "rest")
        declare = ("exchange.declare", 0)
        self.client.call(1, *declare, "others", "fanout", False, False, False, False, False, {})
        self.client.call(
            1, *declare, "x", "direct", False, False, False, False, False, {"alternate-exchange": "others"}
        )
        self.client.call(1, "queue.bind", 0, "rest", "others", "", False, {})
        self.client.publish(1, "x", "unbound", b"1", mandatory=True)
        self.assertEqual((self.client.names(), self.count("rest")), ([], 1))


class ConnectionTests(QueueCase):
    """Logins, heartbeats, and the end of connections."""

    def test_accepts_guest_from_this_machine_only(self) -> None:
        """A user that was added may connect from anywhere."""
        for host, welcome in (("192.0.2.1", False), ("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True)):
            self.assertIs(self.broker.login_problem("guest", "guest", host) is None, welcome, host)
        self.broker.add_user("ada", "secret")
        self.assertIsNone(self.broker.login_problem("ada", "secret", "192.0.2.1"))
        self.assertIsNotNone(self.broker.login_problem("ada", "wrong", "127.0.0.1"))
        self.assertIsNotNone(self.broker.login_problem("nobody", "", "127.0.0.1"))

    def test_gives_the_reason_to_clients_that_know_authentication_failure_close(self) -> None:
        """The socket of others is closed without it."""
        for capabilities, names in (
            ({"authentication_failure_close": True}, ["connection.start", "connection.close"]),
            ({}, ["connection.start"]),
        ):
            stranger = Client(self.broker, "192.0.2.1")
            stranger.feed(PROTOCOL_HEADER, start_ok(capabilities=capabilities))
            frames = stranger.written()
            self.assertEqual([each.name for each in frames], names)
            if capabilities:
                self.assertEqual(
                    frames[1].args[:2], (403, "ACCESS_REFUSED - user 'guest' can only connect via localhost")
                )
        self.assertTrue(stranger.gone)

    def test_keeps_a_silent_connection_without_heartbeats(self) -> None:
        """A heartbeat of 0 means none."""
        self.advance(1_000_000.0)
        self.assertEqual((self.client.names(), self.client.gone), ([], False))

    def test_sends_heartbeats_and_closes_a_silent_connection(self) -> None:
        """After two silent intervals; unacked messages are requeued."""
        silent = Client(self.broker).login(heartbeat=2)
        silent.channel()
        self.client.declare(1, "q")
        silent.consume(1, "q")
        self.put("q", b"1")
        silent.written()
        self.advance(1.0)
        self.assertEqual([each.kind for each in silent.written()], [8])
        for _ in range(5):
            self.advance(1.0)
        self.assertTrue(silent.gone)
        self.assertEqual(self.get("q"), (b"1", True, None))

    def test_deletes_exclusive_and_auto_delete_queues(self) -> None:
        """An exclusive queue is deleted with its connection, an auto-delete one with its last consumer."""
        other = Client(self.broker).login()
        other.channel()
        other.declare(1, "mine", exclusive=True)
        answer = self.client.call(1, "queue.declare", 0, "mine", True, False, False, False, False, {})
        self.assertEqual(answer.args[0], 405)
        other.lose()
        self.client.send(1, "channel.close-ok")
        self.client.channel()
        self.client.declare(1, "auto", auto_delete=True)
        self.client.consume(1, "auto", "c")
        self.client.send(1, "basic.cancel", "c", False)
        self.assertEqual(self.broker.vhosts["/"].queues, {})

    def test_leaves_no_memory_and_no_timer_behind(self) -> None:
        """After all connections are closed and all queues deleted."""
        self.client.declare(1, "q", {"x-message-ttl": 1000, "x-expires": 5000})
        self.put("q", b"1", b"2")
        self.client.consume(1, "q")
        self.client.send(1, "queue.delete", 0, "q", False, False, False)
        self.client.lose()
        clock: Any = self.broker.clock
        self.assertEqual(self.broker.memory.held, 0)
        self.assertEqual((clock.getDelayedCalls(), self.broker.connections), ([], {}))

    def test_writes_methods_as_the_specification_defines_them(self) -> None:
        """connection.start is decoded by its definition."""
        stranger = Client(self.broker)
        stranger.feed(b"AMQP\x00\x00\x09\x01")
        (start,) = stranger.written()
        method, arguments = decode_method(load_spec(), start.payload)
        self.assertEqual((method.name, arguments[0:2], arguments[3]), ("start", (0, 9), b"PLAIN"))
