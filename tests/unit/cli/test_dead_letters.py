"""Reading the queue of dead letters in rounds, removing letters and putting others back."""

from __future__ import annotations

from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.dead_letters import LARGEST_ROUND, LOOKS, QUIET_SECONDS, ROUND_BYTES, DeadLetters, Letter
from rpc.errors import AMQPError, ConnectionClosed
from tests.unit.amqp.peer import Peer, method
from tests.unit.cli.dead_support import QUEUE, DeadQueue


class DeadLettersTestCase(SynchronousTestCase):
    """A queue with letters, each of another size."""

    def have(self, *sizes: int) -> None:
        """Let the queue have letters of these sizes."""
        self.peer = Peer().open()
        self.dead = DeadLetters(self.peer.clock, self.peer.channel(), QUEUE)
        self.queue = DeadQueue(self.peer, *sizes)

    def begin(self) -> Deferred[list[Letter]]:
        """Begin to read a round."""
        reading = Deferred.fromCoroutine(self.dead.next_round())
        self.queue.serve()
        return reading

    def done(self, working: Any) -> Any:
        """Return the result of a coroutine."""
        deferred = Deferred.fromCoroutine(working)
        self.queue.serve()
        return self.successResultOf(deferred)

    def read(self) -> list[Letter]:
        """Read all letters."""
        letters = []
        while found := self.successResultOf(self.begin()):
            letters += found
        return letters


class RoundTests(DeadLettersTestCase):
    """Letters come in rounds."""

    def test_reads_all_letters_in_their_order(self) -> None:
        self.have(*range(1, 100))
        letters = self.read()
        self.assertEqual([letter.size for letter in letters], list(range(1, 100)))
        self.assertEqual([letter.number for letter in letters], list(range(1, 100)))
        self.assertEqual((self.dead.count, self.dead.read, self.dead.unread), (99, 99, 0))
        self.assertEqual(len(self.queue.unacked), 99)

    def test_rounds_grow_while_letters_are_small(self) -> None:
        self.have(*[1] * 20_000)
        self.read()
        self.assertEqual(self.queue.rounds, [4, 16, 64, 256, 1024, 4096, LARGEST_ROUND, 6348])

    def test_a_round_of_large_letters_has_no_more_bytes_than_memory_is_for(self) -> None:
        large = ROUND_BYTES // 3
        self.have(1, large, *[1] * 7)
        self.read()
        self.assertEqual(self.queue.rounds, [4, 3, 2])

    def test_a_letter_larger_than_a_round_is_read_alone(self) -> None:
        self.have(1, 1, 1, ROUND_BYTES + 1, 1, 1)
        self.read()
        self.assertEqual(self.queue.rounds, [4, 1, 1])

    def test_one_consumer_is_left_so_that_the_queue_never_looks_free(self) -> None:
        self.have(*range(1, 10))
        for running in (1, 1, 1):
            self.begin()
            self.assertEqual(len(self.queue.running), running)

    def test_a_letter_that_arrives_after_the_count_is_not_read(self) -> None:
        self.have(1, 2)
        letters = self.successResultOf(self.begin())
        self.queue.ready.append(3)
        self.dead.remove(letters)
        self.done(self.dead.removed())
        self.assertEqual(self.read(), [])
        self.done(self.dead.put_back())
        self.assertEqual(([*self.queue.ready, *self.queue.unacked.values()]), [3])

    def test_an_empty_queue_gets_no_consumer(self) -> None:
        self.have()
        self.assertEqual((self.read(), self.queue.rounds), ([], []))

    def test_refuses_a_queue_with_a_consumer(self) -> None:
        self.have(1)
        self.queue.others = 1
        error = self.failureResultOf(self.begin(), click.ClickException).value
        self.assertIn("read by another program", error.message)
        self.assertEqual(self.queue.rounds, [])

    def test_refuses_when_another_program_began_at_the_same_time(self) -> None:
        """It had no consumer at the first look."""
        self.have(1)
        self.done(self.dead.look())
        self.queue.others = 1
        error = self.failureResultOf(self.begin(), click.ClickException).value
        self.assertIn("read by another program", error.message)


class RemovingTests(DeadLettersTestCase):
    """Letters are acked, and the others put back."""

    def test_removed_letters_are_acked_and_the_others_are_put_back_in_order(self) -> None:
        self.have(*range(1, 30))
        letters = self.read()
        self.dead.remove(letters[2:20:3])
        self.done(self.dead.removed())
        removed = [letter.size for letter in letters[2:20:3]]
        left = [size for size in range(1, 30) if size not in removed]
        self.assertEqual(list(self.queue.unacked.values()), left)
        self.done(self.dead.put_back())
        self.assertEqual((self.queue.ready, self.queue.unacked, self.queue.running), (left, {}, []))

    def test_letters_are_removed_while_others_are_not_yet_read(self) -> None:
        self.have(*range(1, 30))
        while letters := self.successResultOf(self.begin()):
            self.dead.remove(letters)
        self.done(self.dead.removed())
        self.assertEqual((self.queue.ready, self.queue.unacked), ([], {}))

    def test_all_letters_of_a_round_are_removed_with_one_ack(self) -> None:
        self.have(*[1] * 4)
        self.dead.remove(self.read())
        ended = Deferred.fromCoroutine(self.dead.removed())
        self.assertEqual([frame.args for frame in self.peer.written() if frame.name == "basic.ack"], [(4, True)])
        self.assertNoResult(ended)

    def test_removed_waits_for_two_answers_of_the_queue(self) -> None:
        self.have(1)
        self.dead.remove(self.read())
        self.done(self.dead.removed())
        self.assertEqual(self.queue.rounds[1:], [1, 1])

    def test_nothing_is_requeued_when_all_is_removed(self) -> None:
        """RabbitMQ would close the channel (406)."""
        self.have(*[1] * 9)
        self.dead.remove(self.read())
        self.done(self.dead.removed())
        self.done(self.dead.put_back())
        self.assertEqual((self.queue.ready, self.queue.unacked), ([], {}))

    def test_removed_fails_when_the_channel_is_lost(self) -> None:
        self.have(1)
        self.dead.remove(self.read())
        removed = Deferred.fromCoroutine(self.dead.removed())
        self.peer.lose()
        self.failureResultOf(removed, ConnectionClosed)


class WaitingTests(DeadLettersTestCase):
    """The broker has counted three letters, and delivers them later or never."""

    def setUp(self) -> None:
        self.have()
        self.queue.counted = 3
        self.reading = self.begin()

    def deliver(self, *sizes: int) -> None:
        """Deliver letters of these sizes."""
        self.queue.ready.extend(sizes)
        self.queue.deliver()

    def pause(self, counted: int | None = None) -> None:
        """Deliver no letter for the time after which the queue is counted again."""
        self.peer.clock.advance(QUIET_SECONDS)
        self.queue.counted = counted
        self.queue.serve()

    def sizes(self) -> list[int]:
        """Return the sizes of the letters that were read."""
        return [letter.size for letter in self.successResultOf(self.reading)]

    def test_reads_as_many_letters_as_were_counted(self) -> None:
        self.deliver(1, 2, 3, 4)
        self.assertEqual(self.sizes(), [1, 2, 3])

    def test_ends_after_two_counts_of_zero(self) -> None:
        """The first answer may overtake letters in transit."""
        self.deliver(1)
        self.pause(1)
        self.pause(0)
        self.deliver(2)
        self.pause(0)
        self.pause(0)
        self.assertNoResult(self.reading)
        self.pause(0)
        self.assertEqual(self.sizes(), [1, 2])
        self.assertEqual(self.read(), [])

    def test_fails_when_the_broker_counts_letters_but_delivers_none(self) -> None:
        for _ in range(LOOKS):
            self.assertNoResult(self.reading)
            self.pause(3)
        self.assertIn("3 letters", str(self.failureResultOf(self.reading, AMQPError).value))

    def test_reads_on_while_letters_arrive_slowly(self) -> None:
        """A letter starts the counting of counts anew."""
        for _ in range(LOOKS - 1):
            self.pause(3)
        self.deliver(1)
        for _ in range(LOOKS):
            self.pause(2)
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
        self.peer.feed(method(1, "basic.cancel", self.queue.running[-1], True))
        self.peer.clock.advance(QUIET_SECONDS)
        self.assertIn("was deleted", str(self.failureResultOf(self.reading, AMQPError).value))
