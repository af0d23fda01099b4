"""Channels: control methods and their answers, consumers, publishing, confirms, returns, and all ways to end."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.content import Delivery, Returned
from rpc.amqp.reasons import channel_closed
from rpc.errors import AMQPError, ChannelClosed, CodecError, DeclarationRefused, DeliveryTimedOut
from rpc.topology import EXCLUSIVE_QUEUE
from tests.unit.amqp.peer import Peer, content, delivery, method, outcome_of, raises, returned

NO_PROPERTIES = b"\x00\x00"


class ChannelTestCase(SynchronousTestCase):
    """An open connection with channel 1."""

    def setUp(self) -> None:
        self.peer = Peer(frame_max=4096).open()
        self.channel = self.peer.channel()

    def close_by_broker(self, code: int = 404, text: str = "NOT_FOUND") -> None:
        """Close channel 1 as the broker does."""
        self.peer.feed(method(1, "channel.close", code, text, 50, 10))


class InvokeTests(ChannelTestCase):
    """Control methods."""

    def test_writes_at_once_and_answers_in_order(self) -> None:
        """Methods are written at once and answered in order."""
        first = outcome_of(self.channel.queue_declare(queue="a"))
        second = outcome_of(self.channel.queue_delete(queue="b"))
        self.assertEqual(self.peer.names(), ["queue.declare", "queue.delete"])
        self.peer.feed(method(1, "queue.declare-ok", "a", 1, 2))
        self.assertEqual((first[0].queue, first[0].message_count, second), ("a", 1, []))
        self.peer.feed(method(1, "queue.delete-ok", 7))
        self.assertEqual(second[0].message_count, 7)

    def test_a_consume_is_answered_behind_the_method_that_follows_it(self) -> None:
        """RabbitMQ's basic.consume-ok comes from the queue: late, and in any order of the consumers."""
        channel = self.peer.channel()
        first = channel.consume("a", raises, raises)
        second = channel.consume("b", raises, raises)
        limited = channel.basic_qos(prefetch_count=1)
        self.peer.feed(method(channel.id, "basic.qos-ok"))
        self.successResultOf(limited)
        self.peer.feed(method(channel.id, "basic.consume-ok", "c2"))
        self.assertNoResult(first)
        self.assertEqual(self.successResultOf(second), "c2")
        self.peer.feed(method(channel.id, "basic.consume-ok", "c1"))
        self.assertEqual(self.successResultOf(first), "c1")
        self.assertFalse(self.peer.connection.closed)

    def test_a_queue_that_is_named_like_a_consumer_is_no_consumer(self) -> None:
        """Only the consumer tag of a method tells which answer is its own."""
        channel = self.peer.channel()
        first = channel.consume("c2", raises, raises)
        second = channel.consume("a", raises, raises)
        self.peer.feed(method(channel.id, "basic.consume-ok", "c2"))
        self.assertNoResult(first)
        self.assertEqual(self.successResultOf(second), "c2")
        self.peer.feed(method(channel.id, "basic.consume-ok", "c1"))
        self.assertEqual(self.successResultOf(first), "c1")

    def test_cancels_are_answered_in_any_order_of_the_consumers(self) -> None:
        """The answer comes from the queue, as that of a consume does: deliveries of the other one still arrive."""
        channel = self.peer.channel()
        taken: list[Delivery] = []
        for queue in "ab":
            channel.consume(queue, taken.append, raises)
        self.peer.feed(*(method(channel.id, "basic.consume-ok", tag) for tag in ("c1", "c2")))
        first, second = channel.cancel_consumer("c1"), channel.cancel_consumer("c2")
        self.peer.feed(method(channel.id, "basic.cancel-ok", "c2"), delivery(channel.id, "c1", 1, b"x"))
        self.successResultOf(second)
        self.assertNoResult(first)
        self.assertEqual(len(taken), 1)
        self.peer.feed(method(channel.id, "basic.cancel-ok", "c1"))
        self.successResultOf(first)

    def test_cancelled_method_takes_its_own_answer(self) -> None:
        """A cancelled method does not shift the answers of those behind it (txAMQP gives its answer to the next)."""
        cancelled = self.channel.queue_declare(queue="a")
        behind = outcome_of(self.channel.queue_declare(queue="b"))
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.peer.feed(method(1, "queue.declare-ok", "a", 0, 0))
        self.assertEqual(behind, [])
        self.peer.feed(method(1, "queue.declare-ok", "b", 0, 0))
        self.assertEqual(behind[0].queue, "b")

    def test_fires_at_once_for_methods_without_an_answer(self) -> None:
        """nowait, and methods that have no answer, fire at once (txAMQP hangs on an XML that says no-wait)."""
        self.assertIsNone(self.successResultOf(self.channel.queue_declare(queue="a", nowait=True)))
        self.assertIsNone(self.successResultOf(self.channel.basic_ack(delivery_tag=1)))
        self.assertEqual(self.peer.names(), ["queue.declare", "basic.ack"])

    def test_fails_for_an_argument_that_cannot_be_encoded(self) -> None:
        """Such a method fails, nothing is written, and the connection works on (txAMQP's writer dies of it)."""
        wrong: list[Any] = [{"a": object()}, {"a": 2**70}, {"k" * 256: 1}, 7]
        for arguments in wrong:
            self.failureResultOf(self.channel.queue_declare(queue="q", arguments=arguments), CodecError)
        self.failureResultOf(self.channel.queue_declare(queue="q" * 256), CodecError)
        self.assertEqual(self.peer.transport.value(), b"")
        works = outcome_of(self.channel.queue_declare(queue="q"))
        self.peer.feed(method(1, "queue.declare-ok", "q", 0, 0))
        self.assertEqual(works[0].queue, "q")

    def test_fails_for_a_method_larger_than_a_frame(self) -> None:
        """RabbitMQ would end the connection, so the method fails before it is sent."""
        self.failureResultOf(self.channel.queue_declare(queue="q", arguments={"a": "x" * 4096}), CodecError)
        self.assertEqual(self.peer.written(), [])

    def test_fails_for_methods_with_content(self) -> None:
        """Publishing and getting are not control methods: their body would be neither written nor read."""
        asked: Any = self.channel
        for sent in (asked.basic_publish(exchange="", routing_key="q"), asked.basic_get(queue="q")):
            self.failureResultOf(sent, AMQPError)
        self.assertEqual(self.peer.written(), [])

    def test_declares_by_the_method_of_the_declaration(self) -> None:
        """A declaration of a topology is invoked by its name."""
        declared = outcome_of(self.channel.declare(EXCLUSIVE_QUEUE))
        self.assertEqual(self.peer.names(), ["queue.declare"])
        self.peer.feed(method(1, "queue.declare-ok", "amq.gen-x", 0, 0))
        self.assertEqual(declared[0].queue, "amq.gen-x")

    def test_agrees_to_channel_flow(self) -> None:
        """channel.flow is answered by channel.flow-ok."""
        self.peer.feed(method(1, "channel.flow", True))
        self.assertEqual(self.peer.names(), ["channel.flow-ok"])


class CloseTests(ChannelTestCase):
    """How channels end."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[Exception] = []
        self.channel.on_closed = self.told.append

    def test_close_by_the_broker_fails_all_that_is_pending(self) -> None:
        """It is answered. The owner is told once, pending methods fail with code and text, other channels go on."""
        other = self.peer.channel()
        waiting = outcome_of(self.channel.queue_declare(queue="q"))
        self.peer.transport.clear()
        self.close_by_broker(406, "PRECONDITION_FAILED - é")
        self.assertEqual(self.peer.names(), ["channel.close-ok"])
        (error,) = self.told
        self.assertIsInstance(error, ChannelClosed)
        self.assertEqual(str(error), "406 PRECONDITION_FAILED - é")
        self.assertEqual(waiting, self.told)
        self.failureResultOf(self.channel.queue_declare(queue="q"), ChannelClosed)
        outcome = outcome_of(other.queue_delete(queue="q"))
        self.peer.feed(method(2, "queue.delete-ok", 0))
        self.assertEqual(outcome[0].message_count, 0)
        self.peer.lose()
        self.assertEqual(len(self.told), 1)

    def test_a_refused_declaration_is_an_error_of_its_own(self) -> None:
        """Class and method of the close tell it from other errors with the same code (AMQP 0-9-1, channel.close)."""
        cases = (
            (406, "why", 50, 10, DeclarationRefused),
            (404, "NOT_FOUND - no queue 'q' in vhost '/'", 50, 10, DeclarationRefused),
            (404, "NOT_FOUND - home node 'n' of durable queue 'q' is down", 50, 10, ChannelClosed),
            (406, "why", 40, 10, DeclarationRefused),
            (405, "why", 50, 10, ChannelClosed),
            (404, "NOT_FOUND - no queue 'q' in vhost '/'", 50, 20, ChannelClosed),
            (406, "why", 60, 80, ChannelClosed),
        )
        for code, text, class_id, method_id, kind in cases:
            self.assertIs(type(channel_closed(code, text, (class_id, method_id))), kind)
        self.peer.feed(method(1, "channel.close", 406, "inequivalent arg", 50, 10))
        self.assertEqual([type(error) for error in self.told], [DeclarationRefused])

    def test_close_by_us_does_not_tell_the_owner(self) -> None:
        """Answers that come after it are discarded; close() fires when the broker has agreed."""
        waiting = outcome_of(self.channel.queue_declare(queue="q"))
        self.peer.transport.clear()
        closed = outcome_of(self.channel.close())
        self.assertEqual(self.peer.names(), ["channel.close"])
        self.assertIsInstance(waiting[0], AMQPError)
        self.peer.feed(method(1, "queue.declare-ok", "q", 0, 0), delivery(1, "c1", 1, b"x"))
        self.assertEqual(closed, [])
        self.peer.feed(method(1, "channel.close-ok"))
        self.assertEqual((closed, self.told, self.peer.leaving), ([None], [], False))
        self.assertIsNone(self.successResultOf(self.channel.close()))
        self.assertEqual(self.peer.written(), [])

    def test_closes_of_both_sides_may_cross(self) -> None:
        """Each close is answered, and the number is free with the broker's answer, not before."""
        closed = outcome_of(self.channel.close())
        self.peer.transport.clear()
        self.close_by_broker()
        self.assertEqual(self.peer.names(), ["channel.close-ok"])
        self.assertEqual(closed, [])
        self.assertEqual(self.peer.channel().id, 2)
        self.peer.feed(method(1, "channel.close-ok"))
        self.assertEqual(closed, [None])
        self.assertEqual(self.peer.channel().id, 1)
        self.assertFalse(self.peer.leaving)

    def test_abandon_tells_the_owner_and_closes(self) -> None:
        """The owner is told the reason that was given."""
        reason = AMQPError("no use")
        given_up = outcome_of(self.channel.abandon(reason))
        self.assertEqual((self.told, self.peer.names()), ([reason], ["channel.close"]))
        self.peer.feed(method(1, "channel.close-ok"))
        self.assertEqual(given_up, [None])

    def test_cancelled_close_keeps_its_number(self) -> None:
        """A cancelled close() does not free the channel's number: the broker has yet to agree (channel.close-ok)."""
        closed = self.channel.close()
        other = outcome_of(self.channel.close())
        self.assertEqual(self.peer.names(), ["channel.close"])
        closed.cancel()
        self.failureResultOf(closed, CancelledError)
        self.assertEqual(other, [])
        self.assertEqual(self.peer.channel().id, 2)
        self.peer.feed(method(1, "channel.close-ok"))
        self.assertEqual(other, [None])
        self.assertEqual(self.peer.channel().id, 1)

    def test_close_after_abandon_fires_with_the_brokers_agreement(self) -> None:
        """close() of a channel that is being closed fires when the broker has agreed, as the first one does."""
        abandoned = outcome_of(self.channel.abandon(AMQPError("no use")))
        closed = outcome_of(self.channel.close())
        self.assertEqual((self.peer.names(), abandoned, closed), (["channel.close"], [], []))
        self.peer.feed(method(1, "channel.close-ok"))
        self.assertEqual((abandoned, closed), ([None], [None]))

    def test_delivery_acknowledgement_timeout_has_its_own_error(self) -> None:
        """RabbitMQ's 406 for a delivery that was unacked for too long is told apart from other 406s."""
        text = (
            "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. "
            "This timeout value can be configured, see consumers doc guide to learn more"
        )
        self.peer.feed(method(1, "channel.close", 406, text, 0, 0))
        self.assertIsInstance(self.told[0], DeliveryTimedOut)
        self.assertEqual(str(self.told[0]), f"406 {text}")
        self.peer.transport.clear()
        other = self.peer.channel()
        other.on_closed = self.told.append
        self.peer.feed(method(1, "channel.close", 406, "PRECONDITION_FAILED - inequivalent arg", 50, 10))
        self.assertNotIsInstance(self.told[1], DeliveryTimedOut)

    def test_close_fires_when_the_connection_is_lost(self) -> None:
        """A lost connection stands for the broker's answer."""
        closed = outcome_of(self.channel.close())
        self.peer.lose()
        self.assertEqual(closed, [None])

    def test_abandon_fires_when_its_owner_ends_the_connection(self) -> None:
        """The owner may end the connection when it is told."""
        self.channel.on_closed = lambda reason: self.peer.lose()
        self.assertIsNone(self.successResultOf(self.channel.abandon(AMQPError("no use"))))

    def test_owner_that_raises_is_logged(self) -> None:
        """The number is free all the same, and the connection goes on."""
        self.channel.on_closed = raises
        self.close_by_broker()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.peer.transport.clear()
        self.assertEqual(self.peer.channel().id, 1)

    def test_nothing_reaches_the_owner_of_a_closed_channel(self) -> None:
        """Late confirms, returns and deliveries are dropped, also one whose frames the close has parted."""
        seen: list[object] = []
        self.channel.on_return = seen.append
        self.channel.on_confirm = lambda *confirm: seen.append(confirm)
        self.channel.consume("q", seen.append, lambda: seen.append("cancelled"))
        self.peer.feed(method(1, "basic.consume-ok", "c1"))
        frames = content(1, b"abcdef", largest=3)
        self.peer.feed(method(1, "basic.return", 312, "NO_ROUTE", "", ""), *frames[:2])
        self.channel.abandon(AMQPError("no use"))
        self.peer.feed(frames[2], method(1, "basic.ack", 1, False), returned(1, b"x"), delivery(1, "c1", 1, b"x"))
        self.peer.feed(method(1, "basic.cancel", "c1", True), method(1, "channel.close-ok"))
        self.assertEqual((seen, self.peer.leaving), ([], False))

    def test_nothing_is_sent_on_a_closed_channel(self) -> None:
        """RabbitMQ ends the connection over a frame on a closed channel, so publish() raises."""
        self.close_by_broker()
        self.peer.transport.clear()
        self.assertRaises(ChannelClosed, self.channel.publish, "", "q", NO_PROPERTIES, b"x")
        self.channel.ack(1)
        self.channel.reject(1, requeue=True)
        self.assertEqual(self.peer.transport.value(), b"")


class ConsumeTests(ChannelTestCase):
    """Consumers."""

    def setUp(self) -> None:
        super().setUp()
        self.deliveries: list[Delivery] = []
        self.cancelled: list[str] = []

    def consume(self, queue: str) -> str:
        """Consume, and have the broker agree."""
        asked = self.channel.consume(queue, self.deliveries.append, lambda: self.cancelled.append(queue), no_ack=True)
        (consume,) = self.peer.written()
        self.assertEqual((consume.name, consume.args[1], consume.args[4]), ("basic.consume", queue, True))
        tag: str = consume.args[2]
        self.peer.feed(method(1, "basic.consume-ok", tag))
        self.assertEqual(self.successResultOf(asked), tag)
        return tag

    def test_each_consumer_gets_its_own_deliveries(self) -> None:
        """They are matched by consumer tag. One before consume-ok arrives; one with an unknown tag does not."""
        first, second = self.consume("a"), self.consume("b")
        self.assertNotEqual(first, second)
        others: list[Delivery] = []
        self.channel.consume("c", others.append, lambda: None)
        tags = (second, first, "c3", "c4", "é")
        self.peer.feed(*(delivery(1, tag, number, b"x") for number, tag in enumerate(tags, 1)))
        self.assertEqual([delivery.delivery_tag for delivery in self.deliveries], [1, 2])
        self.assertEqual([delivery.delivery_tag for delivery in others], [3])

    def test_consume_fails_for_a_queue_that_does_not_exist(self) -> None:
        """The consumer is forgotten."""
        asked = self.channel.consume("gone", self.deliveries.append, lambda: None)
        self.close_by_broker()
        self.assertEqual(self.failureResultOf(asked, ChannelClosed).value.code, 404)
        self.assertEqual(self.channel.consumers, 0)

    def test_cancelled_consume_is_cancelled_at_the_broker(self) -> None:
        """A cancelled consume() sends basic.cancel; deliveries until cancel-ok are requeued, not kept unacked."""
        asked = self.channel.consume("a", self.deliveries.append, lambda: self.cancelled.append("a"))
        self.peer.written()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        (cancel,) = self.peer.written()
        self.assertEqual((cancel.name, cancel.args), ("basic.cancel", ("c1", False)))
        self.peer.feed(method(1, "basic.consume-ok", "c1"), delivery(1, "c1", 1, b"x"))
        (reject,) = self.peer.written()
        self.assertEqual((reject.name, reject.args), ("basic.reject", (1, True)))
        self.peer.feed(method(1, "basic.cancel-ok", "c1"))
        self.assertEqual((self.deliveries, self.cancelled, self.channel.consumers), ([], [], 0))

    def test_cancelled_consume_without_acks_drops_deliveries(self) -> None:
        """A no_ack delivery that comes before cancel-ok is dropped: the broker has forgotten it already."""
        self.channel.consume("a", self.deliveries.append, lambda: None, no_ack=True).addErrback(lambda _: None).cancel()
        self.peer.written()
        self.peer.feed(method(1, "basic.consume-ok", "c1"), delivery(1, "c1", 1, b"x"))
        self.assertEqual((self.deliveries, self.peer.written()), ([], []))

    def test_delivers_until_the_broker_has_cancelled(self) -> None:
        """Late deliveries come until cancel-ok; then the consumer is gone."""
        tag = self.consume("a")
        stopped = outcome_of(self.channel.cancel_consumer(tag))
        self.assertEqual(self.peer.names(), ["basic.cancel"])
        self.peer.feed(delivery(1, tag, 1, b"x"), method(1, "basic.cancel-ok", tag), delivery(1, tag, 2, b"x"))
        self.assertEqual((stopped, len(self.deliveries), self.cancelled), ([None], 1, []))

    def test_cancelled_wait_for_a_cancellation_forgets_the_consumer(self) -> None:
        """The consumer is gone with cancel-ok, also when the Deferred of cancel_consumer() was cancelled before."""
        tag = self.consume("a")
        stopped = self.channel.cancel_consumer(tag)
        stopped.cancel()
        self.failureResultOf(stopped, CancelledError)
        self.peer.feed(delivery(1, tag, 1, b"x"), method(1, "basic.cancel-ok", tag))
        self.assertEqual((len(self.deliveries), self.channel.consumers), (1, 0))

    def test_tells_the_owner_that_the_broker_has_cancelled(self) -> None:
        """The owner is told once. basic.cancel is answered unless nowait (txAMQP closes the connection)."""
        first, _ = self.consume("a"), self.consume("b")
        self.peer.feed(method(1, "basic.cancel", first, True), method(1, "basic.cancel", first, True))
        self.assertEqual((self.cancelled, self.peer.written()), (["a"], []))
        self.peer.feed(method(1, "basic.cancel", "c2", False), method(1, "basic.cancel", "ünknown", False))
        self.assertEqual(self.cancelled, ["a", "b"])
        self.assertEqual([written.args for written in self.peer.written()], [("c2",), ("ünknown",)])

    def test_consumer_that_raises_is_logged(self) -> None:
        """Errors of a consumer or its owner are logged; deliveries and connection go on."""
        self.channel.consume("a", raises, raises)
        self.peer.feed(method(1, "basic.consume-ok", "c1"), delivery(1, "c1", 1, b"x"), delivery(1, "c1", 2, b"x"))
        self.peer.feed(method(1, "basic.cancel", "c1", True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        self.assertFalse(self.peer.leaving)

    def test_consumer_may_close_its_channel(self) -> None:
        """The rest of the bytes at hand is dropped."""

        def consumer(delivery: Delivery) -> None:
            self.deliveries.append(delivery)
            self.channel.close()

        self.channel.consume("a", consumer, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"), delivery(1, "c1", 1, b"x") * 2 + b"\x01")
        self.assertEqual((len(self.deliveries), self.peer.leaving), (1, False))

    def test_consumer_may_lose_the_connection(self) -> None:
        """The rest of the bytes at hand is dropped."""

        def consumer(delivery: Delivery) -> None:
            self.deliveries.append(delivery)
            self.peer.lose()

        self.channel.consume("a", consumer, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"), delivery(1, "c1", 1, b"x") * 2 + b"\x01")
        self.assertEqual(len(self.deliveries), 1)

    def test_consumer_may_end_the_connection(self) -> None:
        """The rest of the bytes at hand is dropped, and no fault is found in it."""
        logged: list[LogEvent] = []
        note = cast(ILogObserver, logged.append)
        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

        def consumer(delivery: Delivery) -> None:
            self.deliveries.append(delivery)
            self.peer.connection.hang_up(AMQPError("enough"))

        self.channel.consume("a", consumer, lambda: None).addErrback(lambda failure: None)
        self.peer.feed(b"".join(delivery(1, "c1", tag, b"x") for tag in (1, 2, 3)))
        self.assertEqual(([each.delivery_tag for each in self.deliveries], logged), ([1], []))
        self.assertEqual(str(self.peer.reason), "enough")


class PublishTests(ChannelTestCase):
    """Publishing, acknowledging, confirms and returns."""

    def test_publishes_the_frames_of_the_specification(self) -> None:
        """The length of a name that is not ASCII is counted in bytes."""
        self.channel.publish("ex", "é", b"\x80\x00\x02ab", b"body", mandatory=True)
        self.assertEqual(
            self.peer.transport.value(),
            b"\x01\x00\x01\x00\x00\x00\x0d\x00\x3c\x00\x28\x00\x00\x02ex\x02\xc3\xa9\x01\xce"
            b"\x02\x00\x01\x00\x00\x00\x11\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x80\x00\x02ab\xce"
            b"\x03\x00\x01\x00\x00\x00\x04body\xce",
        )

    def test_publishes_in_one_write(self) -> None:
        """A message of any size is one write. The transport joins the parts of a large one."""
        writes: list[Any] = []
        connection: Any = self.peer.connection
        connection.write = writes.append
        connection.transport.writeSequence = writes.append
        for size in (0, 1, 4088, 4089, 20_000):
            self.channel.publish("", "q", NO_PROPERTIES, b"x" * size)
        self.assertEqual([type(written) for written in writes], [bytes, bytes, bytes, list, list])

    def test_keeps_the_order_of_small_and_large_messages(self) -> None:
        """A large message comes behind earlier output of the same pass, and before later output."""
        bodies = [b"a", b"b" * 20_000, b"c"]

        def answer(delivery: Delivery) -> None:
            for body in bodies:
                self.channel.publish("", "q", NO_PROPERTIES, body)

        self.channel.consume("q", answer, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"))
        self.peer.transport.clear()
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        sizes = [int.from_bytes(frame.payload[4:12], "big") for frame in self.peer.written() if frame.kind == 2]
        self.assertEqual(sizes, [1, 20_000, 1])

    def test_cuts_bodies_to_frames(self) -> None:
        """No frame is larger than frame_max, none is empty, and together they are the body."""
        for size in (0, 1, 4087, 4088, 4089, 8176, 8177, 100_000):
            body = bytes(index % 251 for index in range(size))
            self.channel.publish("", "q", NO_PROPERTIES, body)
            publish, header, *pieces = self.peer.written()
            self.assertEqual((publish.name, publish.args), ("basic.publish", (0, "", "q", False, False)))
            self.assertEqual(header.payload, b"\x00\x3c\x00\x00" + size.to_bytes(8, "big") + NO_PROPERTIES)
            self.assertEqual(b"".join(piece.payload for piece in pieces), body)
            self.assertTrue(all(0 < len(piece.payload) <= 4088 for piece in pieces))

    def test_refuses_messages_that_cannot_be_sent(self) -> None:
        """A name over 255 bytes, or properties over a frame, raise. Nothing is written; the next is sent."""
        self.assertRaises(CodecError, self.channel.publish, "x" * 256, "q", NO_PROPERTIES, b"")
        self.assertRaises(CodecError, self.channel.publish, "", "é" * 128, NO_PROPERTIES, b"")
        self.assertRaises(CodecError, self.channel.publish, "", "q", b"x" * 4077, b"")
        self.assertRaises(TypeError, self.channel.publish, "", "q", NO_PROPERTIES, "text")
        self.assertEqual(self.peer.transport.value(), b"")
        self.channel.publish("", "q", b"\x00\x00" + b"x" * 4074, b"")
        self.assertEqual(len(self.peer.written()), 2)

    def test_keeps_a_bounded_number_of_routes(self) -> None:
        """Routes differ by exchange, key and mandatory, and no number of keys fills the memory."""
        for number in range(5000):
            self.channel.publish("", f"reply-{number}", NO_PROPERTIES, b"")
        self.assertLess(self.channel.routes, 2000)
        self.peer.transport.clear()
        for exchange, key, mandatory in (("a", "b", False), ("a", "b", True), ("b", "a", False), ("a", "b", False)):
            self.channel.publish(exchange, key, NO_PROPERTIES, b"", mandatory)
            self.assertEqual(self.peer.written()[0].args, (0, exchange, key, mandatory, False))

    def test_acks_and_rejects(self) -> None:
        """Ack and reject are the specification's frames."""
        self.channel.ack(2**40)
        self.channel.ack(7, multiple=True)
        self.channel.reject(8, requeue=True)
        self.channel.reject(9, requeue=False)
        said = [(written.name, written.args) for written in self.peer.written()]
        self.assertEqual(said[:2], [("basic.ack", (2**40, False)), ("basic.ack", (7, True))])
        self.assertEqual(said[2:], [("basic.reject", (8, True)), ("basic.reject", (9, False))])

    def test_hands_on_confirms(self) -> None:
        """The broker's acks and nacks reach the owner (txAMQP closes the connection)."""
        self.peer.feed(method(1, "basic.ack", 1, False))  # without an owner to tell
        seen: list[tuple[int, bool, bool]] = []
        self.channel.on_confirm = lambda *confirm: seen.append(confirm)
        self.peer.feed(method(1, "basic.ack", 2, True), method(1, "basic.nack", 3, False, True))
        self.assertEqual(seen, [(2, True, True), (3, False, False)])

    def test_confirm_handler_that_raises_is_logged(self) -> None:
        """The connection goes on."""
        self.channel.on_confirm = lambda tag, multiple, acknowledged: [][tag]
        self.peer.feed(method(1, "basic.ack", 1, False))
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)
        self.assertFalse(self.peer.leaving)

    def test_hands_on_returns(self) -> None:
        """A return comes with code, text, route and its whole body. Without an owner it is dropped."""
        self.peer.feed(returned(1, b"unheard"))
        seen: list[Returned] = []
        self.channel.on_return = seen.append
        self.peer.feed(returned(1, b"", properties=b"\x80\x00\x02ab"), returned(1, b"\xff" * 9000))
        self.assertEqual([(each.reply_code, each.reply_text) for each in seen], [(312, "NO_ROUTE")] * 2)
        self.assertEqual((seen[0].exchange, seen[0].routing_key), ("exchange", "key"))
        self.assertEqual(seen[0].properties.content_type, "ab")
        self.assertEqual([each.body for each in seen], [b"", b"\xff" * 9000])
