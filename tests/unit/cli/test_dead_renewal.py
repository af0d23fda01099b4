"""Replacing dead letters by copies: the letters are acked one by one, and a lost channel ends it."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import encode_properties
from rpc.cli.dead_renewal import renew
from rpc.errors import AMQPError
from rpc.messages import Properties
from tests.unit.amqp.peer import Peer, method
from tests.unit.cli.dead_support import QUEUE, DeadQueue

PUBLISHING = 2
"""The number of the channel on which copies are published. The first one asks for our user."""


class RenewalTests(SynchronousTestCase):
    """A queue with three letters that were delivered often."""

    def setUp(self) -> None:
        self.peer = Peer().open()
        self.queue = DeadQueue(self.peer, 1, 2, 3)
        self.queue.properties = encode_properties(Properties(headers={"x-delivery-count": 12}))
        connection = self.peer.connection
        self.renewing: Deferred[None] = Deferred.fromCoroutine(renew(self.peer.clock, connection, connection, [QUEUE]))
        self.queue.serve()

    def test_a_letter_is_acked_when_its_copy_is_confirmed(self) -> None:
        self.assertEqual((self.queue.published, len(self.queue.unacked)), (1 + 3, 3))  # the first asks for our user
        self.peer.feed(method(PUBLISHING, "basic.ack", 3, True))
        self.queue.serve()
        self.successResultOf(self.renewing)
        self.assertEqual((self.queue.ready, self.queue.unacked), ([], {}))

    def test_it_ends_when_the_channel_of_the_copies_is_lost(self) -> None:
        """The letters whose copies are not confirmed stay."""
        self.peer.feed(method(PUBLISHING, "basic.ack", 1, False))
        self.peer.feed(method(PUBLISHING, "channel.close", 406, "PRECONDITION_FAILED", 60, 40))
        self.queue.serve()
        self.failureResultOf(self.renewing, AMQPError)
        self.assertEqual(sorted(self.queue.ready), [2, 3])

    def test_a_copy_that_is_refused_does_not_keep_the_others_from_being_acked(self) -> None:
        """Otherwise their letters would be in the queue twice."""
        self.peer.feed(method(PUBLISHING, "basic.nack", 1, False, False))
        self.queue.serve()
        self.peer.feed(method(PUBLISHING, "basic.ack", 3, True))
        self.queue.serve()
        self.failureResultOf(self.renewing, AMQPError)
        self.assertEqual(self.queue.ready, [1])
