"""Acks gathered over a turn: nothing unsettled is ever covered, and everything settled is acked."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.acks import AckCollector
from rpc.errors import AMQPError
from tests.unit.amqp.peer import Peer, content, method, read_frames


class AckCollectorTests(SynchronousTestCase):
    """AckCollector, on a channel in memory."""

    def setUp(self) -> None:
        self.peer = Peer().open()
        self.channel = self.peer.channel()
        self.clock = self.peer.clock
        self.acks = AckCollector(self.channel)

    def turn(self) -> list[tuple[str, int, bool]]:
        """What one turn of the reactor writes: name, tag, multiple or requeue."""
        self.clock.advance(0)
        return [(written.name[6:], *written.args) for written in self.peer.written()]

    def test_one_ack_for_a_turn(self) -> None:
        """What settles in one turn is one frame, whatever the order."""
        for tag in (3, 1, 2):
            self.acks.ack(tag)
        self.assertEqual(self.peer.written(), [])
        self.assertEqual(self.turn(), [("ack", 3, True)])
        self.assertEqual(self.turn(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_ack_for_a_pass(self) -> None:
        """What settles while bytes are read is acked when they are read, in the same write as what it led to."""
        self.peer.connection.at_end_of_pass(lambda: None)  # outside of reading: the next turn
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        consumed = self.channel.consume("q", lambda delivery: self.acks.ack(delivery.delivery_tag), lambda: None)
        self.assertNoResult(consumed)
        self.peer.written()
        deliveries = [
            method(self.channel.id, "basic.deliver", "c1", tag, False, "", "q")
            + b"".join(content(self.channel.id, b""))
            for tag in (1, 2, 3)
        ]
        writes: list[bytes] = []
        transport: Any = self.peer.transport
        transport.write = writes.append
        self.peer.feed(b"".join(deliveries))
        self.assertEqual(len(writes), 1)
        self.assertEqual([frame.args for frame in read_frames(writes[0])], [(3, True)])

    def test_a_long_call_holds_up_nobody(self) -> None:
        """Above an unsettled tag each is acked alone; when it settles, all is covered."""
        for tag in (1, 3, 4):
            self.acks.ack(tag)
        self.assertEqual(self.turn(), [("ack", 1, True), ("ack", 3, False), ("ack", 4, False)])
        self.acks.ack(5)
        self.assertEqual(self.turn(), [("ack", 5, False)])
        self.acks.ack(2)
        self.assertEqual(self.turn(), [("ack", 2, True)])
        self.acks.ack(6)
        self.assertEqual(self.turn(), [("ack", 6, True)])

    def test_reject(self) -> None:
        """A refusal goes out at once, and the acks go on over it."""
        self.acks.reject(1, requeue=False)
        self.assertEqual(self.turn(), [("reject", 1, False)])
        self.acks.ack(2)
        self.assertEqual(self.turn(), [("ack", 2, True)])

    def test_refusals_alone_keep_nothing(self) -> None:
        """A channel on which everything is refused does not keep the tags."""
        for tag in range(1, 1000):
            self.acks.reject(tag, requeue=False)
        self.turn()
        self.assertEqual(len(self.acks._acked), 0)

    def test_flush(self) -> None:
        """A flush sends at once what the turn would have sent."""
        self.acks.ack(1)
        self.acks.flush()
        self.assertEqual([written.args for written in self.peer.written()], [(1, True)])
        self.assertEqual(self.turn(), [])

    def test_closed_channel(self) -> None:
        """Nothing is sent on a channel that closed meanwhile: the broker delivers again."""
        self.acks.ack(1)
        self.channel.abandon(AMQPError("no use"))
        self.peer.transport.clear()
        self.acks.reject(2, requeue=True)
        self.assertEqual(self.turn(), [])

    @given(
        st.permutations(range(1, 13)),
        st.lists(st.booleans(), min_size=12, max_size=12),
        st.lists(st.booleans(), min_size=12, max_size=12),
    )
    def test_any_order(self, order: list[int], turns: list[bool], rejected: list[bool]) -> None:
        """In any order over any turns: acks cover only what is settled, nothing twice, and in the end everything."""
        self.setUp()
        done: set[int] = set()
        at_broker = set(order)
        for tag, ends_turn, refuse in zip(order, turns, rejected, strict=True):
            done.add(tag)
            if refuse:
                self.acks.reject(tag, requeue=False)
            else:
                self.acks.ack(tag)
            if ends_turn or len(done) == len(order):
                for name, settled, multiple in self.turn():
                    covered = {t for t in at_broker if t <= settled} if name == "ack" and multiple else {settled}
                    self.assertLessEqual(covered, done)
                    self.assertIn(settled, at_broker)
                    at_broker -= covered
        self.assertEqual((at_broker, self.acks._acked, self.acks._settled), (set(), set(), set()))
