"""Reading a queue whose broker counts otherwise than it delivers."""

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
        """The broker says how many letters wait."""
        self.assertEqual(self.peer.names(), ["queue.declare"])
        self.peer.feed(method(1, "queue.declare-ok", QUEUE, count, 0))

    def deliver(self, *numbers: int) -> None:
        """Letters come."""
        for number in numbers:
            self.peer.feed(delivery(1, self.tag, number, b"x" * number))

    def pause(self) -> None:
        """Nothing comes for a while."""
        self.peer.clock.advance(QUIET_SECONDS)

    def sizes(self) -> list[int]:
        """What was read."""
        return [letter.size for letter in self.successResultOf(self.reading)]

    def test_all(self) -> None:
        """Those that come after as many as were counted are not of this look; nothing is acked."""
        self.deliver(1, 2, 3, 4)
        self.assertEqual(self.sizes(), [1, 2, 3])
        self.assertEqual(self.peer.names(), [])

    def test_fewer(self) -> None:
        """The broker is asked twice whether there are more: the first answer may overtake letters."""
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

    def test_broker_that_sends_none(self) -> None:
        """It says that there are more and sends none: an end to that."""
        for _ in range(LOOKS):
            self.assertNoResult(self.reading)
            self.pause()
            self.answer(3)
        self.assertIn("3 letters", str(self.failureResultOf(self.reading, AMQPError).value))

    def test_slow_broker(self) -> None:
        """As long as letters come, however slowly, it goes on."""
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

    def test_lost(self) -> None:
        """A lost connection is told when the broker would have been asked."""
        self.deliver(1)
        self.peer.lose()
        self.pause()
        self.pause()
        self.failureResultOf(self.reading, ConnectionClosed)

    def test_deleted(self) -> None:
        """So is a queue that somebody deletes."""
        self.peer.feed(method(1, "basic.cancel", self.tag, True))
        self.pause()
        self.assertIn("was deleted", str(self.failureResultOf(self.reading, AMQPError).value))
