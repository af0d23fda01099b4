"""Messages put elsewhere, with the broker's word that they are there."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import encode_properties
from rpc.errors import CodecError
from rpc.messages import Properties
from rpc.worker.republisher import Mover, NotMoved
from tests.unit.wire import Wire


class MovingTests(SynchronousTestCase):
    """One mover, and its channel."""

    def setUp(self) -> None:
        self.wire = Wire()
        self.mover = Mover()

    def move(self, body: bytes = b"body") -> Deferred[None]:
        """Move a message."""
        return self.mover.move("rpc.dead", "S", encode_properties(Properties(message_id="m")), body)

    def test_confirmed(self) -> None:
        """It fires when the broker has confirmed the message, and fails when it has refused it."""
        self.wire.open(self.mover)
        first, second = self.move(), self.move()
        published = self.wire.take()
        self.assertEqual([(each.exchange, each.routing_key) for each in published], [("rpc.dead", "S")] * 2)
        self.assertNoResult(first)
        self.wire.confirm(1)
        self.wire.confirm(2, refuse=True)
        self.assertIsNone(self.successResultOf(first))
        self.failureResultOf(second, NotMoved)

    def test_waits_for_a_channel(self) -> None:
        """Without a channel it waits for one."""
        moved = self.move()
        self.wire.open(self.mover)
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.confirm(1)
        self.successResultOf(moved)

    def test_lost(self) -> None:
        """What was not confirmed when the channel is lost has failed; the next channel counts from 1 again."""
        self.wire.open(self.mover)
        lost = self.move()
        self.wire.close_channel()
        self.failureResultOf(lost, NotMoved)
        waiting = self.move()
        self.mover.lost(RuntimeError("the connection as well"))
        self.failureResultOf(waiting, NotMoved)
        self.wire.open(self.mover)
        moved = self.move()
        self.wire.take()
        self.wire.confirm(1)
        self.successResultOf(moved)

    def test_closed_just_now(self) -> None:
        """On a channel that has ended, and has not been reported yet, a message waits for the next one."""
        self.wire.open(self.mover)
        self.wire.channel.on_closed = None
        self.wire.close_channel()
        moved = self.move()
        self.assertNoResult(moved)
        self.wire.open(self.mover)
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.confirm(1)
        self.assertIsNone(self.successResultOf(moved))

    def test_no_queue(self) -> None:
        """A message that no queue takes is not there, whatever its confirm says; others are."""
        self.wire.open(self.mover)
        moves = [self.move(b"one"), self.move(b"two"), self.move(b"two")]
        self.wire.give_back(self.wire.take()[1])
        self.wire.confirm(3, multiple=True)
        self.assertIsNone(self.successResultOf(moves[0]))
        self.assertTrue(self.failureResultOf(moves[1], NotMoved).value.refused)
        self.assertIsNone(self.successResultOf(moves[2]))

    def test_too_large(self) -> None:
        """Properties that fit into no frame are refused: at once on a channel, and when it opens otherwise."""
        large = encode_properties(Properties(headers={"a": "x" * 200_000}))
        waiting = self.mover.move("rpc.dead", "S", large, b"")
        self.wire.open(self.mover)
        self.failureResultOf(waiting, CodecError)
        with self.assertRaises(CodecError):
            self.mover.move("rpc.dead", "S", large, b"")
