"""Questions about the queues of a service; the test plays the broker."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.queue_migration import Migration
from rpc.errors import ChannelClosed
from tests.unit.amqp.peer import Peer, method

UNAVAILABLE = (
    "NOT_FOUND - home node 'rabbit@a' of durable queue 'q' in vhost '/' is down or inaccessible",
    "NOT_FOUND - failed to perform operation on queue 'q' in vhost '/' due to timeout",  # RabbitMQ 4
)
"""RabbitMQ's words for a queue that it cannot reach. They have the code of a missing queue."""

MISSING = "NOT_FOUND - no queue 'q' in vhost '/'"


class ReadyMessagesTests(SynchronousTestCase):
    """The number of ready messages."""

    def count(self, refusal: str) -> Deferred[int | None]:
        """Return the number of a migration whose broker answers with a 404."""
        peer = Peer().open()
        migration = Migration(peer.clock, peer.connection, peer.connection, "Calculator", 1.0)
        counting = Deferred.fromCoroutine(migration.count("q"))
        peer.feed(method(1, "channel.open-ok", b""))
        peer.feed(method(1, "channel.close", 404, refusal, 50, 10))
        return counting

    def test_a_missing_queue_has_none(self) -> None:
        self.assertIsNone(self.successResultOf(self.count(MISSING)))

    def test_a_queue_that_is_out_of_reach_is_not_missing(self) -> None:
        """A migration would declare another queue instead of it."""
        for words in UNAVAILABLE:
            with self.subTest(words):
                self.assertIn(words, str(self.failureResultOf(self.count(words), ChannelClosed).value))
