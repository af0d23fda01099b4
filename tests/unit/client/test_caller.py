"""The client's end: each call settles once, with the right thing, in whatever order things happen."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TTransportException
from twisted.internet.defer import CancelledError

from generated.calculator.ttypes import InvalidOperation, Numbers, Work
from generated.report import Report
from generated.report.ttypes import Summary
from rpc.client.caller import LARGEST_SEQID
from rpc.client.options import ClientOptions
from rpc.client.stub_client import Client
from rpc.envelope import CODECS
from rpc.errors import (
    BrokerBlocked,
    CallTimedOut,
    ConnectionLost,
    InvalidReply,
    InvalidRequest,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
)
from rpc.stub import Stub
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import BINARY, Calculator, CallerInMemory, RequestTestCase
from tests.unit.wire import Published


class RequestTests(RequestTestCase):
    """What a request looks like (DESIGN, the wire)."""

    def test_setting_up(self) -> None:
        """The channel is in confirm mode, and consumes an exclusive queue that the broker names, without acks. The
        exchanges are there, so that a call no worker has ever served is unroutable and not an error of the channel.
        """
        names = [name for name, _ in self.wire.methods]
        self.assertEqual(names, ["confirm.select", *["exchange.declare"] * 2, "queue.declare", "basic.consume"])
        (declare,) = self.wire.taken("queue.declare")
        self.assertEqual(declare[:7], (0, "", False, False, True, True, False))
        (consume,) = self.wire.taken("basic.consume")
        self.assertEqual(consume[1], "replies")
        self.assertTrue(consume[4])

    def test_request(self) -> None:
        """Exchange, routing key, properties and body of a call are the wire's."""
        self.client.add(2, num2=3)
        published = self.request()
        self.assertEqual((published.exchange, published.routing_key, published.mandatory), ("rpc", "Calculator", True))
        properties = published.properties
        self.assertEqual(properties.content_type, "application/vnd.apache.thrift.binary")
        self.assertEqual((properties.correlation_id, properties.reply_to), ("1", "replies"))
        self.assertEqual((properties.type, properties.delivery_mode), ("Calculator.add", 1))
        self.assertEqual(properties.expiration, "5000")
        assert properties.message_id is not None
        self.assertTrue(properties.message_id.endswith(".1"))
        self.assertEqual(published.body, BINARY.encode("add", TMessageType.CALL, 1, Calculator.add_args(2, 3)))

    def test_oneway_request(self) -> None:
        """A oneway request has no reply_to, and survives a restart of the broker; nor does it expire: nobody waits."""
        self.client.zip()
        published = self.request()
        self.assertIsNone(published.properties.reply_to)
        self.assertEqual((published.properties.delivery_mode, published.properties.expiration), (2, None))
        self.assertEqual(BINARY.read_header(published.body)[1], TMessageType.ONEWAY)

    def test_options(self) -> None:
        """Name, exchange, protocol, priority, headers and timeout are those of the client."""
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

    def test_very_long_timeout(self) -> None:
        """RabbitMQ closes the channel for an expiration beyond 32 bits: a longer timeout is not passed on."""
        self.caller.client(timeout=1e9).add(1, 2)
        self.assertEqual(self.request().properties.expiration, "4294967295")

    def test_seqid_wraps(self) -> None:
        """PITFALLS, stubs 5: after 2^31 - 1 comes 1, past numbers that are still in use."""
        first = outcome_of(self.client.add(1, 1))
        first_request = self.request()
        self.caller.subject.last_number = LARGEST_SEQID - 1
        outcomes = [outcome_of(self.client.add(n, n)) for n in range(3)]
        requests = self.wire.take()
        seqids = [BINARY.read_header(request.body)[2] for request in requests]
        self.assertEqual(seqids, [LARGEST_SEQID, 2, 3])
        for number, request in enumerate([first_request, *requests]):
            self.caller.reply(request, Calculator.add_result(number))
        self.assertEqual([first, *outcomes], [[0], [1], [2], [3]])

    def test_wrong_arguments(self) -> None:
        """PITFALLS, stubs 3: what does not fit the IDL fails before anything is sent, and spoils no later call."""
        for arguments in ((1, "two"), (1, 2**31), (object(), 1)):
            message = self.assert_fails(outcome_of(self.client.add(*arguments)), InvalidRequest, Outcome.NOT_SENT)
            self.assertIn("Calculator.add(num1, num2)", message)
        self.assert_fails(outcome_of(self.client.sum({})), InvalidRequest, Outcome.NOT_SENT)
        self.assertEqual(self.wire.take(), [])
        fired = outcome_of(self.client.add(1, 2))
        self.caller.reply(self.request(), Calculator.add_result(3))
        self.assertEqual(fired, [3])

    def test_wrong_number_of_arguments(self) -> None:
        """PITFALLS, stubs 7: a wrong number of arguments, or a name that is none, is a TypeError at once."""
        for arguments, keywords in (((1,), {}), ((1, 2, 3), {}), ((1,), {"other": 2}), ((1, 2), {"num2": 3})):
            self.assertRaises(TypeError, self.client.add, *arguments, **keywords)
        self.assertEqual(self.caller.leftovers(), [])

    def test_required_argument_unset(self) -> None:
        """PITFALLS, stubs 7: a required field that is unset is found before anything is sent."""
        numbers: Any = Numbers
        message = self.assert_fails(outcome_of(self.client.sum(numbers())), InvalidRequest, Outcome.NOT_SENT)
        self.assertIn("values", message)

    def test_too_large(self) -> None:
        """A request over the client's limit is not sent."""
        client = self.caller.client(max_message_size=100)
        message = self.assert_fails(outcome_of(client.blob(b"x" * 100)), MessageTooLarge, Outcome.NOT_SENT)
        self.assertIn("max_message_size of 100", message)
        self.assertEqual(self.wire.take(), [])

    def test_headers_that_cannot_be_sent(self) -> None:
        """Headers that do not fit a frame fail the call and harm no other."""
        fired = outcome_of(self.caller.client(headers={"a": "x" * 200_000}).add(1, 2))
        self.assert_fails(fired, RPCError, Outcome.NOT_SENT)
        self.assertEqual(self.wire.take(), [])
        oneway = outcome_of(self.client.zip())
        self.wire.confirm(1)
        self.assertEqual(oneway, [None])


class ReplyTests(RequestTestCase):
    """What a reply does to its call."""

    def call(self, name: str = "add", *arguments: Any) -> tuple[list[Any], Published]:
        """Call, and return what the call fires with and its request."""
        fired = outcome_of(getattr(self.client, name)(*(arguments or ((1, 2) if name == "add" else ()))))
        return fired, self.request()

    def test_results(self) -> None:
        """A result, one of value 0 too, the IDL's exception, Thrift's, and void."""
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

    def test_missing_result(self) -> None:
        """A reply without a result is Thrift's MISSING_RESULT."""
        fired, request = self.call()
        self.caller.reply(request, Calculator.add_result())
        self.assert_fails(fired, TApplicationException)
        self.assertEqual(fired[0].type, TApplicationException.MISSING_RESULT)

    def test_without_correlation_id(self) -> None:
        """A reply without correlation id is told by its seqid, in every protocol."""
        for protocol, codec in CODECS.items():
            client = self.caller.client(protocol=protocol)
            firsts = [outcome_of(client.add(n, n)) for n in range(3)]
            requests = self.wire.take()
            for number, request in reversed(list(enumerate(requests))):
                seqid = codec.read_header(request.body)[2]
                body = codec.encode("add", TMessageType.REPLY, seqid, Calculator.add_result(number))
                self.caller.reply_bytes(request, body, correlation_id=None)
            self.assertEqual(firsts, [[0], [1], [2]])

    def test_reply_that_does_not_decode(self) -> None:
        """PITFALLS, stubs 1: a reply that does not decode fails its call at once."""
        good = BINARY.encode("add", TMessageType.REPLY, 1, Calculator.add_result(3))
        for body in (b"", b"garbage", good[:-3], good + b"\x00", b"[1", good[:16]):
            fired, request = self.call()
            self.caller.reply_bytes(request, body)
            self.assertIn("Calculator.add", self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN))

    def test_half_written_reply(self) -> None:
        """PITFALLS, stubs 2: a half-written reply followed by an exception gives an error, not a wrong value."""
        fired, request = self.call()
        seqid = BINARY.read_header(request.body)[2]
        half = BINARY.encode("add", TMessageType.REPLY, seqid, Calculator.add_result(3))
        error = BINARY.encode("add", TMessageType.EXCEPTION, seqid, TApplicationException(6, "no"))
        self.caller.reply_bytes(request, half + error)
        self.assert_fails(fired, InvalidReply)

    def test_wrong_name_kind_or_seqid(self) -> None:
        """PITFALLS, stubs 6: a reply's name, kind and seqid are compared with the call's."""
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

    def test_result_of_another_type(self) -> None:
        """PITFALLS, stubs 6: a reply of the wrong struct gives no value of the wrong type."""
        fired, request = self.call()
        self.caller.reply(request, Calculator.blob_result(b"bytes"))
        self.assert_fails(fired, TApplicationException)
        fired, request = self.call("echo", Work())
        self.caller.reply(request, Calculator.echo_result(Work(1, 2)))
        self.assertEqual(fired, [Work(1, 2)])

    def test_other_protocol(self) -> None:
        """A reply in another protocol than the request's does not decode."""
        fired, request = self.call()
        self.caller.reply(request, Calculator.add_result(3), codec=CODECS["json"])
        self.assert_fails(fired, InvalidReply)

    def test_unknown_replies(self) -> None:
        """PITFALLS, stubs 6: replies to nobody, repeated ones and unreadable ones are counted, and settle nothing."""
        fired, request = self.call()
        strange = ("2", "0", "-1", "999", "", "x", "1.5", "\udcff", "9" * 255, str(2**31))
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
        self.assertEqual(self.caller.subject.answers.late_replies, len(strange) + 5)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_reply_to_a_oneway(self) -> None:
        """A reply to a oneway call does not settle it: the broker's confirm does."""
        fired, request = self.call("zip")
        self.caller.reply(request, TApplicationException())
        self.assertEqual(fired, [])
        self.wire.confirm(1)
        self.assertEqual(fired, [None])

    def test_refusals(self) -> None:
        """A worker's refusal is told by its header: surely not executed."""
        for word, error in (("too-large", MessageTooLarge), ("overloaded", Overloaded), ("other", ServiceUnavailable)):
            fired, request = self.call()
            refusal = TApplicationException(TApplicationException.PROTOCOL_ERROR, "refused because")
            self.caller.reply(request, refusal, headers={"rpc-outcome": word})
            self.assertIn("refused because", self.assert_fails(fired, error, Outcome.REJECTED))

    def test_required_field_unset(self) -> None:
        """PITFALLS, stubs 7: a result that lacks a required field is no result."""
        stub: Any = Report
        client = Client(Stub.of(stub), lambda _: self.caller.subject, ClientOptions())
        fired = outcome_of(client.summarize("", 1))
        summary: Any = Summary
        self.caller.reply(self.request(), stub.summarize_result(summary(documents=1)))
        self.assertIn("unset", self.assert_fails(fired, InvalidReply))


class SettlingTests(RequestTestCase):
    """What else settles a call."""

    def test_unroutable(self) -> None:
        """A returned request is ServiceUnavailable; the confirm that follows does no more."""
        for name in ("ping", "zip"):
            fired = outcome_of(getattr(self.client, name)())
            self.wire.give_back(self.request())
            self.wire.confirm(1 if name == "ping" else 2)
            message = self.assert_fails(fired, ServiceUnavailable, Outcome.REJECTED)
            self.assertIn("no worker has ever served 'Calculator'", message)

    def test_refused_by_the_broker(self) -> None:
        """A nack is Overloaded."""
        fired = outcome_of(self.client.ping())
        self.wire.confirm(1, refuse=True)
        self.assert_fails(fired, Overloaded, Outcome.REJECTED)

    def test_oneway_fires_on_the_confirm(self) -> None:
        """PITFALLS, stubs 8: a oneway call fires when the broker has confirmed it, not before; others do not then."""
        oneways = [outcome_of(self.client.zip()) for _ in range(3)]
        call = outcome_of(self.client.ping())
        self.assertEqual(oneways, [[], [], []])
        self.wire.confirm(2, multiple=True)
        self.assertEqual(oneways, [[None], [None], []])
        self.wire.confirm(4)
        self.wire.confirm(3)
        self.assertEqual([*oneways, call], [[None], [None], [None], []])

    def test_timeout(self) -> None:
        """At its deadline, not before, a call fails; what was sent may have been executed."""
        for name in ("ping", "zip"):
            fired = outcome_of(getattr(self.caller.client(timeout=2.0), name)())
            self.wire.clock.advance(1.98)
            self.assertEqual(fired, [])
            self.wire.clock.advance(0.03)
            self.assert_fails(fired, CallTimedOut, Outcome.UNKNOWN)

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

    def test_many_deadlines_one_timer(self) -> None:
        """Shorter deadlines expire before longer ones that came first, and there is one timer for all."""
        order: list[float] = []
        for timeout in (3.0, 1.0, 2.0, 1.0):
            self.caller.client(timeout=timeout).ping().addErrback(lambda _, timeout=timeout: order.append(timeout))
        self.assertEqual(len(self.wire.clock.getDelayedCalls()), 1)
        self.wire.clock.pump([0.5] * 8)
        self.assertEqual(order, [1.0, 1.0, 2.0, 3.0])
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        """PITFALLS, stubs 6: cancelling leaves nothing; a reply, return or confirm that comes later is nobody's."""
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

    def test_channel_lost(self) -> None:
        """PITFALLS, stubs 4: what was sent fails when the channel is lost; what comes after waits for the next one."""
        fired = outcome_of(self.caller.client(idempotent=[]).ping())
        self.wire.close_channel()
        self.assert_fails(fired, ConnectionLost, Outcome.UNKNOWN)
        later = outcome_of(self.client.ping())
        self.assertEqual(later, [])
        self.wire.take()
        self.caller.open()
        self.caller.reply(self.request(), Calculator.ping_result())
        self.assertEqual(later, [None])

    def test_confirms_begin_anew(self) -> None:
        """Confirms on a new channel count from 1, whatever was outstanding on the last."""
        lost = [outcome_of(self.client.zip()) for _ in range(3)]
        self.wire.close_channel()
        self.caller.open()
        fired = outcome_of(self.client.zip())
        self.wire.confirm(1)
        self.assertEqual(fired, [None])
        self.assertEqual([type(error) for (error,) in lost], [ConnectionLost] * 3)

    def test_reply_queue_deleted(self) -> None:
        """When the broker ends the consumer of replies, calls fail at once and the channel is given up."""
        fired = outcome_of(self.caller.client(idempotent=[]).ping())
        self.wire.peer.feed(method(self.wire.channel.id, "basic.cancel", "c1", True))
        self.assertIn("reply queue", self.assert_fails(fired, ConnectionLost, Outcome.UNKNOWN))
        self.assertTrue(self.wire.channel.closed)

    def test_never_sent(self) -> None:
        """A call that finds no channel until its deadline was surely not sent, and says what stood in the way."""
        caller = CallerInMemory()
        caller.link.problem = "the cat sits on the cable"
        fired = outcome_of(caller.client(timeout=1.0).ping())
        caller.wire.clock.advance(1.1)
        self.assertIsInstance(fired[0], CallTimedOut)
        self.assertIs(fired[0].outcome, Outcome.NOT_SENT)
        self.assertIn("the cat sits", str(fired[0]))
        caller.open()
        self.assertEqual(caller.wire.take(), [])

    def test_waiting_calls(self) -> None:
        """Calls made before there is a channel are sent in order once there is one, with what is left of their time."""
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

    def test_waiting_calls_cancelled_by_another(self) -> None:
        """A call that is cancelled while those before it are sent is not sent."""
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

    def test_blocked(self) -> None:
        """While the broker takes no messages, calls fail at once with its reason; afterwards they go out."""
        self.wire.peer.feed(method(0, "connection.blocked", "low on memory"))
        fired = outcome_of(self.client.ping())
        self.assertIn("low on memory", self.assert_fails(fired, BrokerBlocked, Outcome.NOT_SENT))
        self.wire.peer.feed(method(0, "connection.unblocked"))
        self.client.ping()
        self.request()

    def test_close(self) -> None:
        """Closing settles everything, waiting calls too, and later calls fail at once."""
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

    def test_errors_are_thrifts(self) -> None:
        """Code written for any Thrift transport catches our errors."""
        self.wire.close_channel()
        fired = outcome_of(self.client.ping())
        self.caller.subject.close()
        self.assertIsInstance(fired[0], TTransportException)
