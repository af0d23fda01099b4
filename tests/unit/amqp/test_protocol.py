"""A connection over its life: heartbeats, alarms, channel numbers, and all ways to end."""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.delegate import ConnectionDelegate
from rpc.errors import (
    AMQPError,
    ChannelClosed,
    ConnectionClosed,
    HeartbeatMissed,
)
from tests.unit.amqp.peer import (
    HEARTBEAT,
    OPEN_OK,
    START,
    Peer,
    delivery,
    method,
    outcome_of,
    raises,
    tune,
)


def closing(closable: Any) -> Any:
    """Return an errback that closes a channel or a connection, and passes the failure on."""

    def close(failure: Any) -> Any:
        closable.close()
        return failure

    return close


class ConnectionLifeTests(SynchronousTestCase):
    """Heartbeats, alarms, and all ways to end."""

    def test_sends_a_heartbeat_every_half_interval(self) -> None:
        """One every half interval from tune on; none before it, none after the end (txAMQP ignores the proposal)."""
        peer = Peer(heartbeat=10).connect()
        peer.clock.advance(60)
        peer.feed(START)
        peer.transport.clear()
        peer.feed(tune(heartbeat=4), OPEN_OK)
        peer.transport.clear()
        for _ in range(4):
            peer.clock.advance(2)
            self.assertEqual(peer.transport.value(), HEARTBEAT)
            peer.transport.clear()
            peer.feed(HEARTBEAT)
        peer.lose()
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_aborts_a_silent_connection(self) -> None:
        """Without a byte for two intervals the connection is aborted, within two and a half."""
        peer = Peer(heartbeat=12).open()
        peer.clock.pump([1.0] * 20)
        self.assertFalse(peer.leaving)
        peer.clock.pump([1.0] * 5)
        self.assertTrue(peer.aborted)
        self.assertIsInstance(peer.connection.reason, HeartbeatMissed)
        peer.lose()
        self.assertIsInstance(peer.connection.reason, HeartbeatMissed)
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_counts_any_byte_as_a_heartbeat(self) -> None:
        """Part of a frame is one too: a large body may take long."""
        peer = Peer(heartbeat=10).open()
        channel = peer.channel()
        for byte in delivery(channel.id, "c1", 1, b"slow")[:40]:
            peer.clock.pump([5.0] * 3)
            peer.feed(bytes((byte,)))
        self.assertFalse(peer.leaving)

    def test_runs_no_timer_without_a_heartbeat(self) -> None:
        """With a heartbeat of 0 no timer runs at all."""
        self.assertEqual(Peer(heartbeat=0).open(heartbeat=60).clock.getDelayedCalls(), [])

    def test_tells_the_brokers_alarm(self) -> None:
        """The reason and the end of an alarm reach the owner (txAMQP closes the connection)."""
        peer = Peer().open()
        told: list[str | None] = []
        peer.connection.on_blocked = told.append
        peer.feed(method(0, "connection.blocked", "low on memory"))
        self.assertEqual(peer.connection.blocked, "low on memory")
        peer.feed(method(0, "connection.unblocked"))
        self.assertIsNone(peer.connection.blocked)
        peer.feed(method(0, "connection.blocked", ""))
        self.assertEqual(told, ["low on memory", None, "no reason given"])

    def test_owner_that_raises_is_logged(self) -> None:
        """An error of on_blocked is logged, and the connection goes on."""
        peer = Peer().open()
        peer.connection.on_blocked = raises
        peer.feed(method(0, "connection.blocked", "memory"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertFalse(peer.leaving)

    def test_does_not_blame_the_broker_for_our_errors(self) -> None:
        """An exception of a handler is not taken for a fault of the broker's bytes: Twisted logs it, with its trace."""
        for error in (IndexError, struct.error):
            peer = Peer().open()
            peer.channel()

            def flow(*args: object, error: type[Exception] = error) -> None:
                raise error

            self.patch(ConnectionDelegate, "channel_flow", flow)
            self.assertRaises(error, peer.feed, method(1, "channel.flow", True))
            self.assertEqual((peer.reason, peer.written()), (None, []))

    def test_updates_the_secret(self) -> None:
        """RabbitMQ's connection.update-secret is asked and answered."""
        peer = Peer().open()
        updated = outcome_of(peer.connection.channels[0].connection_update_secret(new_secret="new", reason="old"))
        self.assertEqual(peer.names(), ["connection.update-secret"])
        peer.feed(method(0, "connection.update-secret-ok"))
        self.assertEqual(updated[0].method.name, "update-secret-ok")

    def test_closes_when_the_broker_agrees(self) -> None:
        """The broker is asked. When it agrees the socket is closed; then close() fires."""
        peer = Peer(heartbeat=10).open()
        waiting = outcome_of(peer.channel().queue_declare(queue="q"))
        peer.transport.clear()
        closed = outcome_of(peer.connection.close())
        (close,) = peer.written()
        self.assertEqual((close.name, close.args), ("connection.close", (200, "closed by the client", 0, 0)))
        self.assertFalse(peer.leaving)
        peer.feed(method(0, "connection.close-ok"))
        self.assertTrue(peer.leaving)
        self.assertIsInstance(waiting[0], ConnectionClosed)
        self.assertEqual(closed, [])
        peer.lose()
        self.assertEqual(closed, [None])
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_closes_before_it_is_connected(self) -> None:
        """close() fires at once. A socket that comes all the same is aborted."""
        peer = Peer(heartbeat=10)
        self.assertIsNone(self.successResultOf(peer.connection.close()))
        self.assertIsInstance(peer.outcome.value, ConnectionClosed)
        peer.connect()
        self.assertTrue(peer.aborted)
        self.assertEqual(peer.transport.value(), b"")
        peer.lose()

    def test_closes_in_the_handshake(self) -> None:
        """At each of its steps the socket is closed, ``ready`` fails, and close() fires with the socket's end."""
        for fed in ([], [START], [START, tune()]):
            peer = Peer(heartbeat=10).connect()
            peer.feed(*fed)
            closed = outcome_of(peer.connection.close())
            self.assertTrue(peer.leaving)
            self.assertIsInstance(peer.outcome.value, ConnectionClosed)
            peer.feed(OPEN_OK)
            peer.lose()
            self.assertEqual(closed, [None])
            self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_fires_every_close(self) -> None:
        """Every close() fires. Only one asks the broker, and none on a dead connection."""
        peer = Peer().open()
        first, second = (outcome_of(peer.connection.close()) for _ in range(2))
        self.assertEqual(peer.names(), ["connection.close"])
        peer.feed(method(0, "connection.close-ok"))
        third = outcome_of(peer.connection.close())
        peer.lose()
        fourth = outcome_of(peer.connection.close())
        self.assertEqual([first, second, third, fourth], [[None]] * 4)
        self.assertEqual((peer.written(), peer.clock.getDelayedCalls()), ([], []))

    def test_aborts_a_close_that_is_not_answered(self) -> None:
        """A broker that does not agree, or a socket that does not end, is aborted after five seconds."""
        for answers in ([], [method(0, "connection.close-ok")]):
            peer = Peer().open()
            closed = outcome_of(peer.connection.close())
            peer.feed(*answers)
            peer.clock.advance(4.9)
            self.assertFalse(peer.aborted)
            peer.clock.advance(0.2)
            self.assertTrue(peer.aborted)
            peer.lose()
            self.assertEqual(closed, [None])

    def test_close_may_shorten_the_time_that_is_left(self) -> None:
        """close(within=1) of a connection that is already ending aborts it after one second, never later."""
        for begin in ("close", "hang_up"):
            for within, aborted_at in ((1, 1), (60, 5)):
                peer = Peer().open()
                if begin == "close":
                    peer.connection.close()
                else:
                    peer.connection.hang_up(AMQPError("no use"))
                closed = outcome_of(peer.connection.close(within=within))
                peer.clock.advance(aborted_at - 0.1)
                self.assertFalse(peer.aborted)
                peer.clock.advance(0.2)
                self.assertTrue(peer.aborted)
                peer.lose()
                self.assertEqual((closed, peer.clock.getDelayedCalls()), ([None], []))

    def test_cancelled_close_leaves_no_timer(self) -> None:
        """A cancelled close() leaves no timer behind, and the connection ends all the same."""
        peer = Peer().open()
        closed = peer.connection.close()
        closed.cancel()
        self.failureResultOf(closed, CancelledError)
        peer.lose()
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_owner_may_close_a_connection_that_ends(self) -> None:
        """close() fires, and leaves nothing, when the owner calls it on being told of the end."""
        peer = Peer().open()
        channel = peer.channel()
        fired: list[Any] = []
        channel.on_closed = lambda reason: fired.append(outcome_of(peer.connection.close()))
        peer.lose()
        self.assertEqual(fired, [[None]])
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_hands_on_the_brokers_reason(self) -> None:
        """connection.close is answered; its code and text fail all that is pending; a socket that stays is aborted."""
        peer = Peer().open()
        waiting = outcome_of(peer.channel().queue_declare(queue="q"))
        peer.transport.clear()
        peer.feed(method(0, "connection.close", 320, "CONNECTION_FORCED - bye", 0, 0))
        self.assertEqual(peer.names(), ["connection.close-ok"])
        self.assertTrue(peer.leaving)
        self.assertEqual((waiting[0].code, waiting[0].text), (320, "CONNECTION_FORCED - bye"))
        self.assertFalse(peer.aborted)
        peer.clock.advance(5)
        self.assertTrue(peer.aborted)
        peer.lose()
        self.assertEqual(peer.reason.code, 320)

    def test_closes_of_both_sides_may_cross(self) -> None:
        """The broker's close is answered, and close() fires."""
        peer = Peer().open()
        closed = outcome_of(peer.connection.close())
        peer.feed(method(0, "connection.close", 320, "bye", 0, 0), method(0, "connection.close-ok"))
        self.assertEqual(peer.names(), ["connection.close", "connection.close-ok"])
        peer.lose()
        self.assertEqual(closed, [None])

    def test_loss_fails_everything_that_is_pending(self) -> None:
        """All pending methods of all channels fail once, also when errbacks close channels (txAMQP's re-enter)."""
        peer = Peer(heartbeat=10).open()
        channels = [peer.channel() for _ in range(20)]
        outcomes = []
        for channel in channels:
            asked = channel.queue_declare(queue="q")
            asked.addErrback(closing(peer.connection))
            asked.addErrback(closing(channel))
            outcomes += [outcome_of(asked), outcome_of(channel.queue_delete(queue="q"))]
        outcomes.append(outcome_of(peer.connection.open_channel()))
        peer.lose()
        self.assertEqual([type(fired[0]) for fired in outcomes], [ConnectionClosed] * 41)
        self.assertEqual([len(fired) for fired in outcomes], [1] * 41)
        self.failureResultOf(peer.connection.open_channel(), ConnectionClosed)
        self.failureResultOf(channels[0].queue_declare(queue="q"), ConnectionClosed)

    def test_no_channel_publishes_while_the_connection_dies(self) -> None:
        """When the first errback of a dying connection runs, every channel of it is closed: publish() raises."""
        peer = Peer().open()
        first, second = peer.channel(), peer.channel()
        outcomes: list[Any] = []

        def use_the_other(_: object) -> None:
            outcomes.append(outcome_of(second.queue_declare(queue="q")))
            second.publish("", "q", b"\x00\x00", b"x")

        failing = first.queue_declare(queue="q").addErrback(use_the_other)
        told: list[Exception] = []
        second.on_closed = told.append
        peer.transport.clear()
        peer.lose()
        self.failureResultOf(failing, ConnectionClosed)
        self.assertIsInstance(outcomes[0][0], ConnectionClosed)
        self.assertEqual((peer.transport.value(), told), (b"", [peer.reason]))

    def test_keeps_nothing_after_its_end(self) -> None:
        """No channel, answer, consumer, partial frame or timer is kept."""
        peer = Peer(heartbeat=10).open()
        channel = peer.channel()
        channel.consume("q", lambda delivery: None, lambda: None).addErrback(lambda failure: None)
        peer.feed(delivery(1, "c1", 1, b"abc")[:-2])
        peer.lose()
        self.assertEqual((peer.connection.channels, peer.connection.unread), ({}, 0))
        self.assertEqual((channel.unanswered, channel.consumers), (0, 0))
        self.assertEqual(peer.clock.getDelayedCalls(), [])


class ChannelNumberTests(SynchronousTestCase):
    """The allocator of channel numbers (txAMQP has none, and hands out closed channels for ever)."""

    def test_gives_the_lowest_free_number(self) -> None:
        """Numbers are given from 1 up, and given again when both sides have closed the channel."""
        peer = Peer().open()
        first, second, third = (peer.channel() for _ in range(3))
        self.assertEqual([first.id, second.id, third.id], [1, 2, 3])
        peer.feed(method(2, "channel.close", 404, "NOT_FOUND - no queue", 50, 10))
        self.assertEqual(peer.names(), ["channel.close-ok"])
        self.assertEqual(peer.channel().id, 2)
        closed = outcome_of(first.close())
        peer.transport.clear()
        self.assertEqual(peer.channel().id, 4)
        peer.feed(method(1, "channel.close-ok"))
        self.assertEqual(closed, [None])
        again = peer.channel()
        self.assertEqual(again.id, 1)
        self.assertIsNot(again, first)

    def test_fails_when_all_numbers_are_taken(self) -> None:
        """One channel more than channel_max allows fails with the reason, and sends nothing. A freed number helps."""
        peer = Peer().open(channel_max=2)
        first, _ = peer.channel(), peer.channel()
        failure = self.failureResultOf(peer.connection.open_channel(), AMQPError)
        self.assertIn("all 2 channels", str(failure.value))
        self.assertEqual(peer.written(), [])
        first.close()
        peer.feed(method(1, "channel.close-ok"))
        peer.transport.clear()
        self.assertEqual(peer.channel().id, 1)

    def test_closes_a_channel_whose_opening_is_cancelled(self) -> None:
        """The broker opens the channel all the same, so it is closed, and its number is free after that."""
        peer = Peer().open()
        opening = peer.connection.open_channel()
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.assertEqual(peer.names(), ["channel.open", "channel.close"])
        peer.feed(method(1, "channel.open-ok", b""), method(1, "channel.close-ok"))
        self.assertEqual(peer.channel().id, 1)

    def test_frees_the_number_of_a_refused_channel(self) -> None:
        """The reason reaches the caller."""
        peer = Peer().open()
        opening = peer.connection.open_channel()
        peer.feed(method(1, "channel.close", 506, "RESOURCE_ERROR", 20, 10))
        self.assertEqual(self.failureResultOf(opening, ChannelClosed).value.code, 506)
        peer.transport.clear()
        self.assertEqual(peer.channel().id, 1)

    def test_gives_txamqp_the_open_channel(self) -> None:
        """txAMQP's ``channel(id)`` returns it."""
        peer = Peer().open()
        channel = peer.channel()
        self.assertIs(self.successResultOf(peer.connection.channel(1)), channel)
