"""Reading a queue whose broker delivers fewer letters than it counts."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.dead_letters import LOOKS, QUIET_SECONDS, DeadLetters, Letter
from rpc.errors import AMQPError, ConnectionClosed
from tests.unit.amqp.peer import Peer, delivery, method

QUEUE = "rpc.Calculator.dead"


class ReadingTests(SynchronousTestCase):
    """The broker has counted three letters."""

    def setUp(self) -> None:
        self.peer = Peer().open()
        self.channel = self.peer.channel()
        dead = DeadLetters(self.peer.clock, self.channel, QUEUE)
        self.reading: Deferred[list[Letter]] = Deferred.fromCoroutine(dead.read(lambda _: False))
        self.answer(3)
        self.assertEqual(self.peer.names(), ["basic.qos"])
        self.peer.feed(method(1, "basic.qos-ok"))
        (consume,) = self.peer.written()
        self.assertEqual(consume.name, "basic.consume")
        self.tag: Any = consume.args[2]
        self.peer.feed(method(1, "basic.consume-ok", self.tag))

    def answer(self, count: int) -> None:
        """Answer a count with this number of letters."""
        self.assertEqual(self.peer.names(), ["queue.declare"])
        self.peer.feed(method(1, "queue.declare-ok", QUEUE, count, 0))

    def deliver(self, *numbers: int) -> None:
        """Deliver letters."""
        for number in numbers:
            self.peer.feed(delivery(1, self.tag, number, b"x" * number))

    def pause(self) -> None:
        """Deliver no letter for the time after which the queue is counted again."""
        self.peer.clock.advance(QUIET_SECONDS)

    def sizes(self) -> list[int]:
        """Return the sizes of the letters that were read."""
        return [letter.size for letter in self.successResultOf(self.reading)]

    def test_reads_as_many_letters_as_were_counted(self) -> None:
        """A letter that arrives later is not read. None is acked."""
        self.deliver(1, 2, 3, 4)
        self.assertEqual(self.sizes(), [1, 2, 3])
        self.assertEqual(self.peer.names(), [])

    def test_ends_after_two_counts_of_zero(self) -> None:
        """The first answer may overtake letters in transit."""
        self.deliver(1)
        self.pause()
        self.pause()
        self.answer(0)
        self.deliver(2)
        self.pause()
        self.pause()
        self.answer(0)
        self.pause()
        self.assertNoResult(self.reading)
        self.answer(0)
        self.assertEqual(self.sizes(), [1, 2])

    def test_fails_when_the_broker_counts_letters_but_delivers_none(self) -> None:
        """After a number of counts."""
        for _ in range(LOOKS):
            self.assertNoResult(self.reading)
            self.pause()
            self.answer(3)
        self.assertIn("3 letters", str(self.failureResultOf(self.reading, AMQPError).value))

    def test_reads_on_while_letters_arrive_slowly(self) -> None:
        """A letter starts the counting of counts anew."""
        for _ in range(LOOKS - 1):
            self.pause()
            self.answer(3)
        self.deliver(1)
        self.pause()
        for _ in range(LOOKS - 1):
            self.pause()
            self.answer(2)
        self.deliver(2, 3)
        self.assertEqual(self.sizes(), [1, 2, 3])

    def test_fails_when_the_connection_is_lost(self) -> None:
        """At the next count."""
        self.deliver(1)
        self.peer.lose()
        self.pause()
        self.pause()
        self.failureResultOf(self.reading, ConnectionClosed)

    def test_fails_when_the_queue_is_deleted(self) -> None:
        """The broker cancels the consumer."""
        self.peer.feed(method(1, "basic.cancel", self.tag, True))
        self.pause()
        self.assertIn("was deleted", str(self.failureResultOf(self.reading, AMQPError).value))
