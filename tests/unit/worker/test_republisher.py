"""Confirmed messages of a worker: copies of requests, dead letters, late replies."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import decode_properties, encode_properties
from rpc.amqp.confirmed import NotPublished, NotPublishedCause
from rpc.errors import CodecError
from rpc.messages import Properties
from rpc.topology import ServiceTopology
from rpc.worker.republisher import PROBE, Republisher
from tests.unit.wire import Published, Wire


class RepublisherTests(SynchronousTestCase):
    """One republisher, and its channel."""

    def setUp(self) -> None:
        self.wire = Wire()
        self.republisher = Republisher()

    def publish(self, body: bytes = b"body") -> Deferred[None]:
        """Publish a message."""
        return self.republisher.publish("rpc.dead", "S", encode_properties(Properties(message_id="m")), body)

    def test_fires_when_the_broker_confirms_and_fails_when_it_refuses(self) -> None:
        """It fires when the broker has confirmed the message, and fails when it has refused it."""
        self.wire.open(self.republisher)
        first, second = self.publish(), self.publish()
        published = self.wire.take()
        self.assertEqual([(each.exchange, each.routing_key) for each in published], [("rpc.dead", "S")] * 2)
        self.assertNoResult(first)
        self.wire.confirm(1)
        self.wire.confirm(2, refuse=True)
        self.assertIsNone(self.successResultOf(first))
        self.failureResultOf(second, NotPublished)

    def test_waits_for_a_channel_when_there_is_none(self) -> None:
        """Without a channel it waits for one."""
        published = self.publish()
        self.wire.open(self.republisher)
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.confirm(1)
        self.successResultOf(published)

    def test_fails_what_is_not_confirmed_when_the_channel_is_lost(self) -> None:
        """Unconfirmed messages fail with the channel. The next channel counts from 1 again."""
        self.wire.open(self.republisher)
        lost = self.publish()
        self.wire.close_channel()
        self.failureResultOf(lost, NotPublished)
        waiting = self.publish()
        self.republisher.lost(RuntimeError("the connection as well"))
        self.failureResultOf(waiting, NotPublished)
        self.wire.open(self.republisher)
        published = self.publish()
        self.wire.take()
        self.wire.confirm(1)
        self.successResultOf(published)

    def test_a_message_on_a_channel_that_has_just_ended_waits_for_the_next(self) -> None:
        """On a channel that has ended, and has not been reported yet, a message waits for the next one."""
        self.wire.open(self.republisher)
        self.wire.channel.on_closed = None
        self.wire.close_channel()
        published = self.publish()
        self.assertNoResult(published)
        self.wire.open(self.republisher)
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.confirm(1)
        self.assertIsNone(self.successResultOf(published))

    def test_fails_a_message_that_no_queue_takes_whatever_its_confirm_says(self) -> None:
        """A returned message fails, although the broker confirms it as well. Others succeed."""
        self.wire.open(self.republisher)
        published = [self.publish(b"one"), self.publish(b"two"), self.publish(b"two")]
        self.wire.give_back(self.wire.take()[1])
        self.wire.confirm(3, multiple=True)
        self.assertIsNone(self.successResultOf(published[0]))
        self.assertIs(self.failureResultOf(published[1], NotPublished).value.cause, NotPublishedCause.RETURNED)
        self.assertIsNone(self.successResultOf(published[2]))

    def test_refuses_properties_that_fit_into_no_frame(self) -> None:
        """Properties that fit into no frame are refused: at once on a channel, and when it opens otherwise."""
        large = encode_properties(Properties(headers={"a": "x" * 200_000}))
        waiting = self.republisher.publish("rpc.dead", "S", large, b"")
        self.wire.open(self.republisher)
        self.failureResultOf(waiting, CodecError)
        with self.assertRaises(CodecError):
            self.republisher.publish("rpc.dead", "S", large, b"")

    def test_declares_the_queue_that_is_not_there_and_publishes_again(self) -> None:
        """Dead letters and quarantine have no queue before they need one."""
        self.wire.open(self.republisher)
        declarations = ServiceTopology("S").dead_letters()
        published = self.republisher.publish("rpc.dead", "S", b"\0\0", b"body", declarations)
        (first,) = self.wire.take()
        self.wire.methods.clear()
        self.wire.give_back(first)
        self.wire.confirm(1)
        self.wire.answer()
        names = [name for name, _ in self.wire.methods if not name.startswith("channel.")]
        self.assertEqual(names, ["exchange.declare", "queue.declare", "queue.bind"])
        self.assertEqual(self.wire.take(), [first])
        self.assertNoResult(published)
        self.wire.confirm(2)
        self.assertIsNone(self.successResultOf(published))

    def test_finds_out_whether_a_queue_exists_without_an_error_of_the_channel(self) -> None:
        """By a message that expires at once: returned, there is none."""
        self.wire.open(self.republisher)
        there, missing = self.republisher.exists("a"), self.republisher.exists("b")
        self.wire.answer()
        self.assertEqual(self.wire.about_quarantine, [("", "a"), ("", "b")])
        self.wire.give_back(Published("", "b", True, decode_properties(PROBE), b""))
        self.wire.give_back(Published("", "a", True, decode_properties(PROBE), b"other"))
        self.wire.confirm(2, multiple=True)
        self.assertIs(self.successResultOf(there), True)
        self.assertIs(self.successResultOf(missing), False)
