"""The client's end of calls: requests, replies, and the other events that settle a call."""

from __future__ import annotations

import functools
import operator
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TTransportException
from twisted.internet.defer import CancelledError

from generated.calculator.ttypes import InvalidOperation, Numbers, Work
from generated.report import Report
from generated.report.ttypes import Summary
from rpc.client.call_ids import BATCH
from rpc.client.caller import LARGEST_SEQID
from rpc.client.options import ClientOptions
from rpc.client.stub_client import Client
from rpc.context import CallContext
from rpc.envelope import CODECS
from rpc.errors import (
    AuthenticationFailed,
    BrokerBlocked,
    CallTimedOut,
    ChannelClosed,
    ConnectionLost,
    DeclarationRefused,
    InvalidReply,
    InvalidRequest,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
    UnusableExchange,
)
from rpc.stub import Stub
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import BINARY, Calculator, CallerInMemory, RequestTestCase, serving_call
from tests.unit.wire import Published


class RequestTests(RequestTestCase):
    """Requests as they are published."""

    def test_looks_the_exchanges_up_and_consumes_a_reply_queue(self) -> None:
        """The channel is in confirm mode, and consumes an exclusive queue that the broker names, without acks. The
        exchanges are not declared: the permission for that would allow to delete them.
        """
        names = [name for name, _ in self.wire.methods if not name.startswith("channel.")]
        self.assertEqual(names, ["confirm.select", *["exchange.declare"] * 2, "queue.declare", "basic.consume"])
        self.assertEqual(
            [(args[1], args[3]) for args in self.wire.taken("exchange.declare")],
            [("rpc", True), ("rpc.broadcast", True)],
        )
        (declare,) = self.wire.taken("queue.declare")
        self.assertEqual(declare[:7], (0, "", False, False, True, True, False))
        (consume,) = self.wire.taken("basic.consume")
        self.assertEqual(consume[1], "amq.gen-replies")
        self.assertTrue(consume[4])

    def test_a_request_is_as_the_wire_page_says(self) -> None:
        self.client.add(2, num2=3)
        published = self.request()
        self.assertEqual((published.exchange, published.routing_key, published.mandatory), ("rpc", "Calculator", True))
        properties = published.properties
        self.assertEqual(properties.content_type, "application/vnd.apache.thrift.binary")
        self.assertEqual((properties.correlation_id, properties.reply_to), (properties.message_id, "amq.gen-replies"))
        self.assertEqual((properties.type, properties.delivery_mode), ("Calculator.add", 1))
        self.assertEqual(properties.expiration, "5000")
        assert properties.message_id is not None
        self.assertEqual(published.body, BINARY.encode("add", TMessageType.CALL, 1, Calculator.add_args(2, 3)))

    def test_a_oneway_request_survives_a_restart_of_the_broker(self) -> None:
        """It has no reply_to, and does not expire."""
        self.client.zip()
        published = self.request()
        self.assertIsNone(published.properties.reply_to)
        self.assertEqual((published.properties.delivery_mode, published.properties.expiration), (2, None))
        self.assertEqual(BINARY.read_header(published.body)[1], TMessageType.ONEWAY)

    def test_the_options_of_the_client_are_in_the_request(self) -> None:
        client = self.caller.client(
            name="calc@i", exchange="e", protocol="compact", priority=7, headers={"a": 1}, timeout=1.5
        )
        client.add(2, 3)
        published = self.request()
        properties = published.properties
        self.assertEqual((published.exchange, published.routing_key), ("e", "calc@i"))
        self.assertEqual((properties.priority, properties.headers, properties.expiration), (7, {"a": 1}, "1500"))
        self.assertEqual(properties.content_type, "application/vnd.apache.thrift.compact")
        self.assertEqual(CODECS["compact"].read_header(published.body)[0], "add")

    def test_a_very_long_timeout_is_not_passed_on(self) -> None:
        """RabbitMQ closes the channel for an expiration beyond 32 bits."""
        self.caller.client(timeout=1e9).add(1, 2)
        self.assertEqual(self.request().properties.expiration, "4294967295")

    def test_ids_are_random(self) -> None:
        """A peer that has seen any number of ids cannot guess another: 128 random bits each, and no bit is the same in
        all of them.
        """
        calls = 3 * BATCH
        for _ in range(calls):
            self.client.ping()
        ids = [request.properties.correlation_id or "" for request in self.wire.take()]
        self.assertEqual([len(call_id) for call_id in ids], [32] * calls)
        values = [int(call_id, 16) for call_id in ids]
        self.assertEqual(len(set(values)), calls)
        self.assertEqual(functools.reduce(operator.and_, values), 0)
        self.assertEqual(functools.reduce(operator.or_, values), 2**128 - 1)

    def test_the_seqid_wraps_past_numbers_in_use(self) -> None:
        """PITFALLS, stubs 5: after 2^31 - 1 comes 1, or the next that tells no other reply."""
        client = self.caller.client(uncorrelated_replies=True)
        first = outcome_of(client.add(1, 1))
        first_request = self.request()
        self.caller.subject.last_seqid = LARGEST_SEQID - 1
        outcomes = [outcome_of(client.add(n, n)) for n in range(3)]
        requests = self.wire.take()
        seqids = [BINARY.read_header(request.body)[2] for request in requests]
        self.assertEqual(seqids, [LARGEST_SEQID, 2, 3])
        for number, request in enumerate([first_request, *requests]):
            self.caller.reply(request, Calculator.add_result(number))
        self.assertEqual([first, *outcomes], [[0], [1], [2], [3]])

    def test_rejects_arguments_that_do_not_fit(self) -> None:
        """PITFALLS, stubs 3: the call fails before anything is sent, and spoils no later call."""
        for arguments in ((1, "two"), (1, 2**31), (object(), 1)):
            message = self.assert_fails(outcome_of(self.client.add(*arguments)), InvalidRequest, Outcome.NOT_SENT)
            self.assertIn("Calculator.add(num1, num2)", message)
        self.assert_fails(outcome_of(self.client.sum({})), InvalidRequest, Outcome.NOT_SENT)
        self.assertEqual(self.wire.take(), [])
        fired = outcome_of(self.client.add(1, 2))
        self.caller.reply(self.request(), Calculator.add_result(3))
        self.assertEqual(fired, [3])

    def test_a_wrong_number_of_arguments_raises_at_once(self) -> None:
        """PITFALLS, stubs 7."""
        for arguments, keywords in (((1,), {}), ((1, 2, 3), {}), ((1,), {"other": 2}), ((1, 2), {"num2": 3})):
            self.assertRaises(TypeError, self.client.add, *arguments, **keywords)
        self.assertEqual(self.caller.leftovers(), [])

    def test_rejects_a_required_field_that_is_unset(self) -> None:
        """PITFALLS, stubs 7."""
        numbers: Any = Numbers
        message = self.assert_fails(outcome_of(self.client.sum(numbers())), InvalidRequest, Outcome.NOT_SENT)
        self.assertIn("values", message)

    def test_rejects_a_request_over_the_limit(self) -> None:
        client = self.caller.client(max_message_size=100)
        message = self.assert_fails(outcome_of(client.blob(b"x" * 100)), MessageTooLarge, Outcome.NOT_SENT)
        self.assertIn("max_message_size of 100", message)
        self.assertEqual(self.wire.take(), [])

    def test_headers_larger_than_a_frame_fail_their_call_alone(self) -> None:
        fired = outcome_of(self.caller.client(headers={"a": "x" * 200_000}).add(1, 2))
        self.assert_fails(fired, RPCError, Outcome.NOT_SENT)
        self.assertEqual(self.wire.take(), [])
        oneway = outcome_of(self.client.zip())
        self.wire.confirm(1)
        self.assertEqual(oneway, [None])

    def test_too_many_headers_are_not_sent(self) -> None:
        """No worker would read them. The client's own are refused when it is made, those it inherits at the call."""
        metadata = {str(number): number for number in range(500)}
        for headers, sent in (({}, True), ({"more": 1}, False)):
            context = CallContext("Outer", "method", None, metadata, "id", False)
            with serving_call(context):
                fired = outcome_of(self.caller.client(headers=headers).add(1, 2))
            if sent:
                self.caller.reply(self.request(), Calculator.add_result(3))
                self.assertEqual(fired, [3])
            else:
                text = self.assert_fails(fired, RPCError, Outcome.NOT_SENT)
                self.assertIn("headers: the headers have more than 500 values", text)
        self.assertEqual(self.wire.take(), [])


class ReplyTests(RequestTestCase):
    """Replies settle their calls."""

    def call(self, name: str = "add", *arguments: Any) -> tuple[list[Any], Published]:
        """Call, and return the outcome and the request."""
        fired = outcome_of(getattr(self.client, name)(*(arguments or ((1, 2) if name == "add" else ()))))
        return fired, self.request()

    def test_a_reply_gives_a_result_or_an_exception(self) -> None:
        """A result, also of value 0, the IDL's exception, Thrift's, and void."""
        for result, expected in (
            (Calculator.add_result(3), 3),
            (Calculator.add_result(0), 0),
            (Calculator.add_result(ouch=InvalidOperation(1, "why")), InvalidOperation(1, "why")),
        ):
            fired, request = self.call()
            self.caller.reply(request, result)
            self.assertEqual(fired, [expected])
        fired, request = self.call("ping")
        self.caller.reply(request, Calculator.ping_result())
        self.assertEqual(fired, [None])
        fired, request = self.call()
        self.caller.reply(request, TApplicationException(TApplicationException.INTERNAL_ERROR, "no"))
        self.assertEqual((fired[0].type, fired[0].message), (TApplicationException.INTERNAL_ERROR, "no"))
        self.assertEqual(self.caller.leftovers(), [])

    def test_a_reply_without_a_result_is_missing_result(self) -> None:
        fired, request = self.call()
        self.caller.reply(request, Calculator.add_result())
        self.assert_fails(fired, TApplicationException)
        self.assertEqual(fired[0].type, TApplicationException.MISSING_RESULT)

    def test_finds_a_reply_without_correlation_id_by_its_seqid(self) -> None:
        for protocol, codec in CODECS.items():
            client = self.caller.client(protocol=protocol, uncorrelated_replies=True)
            firsts = [outcome_of(client.add(n, n)) for n in range(3)]
            requests = self.wire.take()
            for number, request in reversed(list(enumerate(requests))):
                seqid = codec.read_header(request.body)[2]
                body = codec.encode("add", TMessageType.REPLY, seqid, Calculator.add_result(number))
                self.caller.reply_bytes(request, body, correlation_id=None)
            self.assertEqual(firsts, [[0], [1], [2]])
        self.assertEqual(self.caller.subject.pending.by_seqid, {})

    def test_a_guessed_reply_settles_no_call(self) -> None:
        """A worker of another service knows the reply queue and can guess the seqid."""
        self.caller.client(uncorrelated_replies=True).ping()
        self.wire.take()
        fired, request = self.call()
        seqid = str(BINARY.read_header(request.body)[2])
        for correlation_id in (None, seqid):
            self.caller.reply(request, Calculator.add_result(666), correlation_id=correlation_id)
        self.assertEqual(fired, [])
        self.caller.reply(request, Calculator.add_result(3))
        self.assertEqual(fired, [3])

    def test_a_reply_that_does_not_decode_fails_its_call_at_once(self) -> None:
        """PITFALLS, stubs 1."""
        good = BINARY.encode("add", TMessageType.REPLY, 1, Calculator.add_result(3))
        for body in (b"", b"garbage", good[:-3], good + b"\x00", b"[1", good[:16]):
            fired, request = self.call()
            self.caller.reply_bytes(request, body)
            self.assertIn("Calculator.add", self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN))

    def test_half_a_reply_before_an_exception_is_an_error(self) -> None:
        """PITFALLS, stubs 2."""
        fired, request = self.call()
        seqid = BINARY.read_header(request.body)[2]
        half = BINARY.encode("add", TMessageType.REPLY, seqid, Calculator.add_result(3))
        error = BINARY.encode("add", TMessageType.EXCEPTION, seqid, TApplicationException(6, "no"))
        self.caller.reply_bytes(request, half + error)
        self.assert_fails(fired, InvalidReply)

    def test_rejects_a_reply_with_another_name_kind_or_seqid(self) -> None:
        """PITFALLS, stubs 6."""
        for changes in (
            {"name": "sum"},
            {"name": "send_add"},
            {"name": ""},
            {"kind": TMessageType.CALL},
            {"kind": TMessageType.ONEWAY},
            {"kind": 0},
            {"kind": 77},
            {"seqid": 99},
            {"seqid": -1},
            {"seqid": 0},
        ):
            fired, request = self.call()
            self.caller.reply(request, Calculator.add_result(3), **changes)
            self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN)

    def test_a_reply_of_another_struct_gives_no_value(self) -> None:
        """PITFALLS, stubs 6."""
        fired, request = self.call()
        self.caller.reply(request, Calculator.blob_result(b"bytes"))
        self.assert_fails(fired, TApplicationException)
        fired, request = self.call("echo", Work())
        self.caller.reply(request, Calculator.echo_result(Work(1, 2)))
        self.assertEqual(fired, [Work(1, 2)])

    def test_rejects_a_reply_in_another_protocol(self) -> None:
        fired, request = self.call()
        self.caller.reply(request, Calculator.add_result(3), codec=CODECS["json"])
        self.assert_fails(fired, InvalidReply)

    def test_counts_replies_that_find_no_call(self) -> None:
        """PITFALLS, stubs 6: repeated and unreadable replies settle nothing."""
        fired, request = self.call()
        strange = ("1", "2", "0", "-1", "999", "", "x", "1.5", "\udcff", "9" * 255, str(2**31))
        for correlation_id in strange:
            self.caller.reply(request, Calculator.add_result(3), correlation_id=correlation_id)
        self.caller.reply(request, Calculator.add_result(3), seqid=999, correlation_id=None)
        self.caller.reply_bytes(request, b"garbage", correlation_id=None)
        self.caller.reply_bytes(request, b"garbage", correlation_id=None, content_type="text/plain")
        self.wire.deliver(b"body", b"\x20\x00\x00\x00\x00\x03\x01a?")  # a header table that cannot be decoded
        self.assertEqual(fired, [])
        self.caller.reply(request, Calculator.add_result(3))
        self.caller.reply(request, Calculator.add_result(4))
        self.assertEqual(fired, [3])
        self.assertEqual(self.caller.subject.incoming.late_replies, len(strange) + 5)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_reply_does_not_settle_a_oneway_call(self) -> None:
        fired, request = self.call("zip")
        self.caller.reply(request, TApplicationException())
        self.assertEqual(fired, [])
        self.wire.confirm(1)
        self.assertEqual(fired, [None])

    def test_the_header_tells_the_refusal_of_a_worker(self) -> None:
        for word, error in (("too-large", MessageTooLarge), ("overloaded", Overloaded), ("other", ServiceUnavailable)):
            fired, request = self.call()
            refusal = TApplicationException(TApplicationException.PROTOCOL_ERROR, "refused because")
            self.caller.reply(request, refusal, headers={"rpc-outcome": word})
            self.assertIn("refused because", self.assert_fails(fired, error, Outcome.REJECTED))

    def test_a_refusal_tells_that_another_worker_may_have_run_the_call(self) -> None:
        """Then the outcome is unknown: an earlier delivery may have begun."""
        for word, error in (("too-large", MessageTooLarge), ("overloaded", Overloaded), ("other", ServiceUnavailable)):
            fired, request = self.call()
            refusal = TApplicationException(TApplicationException.PROTOCOL_ERROR, "refused because")
            self.caller.reply(request, refusal, headers={"rpc-outcome": word, "rpc-maybe-executed": True})
            self.assert_fails(fired, error, Outcome.UNKNOWN)

    def test_rejects_a_result_that_lacks_a_required_field(self) -> None:
        """PITFALLS, stubs 7."""
        stub: Any = Report
        client = Client(Stub.of(stub), lambda _: self.caller.subject, ClientOptions())
        fired = outcome_of(client.summarize("", 1))
        summary: Any = Summary
        self.caller.reply(self.request(), stub.summarize_result(summary(documents=1)))
        self.assertIn("unset", self.assert_fails(fired, InvalidReply))


class SettlingTests(RequestTestCase):
    """Other events that settle a call."""

    def test_a_returned_request_is_service_unavailable(self) -> None:
        """The confirm that follows does no more."""
        for name in ("ping", "zip"):
            fired = outcome_of(getattr(self.client, name)())
            self.wire.give_back(self.request())
            self.wire.confirm(1 if name == "ping" else 2)
            message = self.assert_fails(fired, ServiceUnavailable, Outcome.REJECTED)
            self.assertIn("no worker has ever served 'Calculator'", message)

    def test_a_nack_is_overloaded(self) -> None:
        fired = outcome_of(self.client.ping())
        self.wire.confirm(1, refuse=True)
        self.assert_fails(fired, Overloaded, Outcome.REJECTED)

    def test_a_oneway_call_fires_on_the_confirm(self) -> None:
        """PITFALLS, stubs 8. A confirm settles no other call."""
        oneways = [outcome_of(self.client.zip()) for _ in range(3)]
        call = outcome_of(self.client.ping())
        self.assertEqual(oneways, [[], [], []])
        self.wire.confirm(2, multiple=True)
        self.assertEqual(oneways, [[None], [None], []])
        self.wire.confirm(4)
        self.wire.confirm(3)
        self.assertEqual([*oneways, call], [[None], [None], [None], []])

    def test_a_call_fails_at_its_deadline_and_not_before(self) -> None:
        for name in ("ping", "zip"):
            fired = outcome_of(getattr(self.caller.client(timeout=2.0), name)())
            self.wire.clock.advance(1.98)
            self.assertEqual(fired, [])
            self.wire.clock.advance(0.03)
            self.assert_fails(fired, CallTimedOut, Outcome.UNKNOWN)

    def test_a_timeout_that_the_clock_cannot_tell_fails_in_its_own_words(self) -> None:
        """No call is served here whose deadline could have passed."""
        self.wire.clock.advance(1e9)
        error = self.assert_fails(outcome_of(self.caller.client(timeout=1e-8).ping()), CallTimedOut, Outcome.NOT_SENT)
        self.assertIn("Calculator.ping: not sent: its timeout of 1e-08 seconds has passed", str(error))

    def test_a_settled_call_leaves_no_confirm_behind(self) -> None:
        """The broker may never confirm a request; its body must not be kept for that."""
        for end in (lambda call, request: call.cancel(), lambda call, request: self.wire.clock.advance(31)):
            call = self.client.ping()
            outcome_of(call)
            end(call, self.request())
            self.wire.take()
            self.assertEqual(self.caller.leftovers(), [])
        outcome_of(self.client.ping())
        self.caller.reply(self.request(), Calculator.ping_result())
        self.assertEqual(self.caller.leftovers(), [])

    def test_many_deadlines_have_one_timer(self) -> None:
        """Shorter deadlines expire before longer ones that came first."""
        order: list[float] = []
        for timeout in (3.0, 1.0, 2.0, 1.0):
            self.caller.client(timeout=timeout).ping().addErrback(lambda _, timeout=timeout: order.append(timeout))
        self.assertEqual(len(self.wire.clock.getDelayedCalls()), 1)
        self.wire.clock.pump([0.5] * 8)
        self.assertEqual(order, [1.0, 1.0, 2.0, 3.0])
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_a_cancelled_call_leaves_nothing(self) -> None:
        """PITFALLS, stubs 6: a reply, return or confirm that comes later settles nothing."""
        for name in ("ping", "zip"):
            call = getattr(self.client, name)()
            fired = outcome_of(call)
            request = self.request()
            call.cancel()
            self.assert_fails(fired, CancelledError)
            self.wire.take()
            self.caller.reply(request, Calculator.ping_result())
            self.wire.give_back(request)
            call.cancel()
        self.wire.confirm(2, multiple=True)
        self.wire.clock.advance(60)
        self.assertEqual(len(fired), 1)

    def test_a_lost_channel_fails_the_calls_sent(self) -> None:
        """PITFALLS, stubs 4: later calls wait for the next channel."""
        fired = outcome_of(self.caller.client(idempotent=[]).ping())
        self.wire.close_channel()
        self.assert_fails(fired, ConnectionLost, Outcome.UNKNOWN)
        later = outcome_of(self.client.ping())
        self.assertEqual(later, [])
        self.wire.take()
        self.caller.open()
        self.caller.reply(self.request(), Calculator.ping_result())
        self.assertEqual(later, [None])

    def test_confirms_count_from_one_on_a_new_channel(self) -> None:
        lost = [outcome_of(self.client.zip()) for _ in range(3)]
        self.wire.close_channel()
        self.caller.open()
        fired = outcome_of(self.client.zip())
        self.wire.confirm(1)
        self.assertEqual(fired, [None])
        self.assertEqual([type(error) for (error,) in lost], [ConnectionLost] * 3)

    def test_a_deleted_reply_queue_fails_the_calls_and_ends_the_channel(self) -> None:
        fired = outcome_of(self.caller.client(idempotent=[]).ping())
        self.wire.peer.feed(method(self.wire.channel.id, "basic.cancel", "c1", True))
        self.assertIn("reply queue", self.assert_fails(fired, ConnectionLost, Outcome.UNKNOWN))
        self.assertTrue(self.wire.channel.closed)

    def test_a_call_that_finds_no_channel_was_not_sent(self) -> None:
        """Its error tells the problem of the link."""
        caller = CallerInMemory()
        caller.link.problem = "the cat sits on the cable"
        fired = outcome_of(caller.client(timeout=1.0).ping())
        caller.wire.clock.advance(1.1)
        self.assertIsInstance(fired[0], CallTimedOut)
        self.assertIs(fired[0].outcome, Outcome.NOT_SENT)
        self.assertIn("the cat sits", str(fired[0]))
        caller.open()
        self.assertEqual(caller.wire.take(), [])

    def test_waiting_calls_are_sent_in_order_with_the_time_left(self) -> None:
        caller = CallerInMemory()
        client = caller.client(timeout=10.0)
        fired = [outcome_of(client.add(n, n)) for n in range(3)]
        cancelled = client.add(9, 9)
        outcome_of(cancelled)
        cancelled.cancel()
        caller.wire.clock.advance(4)
        caller.open()
        requests = caller.wire.take()
        self.assertEqual([request.properties.expiration for request in requests], ["6000"] * 3)
        for number, request in enumerate(requests):
            caller.reply(request, Calculator.add_result(number))
        self.assertEqual(fired, [[0], [1], [2]])

    def test_a_callback_may_cancel_the_next_waiting_call(self) -> None:
        caller = CallerInMemory()
        headers = {"unsendable": "x" * 200_000}
        second: list[Any] = []
        caller.client(headers=headers).ping().addErrback(lambda _: second[0].cancel())
        second.append(caller.client().ping())
        fired = outcome_of(second[0])
        caller.open()
        self.assertEqual(caller.wire.take(), [])
        self.assertIsInstance(fired[0], CancelledError)
        self.assertEqual(caller.leftovers(), [])

    def test_calls_fail_at_once_while_the_broker_refuses_the_connection(self) -> None:
        """Those that wait, and later ones. A refusal that has ended is forgotten."""
        self.wire.close_channel()
        waiting = outcome_of(self.client.add(1, 2))
        self.assertEqual(waiting, [])
        self.caller.link.refusal = AuthenticationFailed(403, "ACCESS_REFUSED - Login was refused")
        self.caller.subject.refused(self.caller.link.refusal)
        for fired in (waiting, outcome_of(self.client.add(3, 4))):
            text = self.assert_fails(fired, ServiceUnavailable, Outcome.NOT_SENT)
            self.assertIn("403 ACCESS_REFUSED - Login was refused", text)
        self.caller.link.refusal = None
        self.caller.open()
        self.client.add(5, 6)
        self.request()

    def test_waiting_calls_fail_when_the_broker_refuses_the_channel_for_good(self) -> None:
        """Not when it refuses it for a while."""
        permanent = [
            ChannelClosed(403, "ACCESS_REFUSED - access to queue 'amq.gen-1' in vhost '/' refused for user 'x'"),
            DeclarationRefused(406, "PRECONDITION_FAILED - invalid property 'exclusive' for queue 'amq.gen-1'"),
            UnusableExchange("the exchange 'rpc' does not exist"),
        ]
        for reason in permanent:
            self.wire.close_channel()
            fired = outcome_of(self.client.add(1, 2))
            self.caller.subject.lost(reason)
            self.assertIn(str(reason), self.assert_fails(fired, ServiceUnavailable, Outcome.NOT_SENT))
            self.caller.open()
        self.wire.close_channel()
        fired = outcome_of(self.client.add(1, 2))
        self.caller.subject.lost(ChannelClosed(403, "ACCESS_REFUSED - queue 'amq.gen-1' in vhost '/' in exclusive use"))
        self.caller.subject.lost(ChannelClosed(406, "PRECONDITION_FAILED - queue limit in vhost '/' (0) is reached"))
        self.assertEqual(fired, [])
        self.caller.open()
        self.request()

    def test_calls_fail_at_once_while_the_broker_is_blocked(self) -> None:
        self.wire.peer.feed(method(0, "connection.blocked", "low on memory"))
        fired = outcome_of(self.client.ping())
        self.assertIn("low on memory", self.assert_fails(fired, BrokerBlocked, Outcome.NOT_SENT))
        self.wire.peer.feed(method(0, "connection.unblocked"))
        self.client.ping()
        self.request()

    def test_the_error_at_the_deadline_says_that_the_broker_is_blocked(self) -> None:
        """RabbitMQ tells it after a message was published, so calls are in progress by then."""
        fired = outcome_of(self.caller.client(timeout=2.0).ping())
        self.request()
        self.wire.peer.feed(method(0, "connection.blocked", "low on memory"))
        self.wire.clock.advance(2.0)
        text = self.assert_fails(fired, CallTimedOut, Outcome.UNKNOWN)
        self.assertTrue(text.endswith("no reply before the deadline: the broker is blocked: low on memory"), text)

    def test_closing_settles_every_call(self) -> None:
        """Waiting calls too; later calls fail at once."""
        sent = outcome_of(self.client.ping())
        self.wire.close_channel()
        caller = self.caller
        waiting = outcome_of(self.client.ping())
        again: list[Any] = []
        self.client.zip().addErrback(lambda _: again.append(outcome_of(self.client.ping())))
        caller.subject.close()
        caller.subject.close()
        self.assertIsInstance(sent[0], ConnectionLost)
        self.assert_fails(waiting, ConnectionLost, Outcome.NOT_SENT)
        self.assert_fails(again[0], ConnectionLost, Outcome.NOT_SENT)
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_errors_are_transport_exceptions_of_thrift(self) -> None:
        self.wire.close_channel()
        fired = outcome_of(self.client.ping())
        self.caller.subject.close()
        self.assertIsInstance(fired[0], TTransportException)
