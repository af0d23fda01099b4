"""Publishing with confirms; the test plays the broker."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.confirmed import ConfirmedPublisher, NotPublished, NotPublishedCause
from rpc.errors import AMQPError
from rpc.messages import Properties
from tests.unit.amqp.peer import Peer, content, method


class ConfirmedPublisherTests(SynchronousTestCase):
    """Each message's Deferred fires when the broker has settled it."""

    def setUp(self) -> None:
        self.peer = Peer().open()
        self.unknown: list[bool] = []
        self.publisher = ConfirmedPublisher(self.peer.channel(), lambda: self.unknown.append(True))

    def publish(self, body: bytes) -> Deferred[None]:
        """Publish a message to the queue q."""
        return self.publisher.publish("", "q", encode_properties(Properties()), body)

    def return_message(self, body: bytes, properties: bytes) -> None:
        """Have the broker return a message of the queue q."""
        begin = method(1, "basic.return", 312, "NO_ROUTE", "", "q")
        self.peer.feed(begin, *content(1, body, properties=properties))

    def cause(self, published: Deferred[None]) -> NotPublishedCause:
        """Return why a message was not published."""
        error = self.failureResultOf(published, NotPublished).value
        assert isinstance(error, NotPublished)
        return error.cause

    def test_fires_when_the_broker_confirms(self) -> None:
        """One message or several at once."""
        first, second, third = self.publish(b"1"), self.publish(b"2"), self.publish(b"3")
        self.peer.feed(method(1, "basic.ack", 2, False))
        self.successResultOf(second)
        self.assertNoResult(first)
        self.assertEqual(len(self.publisher), 2)
        self.peer.feed(method(1, "basic.ack", 3, True))
        self.successResultOf(first)
        self.successResultOf(third)

    def test_fails_a_message_that_the_broker_nacks(self) -> None:
        """The queue is full, for example."""
        published = self.publish(b"1")
        self.peer.feed(method(1, "basic.nack", 1, False, False))
        self.assertIs(self.cause(published), NotPublishedCause.NACKED)

    def test_fails_the_message_that_the_broker_returns(self) -> None:
        """Its confirm, which comes next, settles nothing."""
        first, second = self.publish(b"1"), self.publish(b"2")
        self.return_message(b"2", encode_properties(Properties()))
        self.assertIs(self.cause(second), NotPublishedCause.RETURNED)
        self.peer.feed(method(1, "basic.ack", 2, True))
        self.successResultOf(first)

    def test_finds_a_returned_message_by_sorted_headers(self) -> None:
        """RabbitMQ 4.0 sorts the headers of a message that it returns. The others are not taken for returned."""
        sent = [{"b": 1, "a": number} for number in (1, 2, 3)]
        published = [
            self.publisher.publish("", "q", encode_properties(Properties(headers=headers)), b"1") for headers in sent
        ]
        self.return_message(b"1", encode_properties(Properties(headers={"a": 2, "b": 1})))
        self.assertIs(self.cause(published[1]), NotPublishedCause.RETURNED)
        self.peer.feed(method(1, "basic.ack", 3, True))
        self.successResultOf(published[0])
        self.successResultOf(published[2])

    def test_finds_a_returned_message_with_further_headers(self) -> None:
        """The broker may add some (RabbitMQ documentation, "Message Interceptors")."""
        other = self.publisher.publish("", "q", encode_properties(Properties(message_id="m")), b"1")
        published = self.publish(b"1")
        self.return_message(b"1", encode_properties(Properties(headers={"added": "by the broker"})))
        self.assertIs(self.cause(published), NotPublishedCause.RETURNED)
        self.assertNoResult(other)

    def test_finds_a_returned_message_with_a_further_property(self) -> None:
        """An interceptor may set the timestamp."""
        other = self.publisher.publish("", "q", encode_properties(Properties(message_id="m")), b"1")
        published = self.publish(b"1")
        self.return_message(b"1", encode_properties(Properties(timestamp=5)))
        self.assertIs(self.cause(published), NotPublishedCause.RETURNED)
        self.assertNoResult(other)

    def test_finds_a_returned_message_with_changed_headers(self) -> None:
        """Then the first with the same body is it: a message that no queue has must not count as published."""
        first, second = (
            self.publisher.publish("", "q", encode_properties(Properties(headers={"a": number})), b"1")
            for number in (1, 2)
        )
        self.return_message(b"1", encode_properties(Properties(headers={"a": "1"})))
        self.assertIs(self.cause(first), NotPublishedCause.RETURNED)
        self.assertNoResult(second)

    def test_reports_a_return_of_an_unknown_message(self) -> None:
        """Its confirm comes next."""
        published = self.publish(b"1")
        self.return_message(b"2", encode_properties(Properties()))
        self.assertEqual(self.unknown, [True])
        self.peer.feed(method(1, "basic.ack", 1, False))
        self.successResultOf(published)

    def test_fails_what_is_unconfirmed_when_the_channel_is_lost(self) -> None:
        """It may be in a queue nevertheless."""
        published = self.publish(b"1")
        self.publisher.lost(AMQPError("gone"))
        self.assertIs(self.cause(published), NotPublishedCause.LOST)
