"""Acks gathered over a turn: no ack covers a pending delivery, and every settled delivery is acked."""

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
        """Return the frames that one reactor turn writes: name, tag, multiple or requeue."""
        self.clock.advance(0)
        return [(written.name[6:], *written.args) for written in self.peer.written()]

    def test_sends_one_ack_for_a_turn(self) -> None:
        """Deliveries that settle in one turn are acked in one frame, in any order."""
        for tag in (3, 1, 2):
            self.acks.ack(tag)
        self.assertEqual(self.peer.written(), [])
        self.assertEqual(self.turn(), [("ack", 3, True)])
        self.assertEqual(self.turn(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_sends_one_ack_for_a_pass_of_reading(self) -> None:
        """Deliveries that settle while bytes are read are acked after that, in the write of the pass."""
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

    def test_acks_deliveries_behind_a_pending_one(self) -> None:
        """Tags above a pending one are acked one by one; after it has settled, one ack covers all."""
        for tag in (1, 3, 4):
            self.acks.ack(tag)
        self.assertEqual(self.turn(), [("ack", 1, True), ("ack", 3, False), ("ack", 4, False)])
        self.acks.ack(5)
        self.assertEqual(self.turn(), [("ack", 5, False)])
        self.acks.ack(2)
        self.assertEqual(self.turn(), [("ack", 2, True)])
        self.acks.ack(6)
        self.assertEqual(self.turn(), [("ack", 6, True)])

    def test_rejects_at_once(self) -> None:
        """A reject is sent at once, and later acks cover its tag."""
        self.acks.reject(1, requeue=False)
        self.assertEqual(self.turn(), [("reject", 1, False)])
        self.acks.ack(2)
        self.assertEqual(self.turn(), [("ack", 2, True)])

    def test_keeps_no_tags_of_rejects_alone(self) -> None:
        """A channel on which all deliveries are rejected keeps none of their tags."""
        for tag in range(1, 1000):
            self.acks.reject(tag, requeue=False)
        self.turn()
        self.assertEqual(self.acks.kept, 0)

    def test_memory_is_by_the_unacked_deliveries(self) -> None:
        """Ten thousand deliveries settled behind two that are unacked are two runs of tags, however they settled."""
        unacked = {1, 5000}
        for tag in range(1, 10001):
            if tag in unacked:
                continue
            if tag % 3:
                self.acks.ack(tag)
            else:
                self.acks.reject(tag, requeue=False)
            if tag % 100 == 0:
                self.acks.flush()
        self.assertEqual(self.acks.kept, 2)
        self.peer.transport.clear()
        self.acks.ack(5000)
        self.assertEqual(self.turn(), [("ack", 5000, False)])
        self.assertEqual(self.acks.kept, 1)
        self.acks.ack(1)
        self.assertEqual(self.turn(), [("ack", 1, True)])
        self.assertEqual(self.acks.kept, 0)
        self.acks.ack(10001)
        self.assertEqual(self.turn(), [("ack", 10001, True)])

    def test_flush_sends_at_once(self) -> None:
        """A flush sends the acks that the next turn would have sent, which sends none."""
        self.acks.ack(1)
        self.acks.flush()
        self.assertEqual([written.args for written in self.peer.written()], [(1, True)])
        self.assertEqual(self.turn(), [])

    def test_sends_nothing_on_a_closed_channel(self) -> None:
        """On a channel that was closed meanwhile nothing is sent or kept: the broker delivers again."""
        self.acks.ack(1)
        self.channel.abandon(AMQPError("no use"))
        self.peer.transport.clear()
        self.acks.reject(2, requeue=True)
        self.assertEqual(self.turn(), [])
        self.assertEqual(self.acks.kept, 0)

    @given(
        st.permutations(range(1, 13)),
        st.lists(st.booleans(), min_size=12, max_size=12),
        st.lists(st.booleans(), min_size=12, max_size=12),
    )
    def test_settles_every_delivery_once(self, order: list[int], turns: list[bool], rejected: list[bool]) -> None:
        """In any order over any turns, acks cover settled deliveries only, each of them once, and all in the end."""
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
        self.assertEqual((at_broker, self.acks.kept), (set(), 0))
