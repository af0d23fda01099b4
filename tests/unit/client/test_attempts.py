"""Attempts that fail: the errors after which another one follows, and the outcome of the call in the end."""

from __future__ import annotations

import pickle

from thrift.Thrift import TApplicationException
from twisted.internet.defer import CancelledError

from rpc.client.retry import LONGEST_PAUSE
from rpc.errors import (
    BrokerBlocked,
    CallTimedOut,
    ConnectionLost,
    InvalidReply,
    MalformedMessage,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
)
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import AttemptTestCase, Calculator, CallerInMemory

REFUSED = TApplicationException(TApplicationException.INTERNAL_ERROR, "no")


class RetryTests(AttemptTestCase):
    """Refusals, when ``retry`` asks for more attempts."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.caller.client(retry=True, timeout=60.0)

    def test_tries_again_after_every_kind_of_refusal(self) -> None:
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

    def test_all_attempts_have_one_identity(self) -> None:
        """All attempts have one body, message id and correlation id; later ones have a header with their number."""
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

    def test_makes_no_attempt_past_the_deadline(self) -> None:
        """When a pause would end after the deadline, the refusal comes at once, with the story of all attempts."""
        fired = outcome_of(self.caller.client(retry=True, timeout=0.06).ping())
        self.request()
        self.wire.confirm(1, refuse=True)
        self.wire.clock.advance(0.05)
        self.wire.give_back(self.request())
        text = self.assert_fails(fired, ServiceUnavailable, Outcome.REJECTED)
        self.assertIn("no worker has ever served", text)
        self.assertEqual(fired[0].attempts, 2)
        self.assertIsInstance(fired[0].__cause__, Overloaded)

    def test_a_refusal_comes_at_once_without_retry(self) -> None:
        """The same applies to an idempotent method."""
        fired = outcome_of(self.caller.client().ping())
        self.request()
        self.wire.confirm(1, refuse=True)
        self.assert_fails(fired, Overloaded, Outcome.REJECTED)
        self.assertEqual(fired[0].attempts, 1)

    def test_a_returned_oneway_call_is_not_confirmed_by_the_ack_that_follows(self) -> None:
        fired = outcome_of(self.client.zip())
        self.wire.give_back(self.request())
        self.wire.confirm(1)
        self.assertEqual(fired, [])
        self.again()
        self.wire.confirm(2)
        self.assertEqual(fired, [None])

    def test_a_call_cancelled_in_a_pause_is_not_sent_again(self) -> None:
        """No worker has to be told."""
        call = self.client.ping()
        fired = outcome_of(call)
        self.request()
        self.wire.confirm(1, refuse=True)
        call.cancel()
        self.assert_fails(fired, CancelledError)
        self.wire.clock.advance(60)
        self.assertEqual(self.wire.take(), [])

    def test_a_call_that_times_out_in_a_pause_tells_the_refusal(self) -> None:
        """The pause ends without a channel; the call was refused, and its error says why."""
        fired = outcome_of(self.client.ping())
        self.request()
        self.wire.confirm(1, refuse=True)
        self.wire.close_channel()
        self.wire.clock.advance(61)
        text = self.assert_fails(fired, CallTimedOut, Outcome.REJECTED)
        self.assertIn("backlog is full", text)

    def test_retries_add_less_than_a_fifth_to_the_load(self) -> None:
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

    def test_only_published_attempts_count_in_the_budget(self) -> None:
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

    def test_closing_settles_a_paused_call(self) -> None:
        fired = outcome_of(self.client.ping())
        self.request()
        self.wire.confirm(1, refuse=True)
        self.caller.subject.close()
        self.assert_fails(fired, ConnectionLost, Outcome.REJECTED)
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])


class LossTests(AttemptTestCase):
    """Calls that may have been executed."""

    def test_an_idempotent_method_is_called_again_on_the_next_channel(self) -> None:
        fired = outcome_of(self.client.add(1, 2))
        self.request()
        self.lose_channel()
        request = self.again()
        self.assertEqual(dict(request.properties.headers or {}), {"rpc-attempt": 2})
        self.caller.reply(request, Calculator.add_result(3))
        self.assertEqual(fired, [3])

    def test_another_method_fails_when_the_channel_is_lost(self) -> None:
        """``retry`` does not change that."""
        fired = outcome_of(self.caller.client(retry=True, idempotent=[]).ping())
        self.request()
        self.lose_channel()
        self.assert_fails(fired, ConnectionLost, Outcome.UNKNOWN)

    def test_a_later_refusal_does_not_make_the_outcome_known(self) -> None:
        """An attempt that may have been executed keeps the outcome unknown."""
        fired = outcome_of(self.client.ping())
        self.request()
        self.lose_channel()
        self.wire.give_back(self.again())
        self.assert_fails(fired, ServiceUnavailable, Outcome.UNKNOWN)
        self.assertEqual(fired[0].attempts, 2)
        self.assertIsInstance(fired[0].__cause__, ConnectionLost)
        copy = pickle.loads(pickle.dumps(fired[0]))
        self.assertEqual((copy.outcome, copy.attempts, str(copy)), (Outcome.UNKNOWN, 2, str(fired[0])))

    def test_a_reply_of_the_first_attempt_answers_a_paused_call(self) -> None:
        fired = outcome_of(self.caller.client(liveness=1.0, timeout=60.0).add(1, 2))
        request = self.request()
        self.keepalive(request)
        self.wire.clock.pump([1.01, 0])
        self.caller.reply(request, Calculator.add_result(3))
        self.assertEqual((fired, self.caller.leftovers()), ([3], []))
        self.wire.clock.advance(LONGEST_PAUSE)
        self.assertEqual(self.wire.take(), [])


class BlockedTests(AttemptTestCase):
    """A broker that takes no messages from the beginning."""

    def test_a_waiting_call_fails_when_the_broker_blocks(self) -> None:
        caller = CallerInMemory()
        fired = outcome_of(caller.client().ping())
        caller.subject.blocked("low on memory")
        self.assertIsInstance(fired[0], BrokerBlocked)
        self.assertEqual((fired[0].outcome, fired[0].attempts), (Outcome.NOT_SENT, 0))
        self.assertEqual(caller.leftovers(), [])

    def test_a_new_channel_publishes_a_message_at_once(self) -> None:
        """RabbitMQ sends connection.blocked only to connections that have published."""
        caller = CallerInMemory()
        caller.wire.open(caller.subject)
        self.assertEqual((caller.wire.probes, caller.wire.take()), (1, []))


class BrokerLimitTests(AttemptTestCase):
    """A broker that takes no messages as large as ours may be."""

    def test_learns_the_limit_of_the_broker(self) -> None:
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

    def test_undecodable_headers_end_their_call_at_once(self) -> None:
        fired = outcome_of(self.client.ping())
        request = self.request()
        assert request.properties.correlation_id is not None
        call_id = request.properties.correlation_id.encode()
        headers = b"\x00\x00\x00\x03\x01aZ"
        self.wire.deliver(b"", b"\x24\x00" + headers + bytes([len(call_id)]) + call_id)
        self.assertIn("headers", self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN))

    def test_a_refusal_does_not_end_a_broadcast(self) -> None:
        """Another worker may run the request: the first answer counts, or the deadline."""
        fired = outcome_of(self.caller.client(exchange="rpc.broadcast", retry=True).ping())
        request = self.request()
        self.caller.reply(request, REFUSED, headers={"rpc-outcome": "stopping"})
        self.assertEqual(fired, [])
        self.caller.reply(request, Calculator.ping_result())
        self.assertEqual(fired, [None])

    def test_an_error_of_a_single_attempt_keeps_its_cause(self) -> None:
        fired = outcome_of(self.client.ping())
        self.caller.reply_bytes(self.request(), b"rubbish")
        self.assertIsInstance(fired[0].__cause__, MalformedMessage)

    def test_a_reply_with_metadata_is_a_reply(self) -> None:
        fired = outcome_of(self.client.ping())
        self.caller.reply(self.request(), Calculator.ping_result(), headers={"traceparent": "00-1"})
        self.assertEqual(fired, [None])


class ErrorTests(AttemptTestCase):
    """The attributes of an error."""

    def test_errors_count_the_attempts(self) -> None:
        """A call that was never sent has none."""
        caller = CallerInMemory()
        fired = outcome_of(caller.client(timeout=1.0).ping())
        caller.wire.clock.advance(1.1)
        self.assertEqual((fired[0].attempts, fired[0].outcome), (0, Outcome.NOT_SENT))
        fired = outcome_of(self.caller.client(timeout=1.0).ping())
        self.wire.clock.advance(1.1)
        self.assertEqual((fired[0].attempts, fired[0].outcome), (1, Outcome.UNKNOWN))
        self.assertIsInstance(fired[0], RPCError)
