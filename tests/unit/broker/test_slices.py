"""Long work of one peer does not keep the others waiting: it is cut, and they are served in between."""

from __future__ import annotations

from typing import Any

from rpc.broker.broker import Broker
from rpc.broker.channel import Channel
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.usage import HALF_LIFE
from rpc.broker.work import SLICE, STEP
from rpc.reply_codes import CONNECTION_FORCED
from tests.unit.amqp.peer import method
from tests.unit.broker.durable_state import channels_of
from tests.unit.broker.hostile_case import Honest, HostileCase, contents
from tests.unit.broker.peer import Client, publish
from tests.unit.broker.ticking import TickingClock

MANY = 3 * STEP + 10

GET = method(1, "basic.get", 0, "q", False)
QOS = method(1, "basic.qos", 0, 0, False)


class SliceCase(HostileCase):
    """A broker whose clock can be made slow: then each step is a whole slice."""

    def restart_broker(self, **options: Any) -> None:
        self.clock = TickingClock()
        self.broker = Broker(self.clock, **options)
        self.honest = Honest(self.broker)
        self.hostile = self.new_client()

    def new_client(self) -> Client:
        client = Client(self.broker).login()
        client.channel()
        return client

    def fill(self, arguments: dict[str, Any], count: int = MANY) -> None:
        """Publish many messages to the queue "q"."""
        self.hostile.declare(1, "q", arguments, durable=True)
        self.hostile.feed(b"".join(publish(1, "", "q", b"%d" % number) for number in range(count)))

    @property
    def ready(self) -> int:
        """How many messages are ready."""
        return self.broker.vhosts["/"].queues["q"].ready.count

    def feed_slowly(self, data: bytes, client: Client | None = None) -> None:
        """Feed one read, in which each look at the clock takes a slice."""
        self.turn()
        self.clock.tick = 2 * SLICE
        (client or self.hostile).feed(data)
        self.clock.tick = 0.0

    def turn(self) -> None:
        """A turn of the reactor, in which each look at the clock takes a slice."""
        self.clock.rightNow += 2 * SLICE
        self.clock.tick = 2 * SLICE
        self.clock.turn()
        self.clock.tick = 0.0

    def end_all(self, most: int = 1000) -> int:
        """Let turns pass until all work is done; return how many. The honest client is served meanwhile."""
        turns = waited = 0
        while len(self.broker.work) or self.broker._at_end:
            if not waited:
                self.honest.client.send(2, "basic.qos", 0, 0, False)
            waited = 0 if self.honest.client.names() == ["basic.qos-ok"] else waited + 1
            self.assertLess(waited, 10)
            self.turn()
            turns += 1
            self.assertLess(turns, most)
        self.clock.advance(0)
        self.honest.client.raw()
        return turns


class InputTests(SliceCase):
    """A read with many methods."""

    def test_a_read_goes_on_in_later_turns(self) -> None:
        """All are answered, in order, and the socket is not read meanwhile."""
        self.fill({}, 20)
        self.feed_slowly(GET * 20)
        self.assertEqual(len(contents(self.hostile.written())), 1)
        self.assertEqual(self.hostile.wire.producerState, "paused")
        self.hostile.protocol.dataReceived(GET)  # bytes that were read already belong behind the others
        self.assertGreaterEqual(self.end_all(), 10)
        answers = self.hostile.written()
        self.assertEqual([each.args[0] for each, _, _ in contents(answers)], [*range(2, 21)])
        self.assertEqual(answers[-1].name, "basic.get-empty")
        self.assertEqual(self.hostile.wire.producerState, "producing")
        self.assert_nothing_left(self.hostile)

    def test_the_close_ok_of_a_connection_that_has_used_up_its_slice_is_read(self) -> None:
        """Behind the method for which the connection is closed."""
        self.feed_slowly(method(1, "tx.select") + QOS + method(0, "connection.close-ok"))
        self.assertEqual(self.hostile.names(), ["connection.close"])
        self.assertTrue(self.hostile.gone)
        self.assert_dropped()

    def test_many_slow_connections_do_not_keep_a_new_request_waiting(self) -> None:
        """However many they are: it is read in the next turn, because its connection has taken the least time."""
        self.clock.advance(60)
        clients = [self.new_client() for _ in range(30)]
        for client in clients:
            self.clock.tick = 2 * SLICE
            client.feed(QOS * 10)
            self.clock.tick = 0.0
        self.honest.client.send(2, "basic.qos", 0, 0, False)
        self.assertEqual(self.honest.client.names(), [])
        self.turn()
        self.assertEqual(self.honest.client.names(), ["basic.qos-ok"])
        while len(self.broker.work):
            self.turn()
        self.clock.advance(0)
        self.assertEqual([client.names() for client in clients], [["basic.qos-ok"] * 10] * 30)
        self.assert_nothing_left(self.hostile, *clients)

    def test_the_slice_that_a_read_has_just_taken_counts(self) -> None:
        """The input of another connection, which has taken none, is read before the rest."""
        self.clock.advance(60)
        self.feed_slowly(QOS * 2)
        self.honest.client.send(2, "basic.qos", 0, 0, False)
        self.turn()
        self.assertEqual((len(self.hostile.names()), self.honest.client.names()), (1, ["basic.qos-ok"]))

    def feed_more(self, clients: list[Client]) -> None:
        """Let each client send requests, if the broker reads from it; drop all answers so far."""
        for client in clients:
            client.feed(QOS * 50)
            client.raw()

    def seconds_until_answered(self, busy: Client) -> float:
        """Let a client work alone for long, and then ten others all the time; return how long its request waits."""
        others = [self.new_client() for _ in range(10)]
        self.clock.tick = SLICE / 4
        begin = self.clock.rightNow
        while self.clock.rightNow < begin + 10 * HALF_LIFE:
            self.feed_more([busy])
            self.clock.turn()
        self.feed_more(others)
        busy.feed(QOS)
        busy.raw()
        begin = self.clock.rightNow
        while "basic.qos-ok" not in busy.names():
            self.assertFalse(busy.gone)
            self.assertLess(self.clock.rightNow, begin + 5 * HALF_LIFE)
            self.feed_more(others)
            self.clock.turn()
        waited: float = self.clock.rightNow - begin
        return waited

    def test_busy_connections_do_not_keep_a_busier_one_waiting_without_end(self) -> None:
        """It has its turn when the others have taken as much lately: they are ten, so after 3.3 half lives."""
        self.assertGreater(self.seconds_until_answered(self.hostile), HALF_LIFE)

    def test_a_client_whose_input_waits_misses_no_heartbeats(self) -> None:
        """They may be in the socket, which the broker does not read."""
        busy = Client(self.broker).login(heartbeat=1)
        busy.channel()
        self.assertGreater(self.seconds_until_answered(busy), 2.5)

    def test_publishes_end_a_slice_too(self) -> None:
        """And their messages are all there in the end."""
        self.hostile.declare(1, "q", exclusive=True)
        self.feed_slowly(publish(1, "", "q") * 20)
        self.assertEqual(self.ready, 1)
        self.end_all()
        self.assertEqual(self.ready, 20)
        self.assert_nothing_left(self.hostile)

    def test_channels_that_are_opened_end_a_slice_too(self) -> None:
        self.feed_slowly(b"".join(method(number, "channel.open", "") for number in range(2, 20)))
        self.assertEqual(self.hostile.names(), ["channel.open-ok"])
        self.end_all()
        self.assertEqual(self.hostile.names(), ["channel.open-ok"] * 17)
        self.assert_nothing_left(self.hostile)

    def test_new_secrets_end_a_slice_too(self) -> None:
        """The one method of channel 0 that can come again and again."""
        self.feed_slowly(method(0, "connection.update-secret", b"guest", "") * 20)
        self.assertEqual(self.hostile.names(), ["connection.update-secret-ok"])
        self.end_all()
        self.assertEqual(self.hostile.names(), ["connection.update-secret-ok"] * 19)
        self.assert_nothing_left(self.hostile)

    def test_many_connections_with_long_reads_take_turns(self) -> None:
        clients = [self.new_client() for _ in range(5)]
        for client in clients:
            self.feed_slowly(QOS * 4, client)
        self.end_all()
        self.assertEqual([client.names() for client in clients], [["basic.qos-ok"] * 4] * 5)
        self.assert_nothing_left(self.hostile, *clients)

    def test_the_rest_of_a_lost_connections_read_is_dropped(self) -> None:
        self.feed_slowly(QOS * 20)
        self.assert_dropped()

    def assert_dropped(self) -> None:
        """The connection leaves nothing behind."""
        self.clock.tick = 0.0
        self.hostile.lose()
        self.clock.advance(1)
        self.assert_nothing_left(self.hostile)

    def test_the_rest_of_a_closed_connections_read_is_discarded(self) -> None:
        """Up to the close-ok behind it."""
        self.feed_slowly(QOS * 20 + method(0, "connection.close-ok"))
        self.clock.tick = 0.0
        self.hostile.protocol.close_with_error(ProtocolError(CONNECTION_FORCED, "enough"))
        self.broker.end_pass()
        self.assertEqual(self.hostile.names()[-1], "connection.close")
        self.assertTrue(self.hostile.gone)
        self.assert_dropped()

    def test_a_partial_frame_at_the_end_of_a_read_is_kept(self) -> None:
        self.feed_slowly(QOS * 3 + QOS[:5])
        self.end_all()
        self.hostile.feed(QOS[5:])
        self.assertEqual(self.hostile.names(), ["basic.qos-ok"] * 4)
        self.assert_nothing_left(self.hostile)


class MessageTests(SliceCase):
    """Work whose effort is the number of messages."""

    def test_a_purge_drops_messages_in_steps(self) -> None:
        """The queue is empty at once."""
        self.fill({})
        self.feed_slowly(method(1, "queue.purge", 0, "q", False))
        self.assertEqual(self.hostile.written()[-1].args, (MANY,))
        self.assertEqual(self.ready, 0)
        self.assertGreater(self.broker.memory.held, 0)
        self.assertGreaterEqual(self.end_all(), 3)
        self.assertEqual(self.broker.memory.held, 0)
        self.assert_nothing_left(self.hostile)

    def test_a_queue_can_be_deleted_and_declared_again_while_its_messages_are_dropped(self) -> None:
        self.fill({})
        self.feed_slowly(method(1, "queue.delete", 0, "q", False, False, True))
        self.hostile.feed(method(1, "queue.declare", 0, "q", *[False] * 4, True, {}) + publish(1, "", "q") * 5)
        self.turn()
        self.assertEqual([*self.broker.vhosts["/"].queues], ["service", "q"])
        self.assertGreater(self.broker.memory.held, 100_000)
        self.end_all()
        self.assertEqual(self.ready, 5)
        self.assert_nothing_left(self.hostile)

    def take_all(self) -> Client:
        """Another client that has all messages, unacked."""
        other = self.new_client()
        other.consume(1, "q")
        while self.ready:
            other.written()
        return other

    def test_a_lost_connection_requeues_in_steps(self) -> None:
        """Each message once, in order; with a count of its deliveries in a quorum queue."""
        for arguments in ({}, {"x-queue-type": "quorum"}):
            self.restart_broker()
            self.fill(arguments)
            other = self.take_all()
            self.clock.tick = 2 * SLICE
            other.lose()
            self.clock.tick = 0.0
            self.assertEqual(self.ready, STEP)
            self.assertGreaterEqual(self.end_all(), 3)
            entries = [*self.broker.vhosts["/"].queues["q"].ready]
            self.assertEqual([each.message.body for each in entries], [b"%d" % number for number in range(MANY)])
            self.assertEqual({each.delivery_count for each in entries}, {1})
            self.assert_nothing_left(self.hostile, other)

    def test_many_messages_are_settled_in_steps(self) -> None:
        """By one ack or nack."""
        for name, flags, left in (
            ("basic.ack", (True,), 0),
            ("basic.nack", (True, False), 0),
            ("basic.nack", (True, True), MANY),
        ):
            self.restart_broker()
            self.fill({})
            other = self.take_all()
            other.send(1, "basic.cancel", "ctag", True)
            held = self.broker.memory.held
            self.feed_slowly(method(1, name, 0, *flags), other)
            steps = self.end_all()
            self.assertGreaterEqual(steps, 3, (name, flags))
            (channel,) = (each for each in channels_of(self.broker) if each.connection is other.protocol)
            assert isinstance(channel, Channel)
            in_hand = len(channel.unacked)
            self.assertEqual(self.broker.memory.held, held if left else 0, (name, flags))
            self.assertEqual(self.ready + in_hand, left)
            self.assert_nothing_left(self.hostile, other)

    def test_messages_that_expire_together_are_dropped_in_steps(self) -> None:
        """None of them is delivered meanwhile."""
        self.fill({"x-message-ttl": 1000})
        self.clock.advance(0.9)
        self.clock.rightNow += 1
        self.hostile.send(1, "basic.get", 0, "q", False)
        self.assertEqual(self.hostile.names(), ["basic.get-empty"])
        self.assertEqual(self.ready, MANY - 2 * STEP)
        self.clock.advance(0)
        self.assertEqual((self.ready, self.broker.memory.held), (0, 0))
        self.assert_nothing_left(self.hostile)

    def test_messages_for_which_one_large_one_leaves_no_room_are_dropped_in_steps(self) -> None:
        self.fill({"x-max-length-bytes": 100_000})
        self.hostile.publish(1, "", "q", bytes(99_999))
        self.assertEqual(self.ready, MANY + 1 - STEP)
        self.clock.advance(0)
        self.assertEqual(self.ready, 1)
        self.assert_nothing_left(self.hostile)

    def test_dead_letters_wait_when_a_turn_has_taken_long_enough(self) -> None:
        """Passes of other connections do not publish further ones in the same turn."""
        self.hostile.declare(1, "target", exclusive=True)
        dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "target"}
        self.hostile.declare(1, "q", dead, exclusive=True)
        self.hostile.feed(publish(1, "", "q") * 10)
        self.hostile.consume(1, "q")
        target = self.broker.vhosts["/"].queues["target"]
        self.feed_slowly(method(1, "basic.nack", 0, True, False))
        seen = []
        while self.broker._at_end:
            seen.append(target.ready.count)
            self.broker.end_pass()
            self.assertEqual(target.ready.count, seen[-1])
            self.turn()
        self.assertGreaterEqual(len({*seen}), 5)
        self.assertEqual(target.ready.count, 10)
        self.clock.advance(0)
        self.assert_nothing_left(self.hostile)

    def test_the_end_of_the_broker_ends_all_work(self) -> None:
        self.fill({})
        self.feed_slowly(method(1, "queue.purge", 0, "q", False))
        self.clock.tick = 0.0
        self.assertGreater(len(self.broker.work), 0)
        for client in (self.hostile, self.honest.client):
            client.lose()
        self.broker.clear()
        self.assertEqual((len(self.broker.work), self.broker.memory.held), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ConsumerTests(SliceCase):
    """Work whose effort is the number of consumers."""

    def test_the_consumers_of_a_deleted_queue_are_told_in_steps(self) -> None:
        """Each once, and not those that are cancelled meanwhile."""
        self.hostile.declare(1, "q")
        consume = [method(1, "basic.consume", 0, "q", f"{number}", *[False] * 3, True, {}) for number in range(MANY)]
        self.hostile.feed(b"".join(consume))
        self.feed_slowly(method(1, "queue.delete", 0, "q", False, False, True))
        self.hostile.send(1, "basic.cancel", f"{MANY - 1}", True)
        self.assertEqual(len(self.hostile.names()), STEP)
        self.assertGreaterEqual(self.end_all(), 3)
        told = [(each.name, each.args[0]) for each in self.hostile.written()]
        self.assertEqual(told, [("basic.cancel", f"{number}") for number in range(STEP, MANY - 1)])
        self.assert_nothing_left(self.hostile)


class LogTests(SliceCase):
    """The log, which is slow."""

    def test_names_one_of_the_messages_that_do_not_fit_a_frame(self) -> None:
        """A queue can have very many of them."""
        lines: list[str] = []
        self.patch(self.broker, "log", lines.append)
        small = Client(self.broker).login(frame_max=4096)
        small.channel()
        self.hostile.declare(1, "q")
        large = b"\x20\x00" + (5000).to_bytes(4, "big") + b"\x01aS" + (4993).to_bytes(4, "big") + bytes(4993)
        for _ in range(5):
            self.hostile.feed(publish(1, "", "q", properties=large))
        self.assertEqual(small.call(1, "basic.get", 0, "q", True).name, "basic.get-empty")
        self.assertEqual(len([line for line in lines if "do not fit a frame" in line]), 1)
        self.assert_nothing_left(self.hostile, small)
