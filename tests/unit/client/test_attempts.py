"""The client's end when attempts fail: which are followed by another, and what is known of the call in the end."""

from __future__ import annotations

import pickle

from thrift.Thrift import TApplicationException
from twisted.internet.defer import CancelledError

from rpc.client.retry import LONGEST_PAUSE
from rpc.errors import (
    BrokerBlocked,
    CallTimedOut,
    ConfigurationError,
    ConnectionLost,
    InvalidReply,
    MalformedMessage,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
    WorkerLost,
)
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import AttemptTestCase, Calculator, CallerInMemory

REFUSED = TApplicationException(TApplicationException.INTERNAL_ERROR, "no")


class RetryTests(AttemptTestCase):
    """Refusals, when ``retry`` asks for more attempts."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.caller.client(retry=True, timeout=60.0)

    def test_every_refusal(self) -> None:
        """A return, a nack, a worker's refusal and a blocked broker are followed by another attempt that succeeds."""
        fired = outcome_of(self.client.ping())
        self.wire.give_back(self.request())
        self.wire.confirm(1)  # which means nothing after a return
        self.again()
        self.wire.confirm(2, refuse=True)
        self.caller.reply(self.again(), REFUSED, headers={"rpc-outcome": "overloaded"})
        self.wire.peer.feed(method(0, "connection.blocked", "low on memory"))
        self.wire.clock.advance(LONGEST_PAUSE)
        self.assertEqual(self.wire.take(), [])
        self.wire.peer.feed(method(0, "connection.unblocked"))
        request = self.again()
        self.assertEqual(fired, [])
        self.caller.reply(request, Calculator.ping_result())
        self.assertEqual((fired, self.caller.leftovers()), ([None], []))

    def test_identity(self) -> None:
        """All attempts have one body, message id and correlation id; the later ones say which they are."""
        self.client.add(1, 2)
        first = self.request()
        self.wire.confirm(1, refuse=True)
        second = self.again()
        self.wire.confirm(2, refuse=True)
        third = self.again()
        for attempt in (second, third):
            self.assertEqual(attempt.body, first.body)
            self.assertEqual(attempt.properties.message_id, first.properties.message_id)
            self.assertEqual(attempt.properties.correlation_id, first.properties.correlation_id)
        headers = [dict(attempt.properties.headers or {}) for attempt in (first, second, third)]
        self.assertEqual(headers, [{}, {"rpc-attempt": 2}, {"rpc-attempt": 3}])
        self.assertLess(int(third.properties.expiration or 0), int(first.properties.expiration or 0))

    def test_never_past_the_deadline(self) -> None:
        """Where a pause would end after the deadline, the refusal comes at once; it has all attempts' story."""
        fired = outcome_of(self.caller.client(retry=True, timeout=0.06).ping())
        self.request()
        self.wire.confirm(1, refuse=True)
        self.wire.clock.advance(0.05)
        self.wire.give_back(self.request())
        text = self.assert_fails(fired, ServiceUnavailable, Outcome.REJECTED)
        self.assertIn("no worker has ever served", text)
        self.assertEqual(fired[0].attempts, 2)
        self.assertIsInstance(fired[0].__cause__, Overloaded)

    def test_without_retry(self) -> None:
        """A refusal is an answer, and comes at once, also to a method that may be run twice."""
        fired = outcome_of(self.caller.client().ping())
        self.request()
        self.wire.confirm(1, refuse=True)
        self.assert_fails(fired, Overloaded, Outcome.REJECTED)
        self.assertEqual(fired[0].attempts, 1)

    def test_oneway(self) -> None:
        """A oneway call that was returned is not taken for confirmed by the ack that follows."""
        fired = outcome_of(self.client.zip())
        self.wire.give_back(self.request())
        self.wire.confirm(1)
        self.assertEqual(fired, [])
        self.again()
        self.wire.confirm(2)
        self.assertEqual(fired, [None])

    def test_cancelled_in_a_pause(self) -> None:
        """A call that is cancelled while it pauses is not sent again, and nobody has to be told."""
        call = self.client.ping()
        fired = outcome_of(call)
        self.request()
        self.wire.confirm(1, refuse=True)
        call.cancel()
        self.assert_fails(fired, CancelledError)
        self.wire.clock.advance(60)
        self.assertEqual(self.wire.take(), [])

    def test_deadline_in_a_pause(self) -> None:
        """A call whose pause waits for a channel that never comes was refused, and says by what."""
        fired = outcome_of(self.client.ping())
        self.request()
        self.wire.confirm(1, refuse=True)
        self.wire.close_channel()
        self.wire.clock.advance(61)
        text = self.assert_fails(fired, CallTimedOut, Outcome.REJECTED)
        self.assertIn("backlog is full", text)

    def test_budget(self) -> None:
        """When everything is refused, clients add less than a fifth to the load."""
        count = 2000
        fired = [outcome_of(self.caller.client(retry=True, timeout=5.0).ping()) for _ in range(count)]
        sent = 0
        while requests := self.wire.take():
            sent += len(requests)
            self.wire.confirm(0, multiple=True, refuse=True)
            self.wire.clock.advance(LONGEST_PAUSE)
        self.assertTrue(all(len(outcome) == 1 for outcome in fired))
        self.assertLess(sent, 1.2 * count)
        self.assertGreater(sent, 1.1 * count)

    def test_budget_is_for_what_was_sent(self) -> None:
        """Calls that are refused here add nothing to the budget, and attempts that were not made take nothing."""
        for _ in range(5000):
            outcome_of(self.client.add("x", 2))
        self.wire.peer.feed(method(0, "connection.blocked", "low on memory"))
        fired = [outcome_of(self.client.ping()) for _ in range(50)]
        self.wire.clock.pump([0.5] * 20)
        self.assertEqual(fired, [[]] * 50)
        self.wire.peer.feed(method(0, "connection.unblocked"))
        self.wire.clock.advance(LONGEST_PAUSE)
        sent = len(self.wire.take())
        self.assertEqual(sent, 50)
        for _ in range(20):
            self.wire.confirm(0, multiple=True, refuse=True)
            self.wire.clock.advance(LONGEST_PAUSE)
            sent += len(self.wire.take())
        self.assertLess(sent, 50 * 1.2 + 10)

    def test_closed_in_a_pause(self) -> None:
        """Closing settles a call that pauses."""
        fired = outcome_of(self.client.ping())
        self.request()
        self.wire.confirm(1, refuse=True)
        self.caller.subject.close()
        self.assert_fails(fired, ConnectionLost, Outcome.REJECTED)
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])


class LossTests(AttemptTestCase):
    """Calls of which nobody knows whether they were executed."""

    def test_idempotent(self) -> None:
        """A method that may be run twice is called again on the next channel."""
        fired = outcome_of(self.client.add(1, 2))
        self.request()
        self.lose_channel()
        request = self.again()
        self.assertEqual(dict(request.properties.headers or {}), {"rpc-attempt": 2})
        self.caller.reply(request, Calculator.add_result(3))
        self.assertEqual(fired, [3])

    def test_not_idempotent(self) -> None:
        """Another one fails at once, and ``retry`` does not change that."""
        fired = outcome_of(self.caller.client(retry=True, idempotent=[]).ping())
        self.request()
        self.lose_channel()
        self.assert_fails(fired, ConnectionLost, Outcome.UNKNOWN)

    def test_uncertain_for_ever(self) -> None:
        """When one attempt may have been executed, no later refusal makes the call surely not executed."""
        fired = outcome_of(self.client.ping())
        self.request()
        self.lose_channel()
        self.wire.give_back(self.again())
        self.assert_fails(fired, ServiceUnavailable, Outcome.UNKNOWN)
        self.assertEqual(fired[0].attempts, 2)
        self.assertIsInstance(fired[0].__cause__, ConnectionLost)
        copy = pickle.loads(pickle.dumps(fired[0]))
        self.assertEqual((copy.outcome, copy.attempts, str(copy)), (Outcome.UNKNOWN, 2, str(fired[0])))

    def test_late_reply_in_a_pause(self) -> None:
        """A reply that comes while the next attempt is being waited for is the answer."""
        fired = outcome_of(self.caller.client(liveness=1.0, timeout=60.0).add(1, 2))
        request = self.request()
        self.keepalive(request)
        self.wire.clock.pump([1.01, 0])
        self.caller.reply(request, Calculator.add_result(3))
        self.assertEqual((fired, self.caller.leftovers()), ([3], []))
        self.wire.clock.advance(LONGEST_PAUSE)
        self.assertEqual(self.wire.take(), [])


class LivenessTests(AttemptTestCase):
    """Signs of life, and their absence."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.caller.client(liveness=2.0, timeout=600.0, idempotent=[])

    def test_request(self) -> None:
        """The request says how often the caller wants to hear; a oneway one does not."""
        self.client.ping()
        self.assertEqual(dict(self.request().properties.headers or {}), {"rpc-liveness": 2000})
        self.client.zip()
        self.assertIsNone(self.request().properties.headers)

    def test_silence(self) -> None:
        """A worker that has begun and is silent is lost; while signs come, the call goes on."""
        fired = outcome_of(self.client.ping())
        request = self.request()
        self.wire.clock.advance(100)  # it waits in the queue
        for _ in range(100):
            self.keepalive(request)
            self.wire.clock.advance(1.9)
        self.assertEqual(fired, [])
        self.wire.clock.advance(0.2)
        self.assert_fails(fired, WorkerLost, Outcome.UNKNOWN)

    def test_expects_no_keepalive_while_the_broker_blocks_the_connection(self) -> None:
        """Workers cannot publish either. When the block ends, they have the whole time again."""
        fired = outcome_of(self.client.ping())
        self.keepalive(self.request())
        self.wire.clock.advance(1.9)
        self.block("low on memory")
        self.wire.clock.pump([0.5] * 100)
        self.assertEqual(fired, [])
        self.block(None)
        self.wire.clock.advance(1.9)
        self.assertEqual(fired, [])
        self.wire.clock.pump([0.2, 0])
        self.assert_fails(fired, WorkerLost, Outcome.UNKNOWN)

    def block(self, reason: str | None) -> None:
        """Have the broker block the connection, or end that."""
        said = method(0, "connection.unblocked") if reason is None else method(0, "connection.blocked", reason)
        self.wire.peer.feed(said)
        self.caller.subject.blocked(reason)

    def test_idempotent(self) -> None:
        """A method that may be run twice is called again; signs of the first attempt do no harm."""
        fired = outcome_of(self.caller.client(liveness=2.0, timeout=600.0).ping())
        request = self.request()
        self.keepalive(request)
        self.wire.clock.advance(2.01)
        self.keepalive(request)
        second = self.again()
        self.keepalive(second)
        self.caller.reply(second, Calculator.ping_result())
        self.assertEqual((fired, self.caller.leftovers()), ([None], []))

    def test_sign_of_an_earlier_attempt(self) -> None:
        """A sign of an attempt that was given up says nothing of the next one, which may wait in the queue."""
        fired = outcome_of(self.caller.client(liveness=1.0, timeout=600.0).ping())
        first = self.request()
        self.keepalive(first)
        self.wire.clock.pump([1.01, 0])
        self.again()
        self.keepalive(first)
        self.wire.clock.pump([1.01, LONGEST_PAUSE])
        self.assertEqual((self.wire.take(), fired), ([], []))

    def test_not_read_yet(self) -> None:
        """A client that was busy has not read the signs that are there: it reads before it gives up."""
        fired = outcome_of(self.client.ping())
        request = self.request()
        self.keepalive(request)
        self.wire.clock.callLater(2.005, self.keepalive, request)
        self.wire.clock.advance(2.01)  # the timer fires, then the keepalive is read
        self.assertEqual(fired, [])

    def test_too_often(self) -> None:
        """What no worker would keep up with is refused where it is written."""
        with self.assertRaisesRegex(ConfigurationError, "liveness=0.02"):
            self.caller.client(liveness=0.02)

    def test_not_asked_for(self) -> None:
        """A sign of life that nobody asked for is no reply."""
        fired = outcome_of(self.caller.client().ping())
        request = self.request()
        self.keepalive(request)
        self.assertEqual(fired, [])
        self.caller.reply(request, Calculator.ping_result())
        self.assertEqual(fired, [None])


class BlockedTests(AttemptTestCase):
    """A broker that takes no messages from the beginning."""

    def test_waiting_calls(self) -> None:
        """What waits for a channel does not wait on when the broker says that it takes nothing."""
        caller = CallerInMemory()
        fired = outcome_of(caller.client().ping())
        caller.subject.blocked("low on memory")
        self.assertIsInstance(fired[0], BrokerBlocked)
        self.assertEqual((fired[0].outcome, fired[0].attempts), (Outcome.NOT_SENT, 0))
        self.assertEqual(caller.leftovers(), [])

    def test_introduction(self) -> None:
        """The channel publishes something at once: RabbitMQ tells nobody else when it takes no messages."""
        caller = CallerInMemory()
        caller.wire.open(caller.subject)
        (introduction,) = caller.wire.take()
        self.assertEqual((introduction.exchange, introduction.routing_key, introduction.mandatory), ("rpc", "", False))


class BrokerLimitTests(AttemptTestCase):
    """A broker that takes no messages as large as ours may be."""

    def test_learned(self) -> None:
        """Its refusal ends the channel. The call that was too large was not executed, and is not made again; those that
        follow are refused before they harm others.
        """
        large = outcome_of(self.client.blob(b"x" * 5000))
        small = outcome_of(self.client.ping())
        said = "PRECONDITION_FAILED - message size 5030 is larger than configured max size 4096"
        self.wire.peer.feed(method(self.wire.channel.id, "channel.close", 406, said, 60, 40))
        self.assertIsInstance(large[0], MessageTooLarge)
        self.assertIs(large[0].outcome, Outcome.REJECTED)
        self.assertEqual(small, [])
        self.wire.take()
        self.caller.open()
        self.caller.reply(self.again(), Calculator.ping_result())
        self.assertEqual(small, [None])
        self.assert_fails(outcome_of(self.client.blob(b"x" * 5000)), MessageTooLarge)
        self.assertEqual(self.wire.take(), [])


class ReplyTests(AttemptTestCase):
    """Replies with headers."""

    def test_undecodable_headers(self) -> None:
        """They end their call at once, and not at its deadline."""
        fired = outcome_of(self.client.ping())
        request = self.request()
        assert request.properties.correlation_id is not None
        number = request.properties.correlation_id.encode()
        headers = b"\x00\x00\x00\x03\x01aZ"
        self.wire.deliver(b"", b"\x24\x00" + headers + bytes([len(number)]) + number)
        self.assertIn("headers", self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN))

    def test_refused_by_one_of_many(self) -> None:
        """Of a broadcast another worker may run what one refuses: the first answer counts, or the deadline."""
        fired = outcome_of(self.caller.client(exchange="rpc.broadcast", retry=True).ping())
        request = self.request()
        self.caller.reply(request, REFUSED, headers={"rpc-outcome": "stopping"})
        self.assertEqual(fired, [])
        self.caller.reply(request, Calculator.ping_result())
        self.assertEqual(fired, [None])

    def test_cause(self) -> None:
        """An error of a single attempt keeps the cause it has."""
        fired = outcome_of(self.client.ping())
        self.caller.reply_bytes(self.request(), b"rubbish")
        self.assertIsInstance(fired[0].__cause__, MalformedMessage)

    def test_headers_of_others(self) -> None:
        """A reply with other headers is a reply."""
        fired = outcome_of(self.client.ping())
        self.caller.reply(self.request(), Calculator.ping_result(), headers={"traceparent": "00-1"})
        self.assertEqual(fired, [None])


class ErrorTests(AttemptTestCase):
    """What is in an error."""

    def test_attempts(self) -> None:
        """A call that was never sent has no attempts; one that timed out has those it had."""
        caller = CallerInMemory()
        fired = outcome_of(caller.client(timeout=1.0).ping())
        caller.wire.clock.advance(1.1)
        self.assertEqual((fired[0].attempts, fired[0].outcome), (0, Outcome.NOT_SENT))
        fired = outcome_of(self.caller.client(timeout=1.0).ping())
        self.wire.clock.advance(1.1)
        self.assertEqual((fired[0].attempts, fired[0].outcome), (1, Outcome.UNKNOWN))
        self.assertIsInstance(fired[0], RPCError)
