"""The link: channels for its users, again after every loss, and nothing left when it stops."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from rpc.amqp.answer_limit import ANSWER_LIMIT, STEP, STEPS
from rpc.amqp.channel import Channel
from rpc.backoff import LEAST_PAUSE, STEADY
from rpc.envelope import MAX_MESSAGE_SIZE
from rpc.errors import AMQPError, AuthenticationFailed, BrokerUnreachable, ChannelClosed, ConnectionClosed
from rpc.exchanges import unusable_exchanges
from rpc.interfaces import IChannelUser
from rpc.link import Link
from rpc.uri import parse
from tests.unit.amqp.memory_reactor import BrokerReactor, Socket
from tests.unit.amqp.peer import START, method, outcome_of
from tests.unit.logs import log_lines

LONGEST_DELAY = 20.0


@implementer(IChannelUser)
class User:
    """Declares a queue on each channel it gets, and notes all calls."""

    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.ready = 0
        self.losses: list[Exception] = []
        self.blocks: list[str | None] = []
        self.refusals: list[Exception] = []

    def opened(self, channel: Channel) -> Deferred[None]:
        self.channels.append(channel)
        return channel.queue_declare(queue="q").addCallback(self._ready)

    def _ready(self, _: object) -> None:
        self.ready += 1

    def lost(self, reason: Exception) -> None:
        self.losses.append(reason)

    def blocked(self, reason: str | None) -> None:
        self.blocks.append(reason)

    def refused(self, error: Exception) -> None:
        self.refusals.append(error)


@implementer(IChannelUser)
class Waiting(User):
    """Is ready, or not, when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[Deferred[None]] = []

    def opened(self, channel: Channel) -> Deferred[None]:
        self.channels.append(channel)
        self.outcomes.append(Deferred())
        return self.outcomes[-1]


class LinkTestCase(SynchronousTestCase):
    """A link to two hosts in memory."""

    def setUp(self) -> None:
        self.reactor = BrokerReactor()
        self.link = Link(self.reactor, parse("amqp://192.0.2.1,192.0.2.2/?heartbeat=0"), "client")

    def connect(self) -> Socket:
        """Start, log in and answer the users' methods."""
        self.link.startService()
        socket = self.reactor.socket().log_in()
        socket.serve()
        return socket

    def reconnect(self) -> Socket:
        """Wait for the next attempt, and serve it."""
        self.reactor.advance(LONGEST_DELAY)
        socket = self.reactor.socket().log_in()
        socket.serve()
        return socket


class ConnectionTests(LinkTestCase):
    """The connection, and its next ones."""

    def test_gives_every_user_a_channel(self) -> None:
        """A user attached before or after connecting gets a channel of its own."""
        before, after = User(), User()
        self.link.attach(before)
        self.assertEqual(self.link.problem, "not connected yet")
        socket = self.connect()
        self.link.attach(after)
        socket.serve()
        self.assertEqual((before.ready, after.ready, self.link.problem), (1, 1, None))
        self.assertIsNot(before.channels[0], after.channels[0])

    def test_gives_new_channels_after_a_loss(self) -> None:
        """All users are told, and get new channels on the next connection, to the next host."""
        users = User(), User()
        for user in users:
            self.link.attach(user)
        first = self.connect()
        first.feed(method(0, "connection.close", 320, "CONNECTION_FORCED", 0, 0))
        first.lose()
        self.assertIn("320 CONNECTION_FORCED", self.link.problem or "")
        self.assertIsNone(self.link.connection)
        second = self.reconnect()
        self.assertEqual((first.where[0], second.where[0]), ("192.0.2.1", "192.0.2.2"))
        for user in users:
            self.assertEqual((user.ready, len(user.losses)), (2, 1))
            self.assertIsInstance(user.losses[0], ConnectionClosed)
        self.assertIsNone(self.link.problem)

    def test_logs_that_a_lost_connection_is_open_again(self) -> None:
        """Without that, the log of a client ends with the loss. The first connection is no news."""
        lines = log_lines(self)
        first = self.connect()
        self.assertEqual([line for line in lines if "open again" in line], [])
        first.lose()
        self.reconnect()
        self.assertEqual([line for line in lines if "connection to" in line][-1].partition(" is ")[2], "open again")

    def test_gathers_bodies_of_the_largest_size_that_was_allowed(self) -> None:
        """On the connection that is open, and on the next ones. Without an option it is the default of the options."""
        first = self.connect()
        connection: Any = self.link.connection
        self.assertEqual(connection.max_content, MAX_MESSAGE_SIZE)
        self.link.allow(2 * MAX_MESSAGE_SIZE)
        self.link.allow(1000)
        self.assertEqual(connection.max_content, 2 * MAX_MESSAGE_SIZE)
        first.lose()
        self.reconnect()
        again: Any = self.link.connection
        self.assertEqual(again.max_content, 2 * MAX_MESSAGE_SIZE)

    def test_when_connected_fails_after_one_round(self) -> None:
        """It fails with the last host's error when each was tried once; the link goes on trying."""
        connected = outcome_of(self.link.when_connected())
        self.link.startService()
        self.reactor.socket().refuse()
        self.assertEqual(connected, [])
        self.reactor.advance(LONGEST_DELAY)
        self.reactor.socket().refuse()
        self.reactor.advance(0)
        self.assertIsInstance(connected[0], BrokerUnreachable)
        self.assertIn("192.0.2.2:5672", str(connected[0]))
        self.assertIn("192.0.2.2:5672", self.link.problem or "")
        again = outcome_of(self.link.when_connected())
        self.reconnect()
        self.reactor.advance(0)
        self.assertEqual((again, self.link.problem), ([None], None))

    def refuse_login(self) -> None:
        """Have the next host reject the password."""
        socket = self.reactor.socket().accept()
        socket.feed(START, method(0, "connection.close", 403, "ACCESS_REFUSED", 0, 0))
        socket.lose()

    def test_tells_of_a_refusal_when_every_host_was_tried(self) -> None:
        """One host of two cannot be reached. The link tries again all the same, and tells of the next refusal."""
        refusals: list[Exception] = []
        self.link = Link(self.reactor, parse("amqp://192.0.2.1,192.0.2.2"), "worker", refusals.append)
        self.link.startService()
        self.refuse_login()
        self.assertEqual(refusals, [])
        self.reactor.advance(LONGEST_DELAY)
        self.reactor.socket().refuse()
        (refusal,) = refusals
        self.assertIsInstance(refusal, AuthenticationFailed)
        self.assertIn("192.0.2.1:5672", str(refusal))

    def test_users_are_told_of_a_refusal_when_every_host_was_tried(self) -> None:
        """It is known until there is a connection, or no host can be reached."""
        user = User()
        self.link.attach(user)
        self.link.startService()
        for _ in range(2):
            self.refuse_login()
            self.reactor.advance(LONGEST_DELAY)
        self.refuse_login()
        self.assertEqual([type(each) for each in user.refusals], [AuthenticationFailed])
        self.assertIs(self.link.refusal, user.refusals[0])
        socket = self.reconnect()
        self.assertIsNone(self.link.refusal)
        socket.lose()
        for _ in range(2):
            self.reactor.advance(LONGEST_DELAY)
            self.refuse_login()
        self.assertEqual(len(user.refusals), 2)
        for _ in range(2):
            self.reactor.advance(LONGEST_DELAY)
            self.reactor.socket().refuse()
        self.assertIsNone(self.link.refusal)
        self.assertEqual(len(user.refusals), 2)

    def test_forgets_a_refusal_when_every_host_was_tried(self) -> None:
        """It is told once. Afterwards no host can be reached."""
        refusals: list[Exception] = []
        self.link = Link(self.reactor, parse("amqp://192.0.2.1,192.0.2.2"), "worker", refusals.append)
        self.link.startService()
        self.refuse_login()
        for _ in range(4):
            self.reactor.advance(LONGEST_DELAY)
            self.reactor.socket().refuse()
        self.assertEqual(len(refusals), 1)

    def test_forgets_a_refusal_when_it_is_stopped(self) -> None:
        """Also the number of hosts that were tried."""
        refusals: list[Exception] = []
        self.link = Link(self.reactor, parse("amqp://192.0.2.1,192.0.2.2"), "worker", refusals.append)
        self.link.startService()
        self.refuse_login()
        stopped = self.link.stopService()
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.link.startService()
        self.reactor.socket().refuse()
        self.reactor.advance(LONGEST_DELAY)
        self.refuse_login()
        (refusal,) = refusals
        self.assertIsInstance(refusal, AuthenticationFailed)
        self.assertIn("192.0.2.", str(refusal))
        self.reactor.advance(LONGEST_DELAY)
        self.reactor.socket().refuse()
        self.assertEqual(refusals, [refusal])

    def test_forgets_a_refusal_with_a_connection(self) -> None:
        """The second host has accepted: after that, each is tried once again."""
        refusals: list[Exception] = []
        self.link = Link(self.reactor, parse("amqp://192.0.2.1,192.0.2.2"), "worker", refusals.append)
        self.link.startService()
        self.refuse_login()
        socket = self.reconnect()
        socket.lose()
        self.reactor.advance(LONGEST_DELAY)
        self.reactor.socket().refuse()
        self.assertEqual(refusals, [])

    def test_backs_off_from_a_host_that_refuses(self) -> None:
        """After any number of failures, attempts at one host are at least 0.2 s and at most 20 s apart."""
        self.link = Link(self.reactor, parse("amqp://192.0.2.1"), "client")
        self.link.startService()
        for _ in range(60):
            self.reactor.socket().refuse()
            (retry,) = self.reactor.timers()
            wait = retry.getTime() - self.reactor.seconds()
            self.assertGreater(wait, 0.2)
            self.assertLess(wait, LONGEST_DELAY)
            self.reactor.advance(wait)

    def test_backs_off_from_connections_that_do_not_last(self) -> None:
        """Connections that end just after the login are tried with growing delays, until one has lasted."""
        self.link = Link(self.reactor, parse("amqp://192.0.2.1/?heartbeat=0"), "client")
        self.link.startService()
        waits = []
        for _ in range(8):
            self.reactor.socket().log_in().lose()
            (retry,) = self.reactor.timers()
            waits.append(retry.getTime() - self.reactor.seconds())
            self.reactor.advance(waits[-1])
        self.assertLess(waits[0], 1.5)
        self.assertGreater(waits[-1], 0.2 * 1.7**8)
        socket = self.reactor.socket().log_in()
        self.reactor.advance(STEADY)
        socket.lose()
        (retry,) = self.reactor.timers()
        self.assertLess(retry.getTime() - self.reactor.seconds(), 1.5)

    def test_user_that_raises_disturbs_no_other(self) -> None:
        """A lost() that raises is logged, and the user gets its next channel."""

        class Broken(User):
            def lost(self, reason: Exception) -> None:
                super().lost(reason)
                raise ZeroDivisionError

        broken, good = Broken(), User()
        self.link.attach(broken)
        self.link.attach(good)
        socket = self.connect()
        socket.feed(method(broken.channels[0].id, "channel.close", 404, "NOT_FOUND", 0, 0))
        self.reactor.advance(LONGEST_DELAY)
        socket.serve()
        self.assertEqual((broken.ready, good.ready), (2, 1))
        socket.lose()
        self.reconnect()
        self.assertEqual((broken.ready, good.ready, len(good.losses)), (3, 2, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class ChannelTests(LinkTestCase):
    """A user's channel, while the connection stays."""

    def fail_again_and_again(self, user: User) -> Socket:
        """Have the broker close a user's channels until the pauses are long."""
        socket = self.connect()
        for _ in range(8):
            socket.feed(method(user.channels[-1].id, "channel.close", 404, "NOT_FOUND", 0, 0))
            (retry,) = self.reactor.timers()
            self.reactor.advance(retry.getTime() - self.reactor.seconds())
            socket.serve()
        socket.feed(method(user.channels[-1].id, "channel.close", 404, "NOT_FOUND", 0, 0))
        return socket

    def test_shortens_the_pause_when_there_is_something_to_do(self) -> None:
        """To half a second after the loss, however often it is asked."""
        user = User()
        self.link.attach(user)
        socket = self.fail_again_and_again(user)
        before = len(user.channels)
        for _ in range(4):
            self.link.hurry(user)
            self.reactor.advance(LEAST_PAUSE / 5)
            socket.serve()
        self.assertEqual(len(user.channels), before)
        self.reactor.advance(LEAST_PAUSE / 4)
        socket.serve()
        self.assertEqual(len(user.channels), before + 1)
        self.link.hurry(user)  # it has a channel
        socket.feed(method(user.channels[-1].id, "channel.close", 404, "NOT_FOUND", 0, 0))
        self.reactor.advance(LEAST_PAUSE)
        self.link.hurry(user)  # the last loss is long enough ago
        self.reactor.advance(0)
        socket.serve()
        self.assertEqual(len(user.channels), before + 2)

    def test_logs_a_reason_once_until_a_channel_is_ready(self) -> None:
        """A client may ask for an exchange twice a second, that does not exist."""
        user = Waiting()
        self.link.attach(user)
        socket = self.connect()
        lines = log_lines(self)
        for _ in range(3):
            socket.feed(method(user.channels[-1].id, "channel.close", 404, "NOT_FOUND", 0, 0))
            self.reactor.advance(LONGEST_DELAY)
            socket.serve()
        self.assertEqual(len(lines), 1)
        user.outcomes[-1].callback(None)
        socket.feed(method(user.channels[-1].id, "channel.close", 404, "NOT_FOUND", 0, 0))
        self.assertEqual(len(lines), 2)
        self.reactor.advance(LONGEST_DELAY)
        socket.serve()
        socket.feed(method(user.channels[-1].id, "channel.close", 403, "ACCESS_REFUSED", 0, 0))
        self.assertIn("403 ACCESS_REFUSED", lines[2])

    def test_opens_a_lost_channel_again(self) -> None:
        """The user is told the reason and gets another channel after a while; the others keep theirs."""
        user, other = User(), User()
        self.link.attach(user)
        self.link.attach(other)
        socket = self.connect()
        socket.feed(method(user.channels[0].id, "channel.close", 404, "NOT_FOUND", 0, 0))
        self.assertIsInstance(user.losses[0], ChannelClosed)
        self.assertEqual(self.link.problem, "404 NOT_FOUND")
        self.reactor.advance(LONGEST_DELAY)
        socket.serve()
        self.assertEqual((user.ready, len(user.losses), other.ready, other.losses), (2, 1, 1, []))
        self.assertIsNone(self.link.problem)

    def test_backs_off_from_channels_that_do_not_last(self) -> None:
        """A channel that is lost when it is ready is opened with growing delays, until one has lasted."""
        user = User()
        self.link.attach(user)
        socket = self.connect()
        waits = []
        for _ in range(6):
            socket.feed(method(user.channels[-1].id, "channel.close", 406, "PRECONDITION_FAILED", 60, 40))
            (retry,) = self.reactor.timers()
            waits.append(retry.getTime() - self.reactor.seconds())
            self.reactor.advance(waits[-1])
            socket.serve()
        self.assertGreater(waits[-1], 0.2 * 1.7**6)
        self.reactor.advance(STEADY + 1)
        socket.feed(method(user.channels[-1].id, "channel.close", 406, "PRECONDITION_FAILED", 60, 40))
        (retry,) = self.reactor.timers()
        self.assertLess(retry.getTime() - self.reactor.seconds(), 1.5)

    def test_sets_up_again_after_a_refusal(self) -> None:
        """opened() fails with the broker's 406: it is called again with a new channel, and no other user's is."""
        user, other = User(), User()
        self.link.attach(other)
        socket = self.connect()
        self.link.attach(user)
        for attempt in range(3):
            socket.serve(refused=method(2, "channel.close", 406, "PRECONDITION_FAILED", 50, 10))
            self.assertEqual((len(user.channels), len(user.losses), user.ready), (attempt + 1, attempt + 1, 0))
            self.assertIn("406", self.link.problem or "")
            self.reactor.advance(LONGEST_DELAY)
        socket.serve()
        self.assertEqual((user.ready, len(user.losses), self.link.problem), (1, 3, None))
        self.assertEqual((other.ready, other.losses), (1, []))
        self.assertEqual(self.reactor.timers(), [])

    def test_sets_up_again_after_an_exception(self) -> None:
        """An exception of opened() is logged, the channel closed, and another opened."""

        class Broken(User):
            def opened(self, channel: Channel) -> Deferred[None]:
                if not self.losses:
                    raise ZeroDivisionError
                return super().opened(channel)

        user = Broken()
        self.link.attach(user)
        self.link.startService()
        socket = self.reactor.socket().log_in()
        self.assertIn("channel.close", socket.serve())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.reactor.advance(LONGEST_DELAY)
        socket.serve()
        self.assertEqual((user.ready, len(user.losses)), (1, 1))

    def test_ignores_a_late_failure_of_the_setup(self) -> None:
        """An opened() that fails after its channel was lost takes neither the next channel nor a second one."""
        user = Waiting()
        self.link.attach(user)
        socket = self.connect()
        socket.feed(method(1, "channel.close", 404, "NOT_FOUND", 0, 0))
        user.outcomes[0].errback(AMQPError("late"))
        self.reactor.advance(LONGEST_DELAY)
        socket.serve()
        self.assertEqual(len(user.channels), 2)
        socket.feed(method(1, "channel.close", 404, "NOT_FOUND", 0, 0))
        self.reactor.advance(LONGEST_DELAY)
        socket.serve()
        user.outcomes[1].errback(AMQPError("later still"))
        self.assertEqual(socket.serve(), [])
        self.assertFalse(user.channels[2].closed)
        user.outcomes[2].callback(None)
        self.assertEqual((len(user.losses), self.reactor.timers()), (2, []))

    def test_tries_again_when_there_is_no_channel(self) -> None:
        """A user without a channel is tried again later."""
        self.link = Link(self.reactor, parse("amqp://192.0.2.1/?heartbeat=0&channel_max=1"), "client")
        first, second = User(), User()
        self.link.attach(first)
        socket = self.connect()
        self.link.attach(second)
        self.assertIn("all 1 channels", self.link.problem or "")
        self.link.detach(first)
        socket.serve()
        self.reactor.advance(LONGEST_DELAY)
        socket.serve()
        self.assertEqual((second.ready, second.losses, self.link.problem), (1, [], None))


class TimeLimitTests(LinkTestCase):
    """A broker that answers heartbeats and nothing else."""

    def setUp(self) -> None:
        super().setUp()
        self.user = User()
        self.link.attach(self.user)
        self.link.startService()
        self.socket = self.reactor.socket().log_in()

    def answer_opening(self) -> None:
        """Answer channel.open, and nothing after it."""
        self.assertEqual([frame.name for frame in self.socket.written()][-1], "channel.open")
        self.socket.feed(method(1, "channel.open-ok", b""))

    def let_the_limit_pass(self) -> None:
        """Let the time pass that the broker has for an answer."""
        self.reactor.pump([STEP] * STEPS)

    def test_does_not_blame_the_broker_for_a_blocked_reactor(self) -> None:
        """A reactor that was blocked for long reads the answer before the limit is over."""
        self.reactor.advance(10 * ANSWER_LIMIT)
        self.reactor.advance(STEP)
        self.assertFalse(self.socket.leaving)
        self.socket.serve()
        self.reactor.advance(10 * ANSWER_LIMIT)
        self.assertEqual((self.user.ready, self.user.losses, self.reactor.timers()), (1, [], []))

    def test_ends_the_connection_over_an_unanswered_open(self) -> None:
        """The connection ends after thirty seconds, with the reason; the next one is served as usual."""
        self.reactor.pump([STEP, STEP, STEP - 1])
        self.assertFalse(self.socket.leaving)
        self.reactor.advance(1)
        self.assertTrue(self.socket.leaving)
        self.socket.lose()
        self.assertIn("has not answered channel.open for 30 s", self.link.problem or "")
        self.reconnect()
        self.assertEqual((self.user.ready, self.user.losses, self.link.problem), (1, [], None))
        self.assertEqual(self.reactor.timers(), [])

    def test_sets_up_again_without_an_answer(self) -> None:
        """A channel that is not set up within thirty seconds is closed, with the reason, and another is opened."""
        self.answer_opening()
        self.let_the_limit_pass()
        self.assertIn("not set up within 30 s", self.link.problem or "")
        self.assertEqual(len(self.user.losses), 1)
        self.assertIn("channel.close", self.socket.serve())
        self.reactor.advance(LONGEST_DELAY)
        self.socket.serve()
        self.assertEqual((self.user.ready, self.link.problem, self.socket.leaving), (1, None, False))
        self.assertEqual(self.reactor.timers(), [])

    def test_closes_the_channel_of_a_look_up_that_is_not_answered(self) -> None:
        """When the user's channel is not set up in time, and when the user leaves. Numbers must not run out."""

        class LooksUp(User):
            def opened(self, channel: Channel) -> Deferred[Any]:
                return unusable_exchanges(channel.client, ["rpc"])

        self.link.detach(self.user)
        self.socket.serve()
        user = LooksUp()
        self.link.attach(user)
        connection: Any = self.link.connection

        def answer_two_openings() -> None:
            for number in (1, 2):
                self.socket.written()
                self.socket.feed(method(number, "channel.open-ok", b""))
            self.socket.written()
            self.assertEqual(list(connection.channels), [0, 1, 2])

        answer_two_openings()
        self.let_the_limit_pass()
        self.socket.serve()
        self.assertEqual((list(connection.channels), len(user.losses)), ([0], 1))
        self.reactor.advance(LONGEST_DELAY)
        answer_two_openings()
        self.link.detach(user)
        self.socket.serve()
        self.assertEqual((list(connection.channels), len(user.losses)), ([0], 1))
        self.assertEqual((self.reactor.timers(), self.socket.leaving), ([], False))

    def test_ends_the_connection_over_an_unanswered_close(self) -> None:
        """A broker that does not answer channel.close either loses the connection: numbers must not run out."""
        self.answer_opening()
        self.let_the_limit_pass()
        self.socket.written()
        self.let_the_limit_pass()
        self.assertTrue(self.socket.leaving)
        self.socket.lose()
        self.reconnect()
        self.assertEqual((self.user.ready, self.link.problem, self.reactor.timers()), (1, None, []))

    def test_detaching_ends_without_an_answer(self) -> None:
        """detach() fires when the connection ends over an unanswered channel.close."""
        self.socket.serve()
        detached = outcome_of(self.link.detach(self.user))
        self.let_the_limit_pass()
        self.assertTrue(self.socket.leaving)
        self.socket.lose()
        self.assertEqual(detached, [None])

    def test_suspends_the_limits_during_an_alarm(self) -> None:
        """During an alarm RabbitMQ does not read: the user's problem says so, and the limits begin again."""
        alarm = method(0, "connection.blocked", "low on memory")
        for answered in (False, True):
            if answered:
                self.answer_opening()
            self.socket.feed(alarm)
            self.let_the_limit_pass()
            self.let_the_limit_pass()
            self.assertEqual(self.link.problem, "the broker is blocked: low on memory")
            self.assertEqual((self.user.losses, self.socket.leaving), ([], False))
        self.link.detach(self.user)
        self.let_the_limit_pass()
        self.assertFalse(self.socket.leaving)
        self.socket.feed(method(0, "connection.unblocked"))
        self.assertIn("channel.close", self.socket.serve())
        self.assertEqual((self.reactor.timers(), self.link.problem), ([], None))


class DetachTests(LinkTestCase):
    """Users that leave."""

    def test_closes_the_channel(self) -> None:
        """It is closed without a call of lost(), and not opened again. A second detach() does nothing."""
        user = User()
        self.link.attach(user)
        socket = self.connect()
        detached = outcome_of(self.link.detach(user))
        self.assertEqual(socket.serve(), ["channel.close"])
        self.assertEqual((detached, user.losses), ([None], []))
        self.assertIsNone(self.successResultOf(self.link.detach(user)))
        socket.lose()
        self.reconnect()
        self.assertEqual(len(user.channels), 1)

    def test_closes_a_channel_that_is_being_opened(self) -> None:
        """A user that leaves meanwhile gets no channel, and the channel is closed when it comes."""
        socket = self.connect()
        user = User()
        self.link.attach(user)
        self.link.detach(user)
        self.assertEqual(socket.serve(), ["channel.open", "channel.close"])
        self.assertEqual(user.channels, [])

    def test_closes_a_channel_that_is_being_set_up(self) -> None:
        """A user that leaves within its opened() is not opened again."""
        socket = self.connect()
        user = Waiting()
        self.link.attach(user)
        socket.serve()
        self.link.detach(user)
        user.outcomes[0].errback(AMQPError("the channel was closed"))
        socket.serve()
        self.reactor.advance(LONGEST_DELAY)
        self.assertEqual((len(user.channels), socket.serve(), self.reactor.timers()), (1, [], []))

    def test_cancels_the_retry(self) -> None:
        """Its retry is cancelled."""
        user = User()
        self.link.attach(user)
        socket = self.connect()
        socket.feed(method(1, "channel.close", 404, "NOT_FOUND", 0, 0))
        self.assertIsNone(self.successResultOf(self.link.detach(user)))
        self.assertEqual((self.reactor.timers(), self.link.problem), ([], None))


class StopTests(LinkTestCase):
    """stopService in every state leaves no timer and no socket."""

    def check_stopped(self, stopped: list[Any], *sockets: Socket) -> None:
        """Check that the Deferred has fired, and that nothing is left."""
        self.reactor.advance(0)
        self.assertEqual((stopped, self.reactor.timers(), self.reactor.tcpClients), ([None], [], []))
        for socket in sockets:
            self.assertTrue(socket.leaving)

    def test_stops_before_it_is_started(self) -> None:
        """The Deferred fires at once."""
        self.check_stopped(outcome_of(self.link.stopService()))

    def test_stops_while_connecting(self) -> None:
        """The attempt is cancelled, and when_connected() fails; the broker is not blamed."""
        self.link.startService()
        connected = outcome_of(self.link.when_connected())
        self.reactor.socket()
        self.check_stopped(outcome_of(self.link.stopService()))
        self.assertIsInstance(connected[0], CancelledError)
        self.assertEqual(self.link.problem, "not connected yet")

    def test_stops_in_the_handshake(self) -> None:
        """The socket is aborted."""
        self.link.startService()
        socket = self.reactor.socket().accept()
        stopped = outcome_of(self.link.stopService())
        socket.lose()
        self.check_stopped(stopped, socket)

    def test_stops_between_attempts(self) -> None:
        """The next attempt is cancelled."""
        self.link.startService()
        self.reactor.socket().refuse()
        self.check_stopped(outcome_of(self.link.stopService()))

    def test_stops_while_connected(self) -> None:
        """The broker is asked to close, and users are told. The Deferred fires with the socket's end."""
        user = User()
        self.link.attach(user)
        socket = self.connect()
        stopped = outcome_of(self.link.stopService())
        self.assertEqual(socket.serve(), ["connection.close"])
        self.assertEqual(stopped, [])
        socket.lose()
        self.check_stopped(stopped, socket)
        self.assertEqual(len(user.losses), 1)
        self.assertIsNone(self.link.connection)

    def test_stops_without_an_answer(self) -> None:
        """The socket is aborted after five seconds."""
        socket = self.connect()
        stopped = outcome_of(self.link.stopService())
        self.reactor.advance(5.1)
        self.assertTrue(socket.transport.disconnected)
        socket.lose()
        self.check_stopped(stopped, socket)

    def test_stops_while_a_user_is_to_be_retried(self) -> None:
        """The retry is cancelled, and a channel that is lost while stopping is not opened again."""
        waiting, other = User(), User()
        self.link.attach(waiting)
        self.link.attach(other)
        socket = self.connect()
        socket.feed(method(1, "channel.close", 404, "NOT_FOUND", 0, 0))
        stopped = outcome_of(self.link.stopService())
        socket.feed(method(2, "channel.close", 404, "NOT_FOUND", 0, 0))
        socket.serve()
        socket.lose()
        self.check_stopped(stopped, socket)

    def test_stops_while_a_channel_is_being_opened(self) -> None:
        """Nothing is left behind."""
        socket = self.connect()
        self.link.attach(User())
        stopped = outcome_of(self.link.stopService())
        socket.serve()
        socket.lose()
        self.check_stopped(stopped, socket)

    def test_starts_again_after_a_stop(self) -> None:
        """A link that was stopped can be started; its users get channels again."""
        user = User()
        self.link.attach(user)
        socket = self.connect()
        self.link.stopService()
        socket.serve()
        socket.lose()
        self.connect()
        self.assertEqual(user.ready, 2)

    def test_stops_from_within_its_own_callbacks(self) -> None:
        """Callbacks of a connection, a failure or a stop may stop the link at once (ClientService raises)."""

        def stop(_: object) -> Deferred[None]:
            return self.link.stopService()

        stopped = outcome_of(self.link.when_connected().addCallback(stop).addCallback(stop))
        socket = self.connect()
        self.reactor.advance(0)
        socket.serve()
        socket.lose()
        self.reactor.advance(0)
        self.check_stopped(stopped, socket)
        self.setUp()
        self.link = Link(self.reactor, parse("amqp://192.0.2.1"), "client")
        stopped = outcome_of(self.link.when_connected().addErrback(stop))
        self.link.startService()
        self.reactor.socket().refuse()
        self.reactor.advance(0)
        self.check_stopped(stopped)

    def test_user_that_sets_up_nothing_is_ready(self) -> None:
        """A user whose opened() fires at once is ready at once."""

        class Ready(User):
            def opened(self, channel: Channel) -> Deferred[None]:
                self.channels.append(channel)
                return succeed(None)

        user = Ready()
        self.link.attach(user)
        self.connect()
        self.assertEqual((len(user.channels), self.link.problem), (1, None))
