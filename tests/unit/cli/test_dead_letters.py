"""Reading the queue of dead letters in rounds, removing letters and putting others back."""

from __future__ import annotations

from typing import Any

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli import dead_letters
from rpc.cli.dead_letters import (
    LARGEST_ROUND,
    LOOKS,
    POLL_SECONDS,
    QUIET_SECONDS,
    UNCHANGED_SECONDS,
    DeadLetters,
    Letter,
)
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
        self.done(self.dead.look())

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
        self.patch(dead_letters, "ROUND_BYTES", 3000)
        large = 1000
        self.have(1, large, *[1] * 7)
        self.read()
        self.assertEqual(self.queue.rounds, [4, 3, 2])

    def test_a_letter_larger_than_a_round_is_read_alone(self) -> None:
        self.patch(dead_letters, "ROUND_BYTES", 3000)
        self.have(1, 1, 1, 3001, 1, 1)
        self.read()
        self.assertEqual(self.queue.rounds, [4, 1, 1])

    def test_the_tags_of_the_consumers_ascend_as_text(self) -> None:
        """A quorum queue requeues by consumer, in the order of the tags."""
        self.patch(dead_letters, "ROUND_BYTES", 3000)
        self.have(1, *[3000] * 12)
        self.read()
        self.assertEqual(self.queue.tags, sorted(self.queue.tags))
        self.assertEqual(len(self.queue.tags), 10)

    def test_no_consumer_is_left_when_a_round_is_returned(self) -> None:
        """Otherwise an ack would bring further letters."""
        self.have(*range(1, 10))
        while letters := self.successResultOf(self.begin()):
            self.assertEqual(self.queue.running, [])
            self.dead.remove(letters)
            self.peer.clock.advance(0)
            self.queue.serve()
            self.assertEqual(self.queue.unacked, {})

    def test_letters_that_arrive_after_the_first_look_stay(self) -> None:
        self.have(1, 2)
        letters = self.successResultOf(self.begin())
        self.queue.ready.extend([3, 4, 5])
        self.dead.remove(letters)
        self.done(self.dead.removed())
        self.assertEqual(self.read(), [])
        self.done(self.dead.put_back())
        self.assertEqual((self.queue.ready, self.queue.unacked), ([3, 4, 5], {}))

    def test_an_empty_queue_gets_no_consumer(self) -> None:
        self.have()
        self.assertEqual((self.read(), self.queue.rounds), ([], []))
        self.done(self.dead.removed())
        self.assertEqual(self.queue.rounds, [])

    def test_refuses_a_queue_with_a_consumer(self) -> None:
        self.have()
        self.queue.others = 1
        looking = Deferred.fromCoroutine(self.dead.look())
        self.queue.serve()
        self.assertIn("read by another program", self.failureResultOf(looking, click.ClickException).value.message)

    def test_a_round_that_is_interrupted_counts_as_not_read(self) -> None:
        self.have(*[1] * 30)
        self.successResultOf(self.begin())
        reading = Deferred.fromCoroutine(self.dead.next_round())
        self.peer.written()
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.assertEqual((self.dead.read, self.dead.unread), (4, 26))


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
        self.done(self.dead.removed())
        self.assertEqual(self.queue.acks, [(4, True)])

    def test_removed_waits_for_two_answers_of_the_queue(self) -> None:
        self.have(1)
        self.dead.remove(self.read())
        self.done(self.dead.removed())
        self.assertEqual(self.queue.rounds[1:], [1, 1])

    def test_removed_fails_when_the_channel_is_lost(self) -> None:
        self.have(1)
        self.dead.remove(self.read())
        removed = Deferred.fromCoroutine(self.dead.removed())
        self.peer.lose()
        self.failureResultOf(removed, ConnectionClosed)

    def test_acks_are_sent_before_the_channel_is_closed(self) -> None:
        """A letter that was replayed would stay a dead letter."""
        self.have(1, 2)
        self.dead.remove(self.read()[:1])
        self.done(self.dead.put_back())
        self.assertEqual((self.queue.ready, self.queue.acks), ([2], [(1, True)]))

    def test_waits_until_the_queue_has_the_letters_again(self) -> None:
        self.have(*[1] * 9)
        self.dead.remove(self.read()[:3])
        self.done(self.dead.removed())
        self.queue.slow = True
        back = Deferred.fromCoroutine(self.dead.put_back())
        for _ in range(3):
            self.queue.serve()
            self.assertNoResult(back)
            self.peer.clock.advance(POLL_SECONDS)
        self.queue.take_back()
        self.queue.serve()
        self.peer.clock.advance(POLL_SECONDS)
        self.queue.serve()
        self.successResultOf(back)

    def test_waits_until_the_queue_counts_no_consumer(self) -> None:
        """A quorum queue counts ended ones that have unacked letters."""
        self.have(1)
        self.read()
        self.queue.others = 1
        back = Deferred.fromCoroutine(self.dead.put_back())
        self.queue.serve()
        self.assertNoResult(back)
        self.queue.others = 0
        self.peer.clock.advance(POLL_SECONDS)
        self.queue.serve()
        self.successResultOf(back)

    def test_waits_no_longer_for_letters_that_the_queue_has_dropped(self) -> None:
        self.have(1, 2, 3)
        self.read()
        self.queue.counted = 2
        back = Deferred.fromCoroutine(self.dead.put_back())
        for _ in range(int(UNCHANGED_SECONDS / POLL_SECONDS)):
            self.queue.serve()
            self.assertNoResult(back)
            self.peer.clock.advance(POLL_SECONDS)
        self.queue.serve()
        self.peer.clock.advance(POLL_SECONDS)
        self.queue.serve()
        self.successResultOf(back)


class WaitingTests(DeadLettersTestCase):
    """The broker has counted three letters, and delivers them later or never."""

    def setUp(self) -> None:
        self.have(1, 2, 3)
        self.queue.counted, self.queue.ready = 3, []
        self.reading = self.begin()

    def deliver(self, *sizes: int) -> None:
        """Deliver letters of these sizes."""
        self.queue.ready.extend(sizes)
        self.queue.deliver()
        self.queue.serve()

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
