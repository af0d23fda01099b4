"""Framed clients of the gateway, on a transport in memory."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import fail

from rpc.client.raw import RawClient
from rpc.envelope import CODECS
from rpc.gateway.answers import UNFRAMED
from rpc.gateway.framed import HELD
from tests.unit.gateway.gateway_in_memory import (
    Calculator,
    GatewayTestCase,
    exception_in,
    frame_in,
    framed,
    frames,
    request,
    result,
)
from tests.unit.logs import log_lines


class CallTests(GatewayTestCase):
    """Messages go to services, and answers come back."""

    def test_answers_in_the_protocol_of_the_request_with_its_seqid(self) -> None:
        protocol, transport = self.connect()
        for seqid, each in enumerate(CODECS, 100):
            protocol.dataReceived(framed(request(seqid=seqid, protocol=each)))
            (published,) = self.requests()
            self.assertEqual(published.properties.type, "Calculator.add")
            self.answer(published)
            self.assertEqual(transport.take(), framed(result(seqid=seqid, protocol=each)))
        self.leave(protocol)
        self.assert_nothing_left()

    def test_takes_the_older_form_of_the_binary_protocol(self) -> None:
        """Clients with ``strictWrite=False`` send no version."""
        protocol, transport = self.connect()
        strict = request()
        protocol.dataReceived(framed(b"\0\0\0\3add\1" + strict[11:]))
        self.answer(self.requests()[0])
        self.assertEqual(frames(transport.take()), [result()])

    def test_a_multiplexed_name_chooses_the_service(self) -> None:
        """The worker gets, and the client expects, the name of the method alone."""
        protocol, transport = self.connect()
        for each in CODECS:
            protocol.dataReceived(framed(request("Other:add", protocol=each)))
            (published,) = self.requests()
            self.assertEqual(published.properties.type, "Other.add")
            self.assertEqual(CODECS[each].read_header(published.body)[0], "add")
            self.answer(published)
            self.assertEqual(frames(transport.take()), [result(protocol=each)])

    def test_refuses_a_service_that_was_not_named(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request("Secret:add")))
        name, seqid, kind, text = exception_in(frame_in(transport.take()))
        self.assertEqual((name, seqid, kind), ("add", 7, TApplicationException.UNKNOWN_METHOD))
        self.assertEqual(text, "this gateway has no service 'Secret'; it has Calculator, Other")
        self.assertEqual(self.requests(), [])

    def test_refuses_messages_that_are_no_request(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request(kind=TMessageType.REPLY)))
        self.assertEqual(exception_in(frame_in(transport.take()))[2], TApplicationException.INVALID_MESSAGE_TYPE)

    def test_answers_a_message_whose_head_cannot_be_read(self) -> None:
        """The frames are whole, so the connection goes on."""
        protocol, transport = self.connect()
        for each, message in (("binary", b"\x80\1\0\1\0\0\xff\xffab"), ("compact", b"\x82"), ("json", b"[2,")):
            protocol.dataReceived(framed(message))
            self.assertEqual(exception_in(frame_in(transport.take()), each)[2], TApplicationException.PROTOCOL_ERROR)
        self.assertFalse(transport.disconnecting)

    def test_answers_names_that_no_method_has(self) -> None:
        """AMQP's texts are shorter than Thrift's."""
        protocol, transport = self.connect()
        for name in ("x" * 1000, "x" * 2000, "", "a\n\x1b[2J", "größer", ":", "::", "Other:", ":add", "Other:a:b"):
            protocol.dataReceived(framed(request(name)))
            published = self.requests()
            if published:
                self.answer(published[0])
            self.assertEqual(len(frames(transport.take())), 1, name)
        self.assertFalse(transport.disconnecting)
        self.leave(protocol)
        self.assert_nothing_left()

    def test_an_error_of_the_call_is_an_exception_message(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request()))
        self.caller.wire.give_back(self.requests()[0])
        name, seqid, kind, text = exception_in(frame_in(transport.take()))
        self.assertEqual((name, seqid, kind), ("add", 7, TApplicationException.INTERNAL_ERROR))
        self.assertRegex(text, r"^ServiceUnavailable: .*\(not executed\)$")

    def test_a_broker_that_is_lost_ends_the_calls_that_it_has(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request()))
        self.caller.wire.close_channel()
        text = exception_in(frame_in(transport.take()))[3]
        self.assertRegex(text, r"^ConnectionLost: .*\(may have been executed\)$")

    def test_a_call_without_a_broker_ends_at_its_deadline(self) -> None:
        self.set_up(is_open=False, timeout=5.0)
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request()))
        self.clock.pump([1.0] * 6)
        self.assertRegex(exception_in(frame_in(transport.take()))[3], "^CallTimedOut: .*not executed")
        self.leave(protocol)
        self.assert_nothing_left()

    def test_a_oneway_call_has_no_answer(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request(kind=TMessageType.ONEWAY), request()))
        oneway, call = self.requests()
        self.assertIsNone(oneway.properties.reply_to)
        self.answer(call)  # before the oneway call is confirmed
        self.assertEqual(frames(transport.take()), [result()])
        self.caller.wire.confirm(1)
        self.assertEqual(transport.take(), b"")

    def test_a_oneway_call_that_is_lost_is_logged(self) -> None:
        protocol, transport = self.connect()
        lines = log_lines(self)
        protocol.dataReceived(framed(request(kind=TMessageType.ONEWAY)))
        self.caller.wire.give_back(self.requests()[0])
        protocol.dataReceived(framed(request("Secret:add", kind=TMessageType.ONEWAY)))
        self.assertEqual([line.partition(":")[0] for line in lines], ["a oneway call is lost"] * 2)
        self.assertEqual(transport.take(), b"")

    def test_a_fault_of_the_gateway_is_logged(self) -> None:
        """With its traceback. The client of a call gets an answer, without the reason."""
        protocol, transport = self.connect()
        self.patch(RawClient, "send", lambda *_: fail(KeyError("a fault")))
        protocol.dataReceived(framed(request(kind=TMessageType.ONEWAY), request()))
        self.clock.advance(0)
        found = exception_in(frame_in(transport.take()))
        self.assertEqual(found, ("add", 7, TApplicationException.INTERNAL_ERROR, "Internal error"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)

    def test_a_client_that_leaves_cancels_its_calls_but_no_oneway_call(self) -> None:
        protocol, _ = self.connect()
        protocol.dataReceived(framed(request(kind=TMessageType.ONEWAY), request()))
        self.leave(protocol)
        self.assertEqual([call.operation.oneway for call in self.caller.subject.pending.calls.values()], [True])
        self.caller.wire.confirm(1)
        self.assert_nothing_left()


class OrderTests(GatewayTestCase):
    """Several requests before an answer."""

    def pipelined(self, **options: Any) -> list[bytes]:
        """Send three requests, answer them in another order, and return the answers."""
        self.set_up(**options)
        protocol, transport = self.connect()
        protocol.dataReceived(framed(*(request(seqid=0) for _ in range(3))))
        published = self.requests()
        for index in (2, 0, 1):
            self.answer(published[index], value=index)
        return frames(transport.take())

    def test_answers_have_the_order_of_the_requests(self) -> None:
        self.assertEqual(self.pipelined(), [result(value, seqid=0) for value in (0, 1, 2)])

    def test_answers_come_at_once_when_they_need_no_order(self) -> None:
        self.assertEqual(self.pipelined(unordered=True), [result(value, seqid=0) for value in (2, 0, 1)])

    def test_the_gateways_own_answers_are_in_order_too(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request(), request("Secret:add")))
        self.assertEqual(transport.take(), b"")
        self.answer(self.requests()[0])
        first, second = frames(transport.take())
        self.assertEqual(first, result())
        self.assertEqual(exception_in(second)[2], TApplicationException.UNKNOWN_METHOD)


class BackPressureTests(GatewayTestCase):
    """Bounded requests, bounded answers."""

    def test_reads_no_more_requests_while_enough_calls_are_in_progress(self) -> None:
        self.set_up(in_flight=2)
        protocol, transport = self.connect()
        protocol.dataReceived(framed(*(request(seqid=seqid) for seqid in range(5))))
        published = self.requests()
        self.assertEqual((len(published), transport.producerState), (2, "paused"))
        self.answer(published[0])
        self.assertEqual(len(self.requests()), 1)
        self.answer(published[1])
        (last,) = self.requests()
        self.assertEqual(transport.producerState, "paused")
        self.answer(last)
        self.assertEqual(transport.producerState, "paused" if self.requests() else "producing")

    def test_a_client_that_does_not_read_gets_no_more_and_is_not_read(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request(seqid=1), request("blob", seqid=2)))
        first, second = self.requests()
        self.answer(first)
        protocol.pauseProducing()
        codec = CODECS["binary"]
        blob = Calculator.blob_result(bytes(10_000))
        seqid = codec.read_header(second.body)[2]
        self.caller.reply_bytes(second, codec.encode("blob", TMessageType.REPLY, seqid, blob))
        self.assertEqual(frames(transport.take()), [result(seqid=1)])
        self.assertEqual(transport.producerState, "paused")
        self.assertGreater(self.connections.buffered, 10_000)
        protocol.resumeProducing()
        self.assertEqual(frames(transport.take()), [codec.encode("blob", TMessageType.REPLY, 2, blob)])
        self.assertEqual((transport.producerState, self.connections.buffered), ("producing", 0))

    def test_a_client_that_never_reads_is_aborted(self) -> None:
        protocol, transport = self.connect()
        protocol.pauseProducing()
        self.clock.pump([1.0] * 59)
        self.assertFalse(transport.aborted)
        self.clock.pump([1.0] * 2)
        self.assertTrue(transport.aborted)
        self.leave(protocol)
        self.assert_nothing_left()

    def test_answers_that_wait_for_an_earlier_one_are_bounded(self) -> None:
        """The gateway reads no further requests while it holds much."""
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request(), request("blob")))
        first, second = self.requests()
        codec = CODECS["binary"]
        blob = codec.encode(
            "blob", TMessageType.REPLY, codec.read_header(second.body)[2], Calculator.blob_result(bytes(HELD))
        )
        self.caller.reply_bytes(second, blob)
        self.assertEqual(transport.producerState, "paused")
        protocol.dataReceived(framed(request()))
        self.assertEqual(self.requests(), [])
        self.answer(first)
        self.assertEqual(transport.producerState, "producing")
        self.assertEqual(len(self.requests()), 1)

    def test_large_requests_are_forwarded_one_after_the_other(self) -> None:
        """The gateway keeps a request until its call is settled."""
        protocol, transport = self.connect()
        large = CODECS["binary"].encode("add", TMessageType.CALL, 7, Calculator.blob_args(bytes(HELD)))
        protocol.dataReceived(framed(large, large))
        (first,) = self.requests()
        self.assertEqual(transport.producerState, "paused")
        self.answer(first)
        self.answer(self.requests()[0])
        self.assertEqual(frames(transport.take()), [result(), result()])
        self.assertEqual((self.connections.buffered, transport.producerState), (0, "producing"))

    def test_oneway_calls_of_clients_that_leave_are_bounded(self) -> None:
        self.set_up(max_buffered=100)
        message = request(kind=TMessageType.ONEWAY)
        for _ in range(100 // len(message)):
            protocol, _ = self.connect()
            protocol.dataReceived(framed(message))
            self.leave(protocol)
        lines = log_lines(self)
        protocol, _ = self.connect()
        protocol.dataReceived(framed(message))
        self.assertRegex(lines[0], "^a oneway call is lost: Overloaded: Calculator.add: .* max_buffered=100 bytes")
        self.caller.wire.confirm(0, multiple=True)
        self.leave(protocol)
        self.assert_nothing_left()
        self.assertEqual(self.forwarder._oneway_bytes, 0)

    def test_all_connections_together_may_keep_so_many_bytes(self) -> None:
        """The connection that needs more is aborted, the others go on."""
        self.set_up(max_buffered=100_000)
        first, first_transport = self.connect()
        second, second_transport = self.connect()
        first.dataReceived(framed(bytes(200_000))[:80_000])
        second.dataReceived(framed(bytes(200_000))[:30_000])
        self.assertEqual((first_transport.aborted, second_transport.aborted), (False, True))
        self.leave(second)
        self.leave(first)
        self.assert_nothing_left()


class HostileTests(GatewayTestCase):
    """Clients that send something else, or nothing."""

    def test_a_client_without_frames_is_told_and_closed(self) -> None:
        for each in CODECS:
            protocol, transport = self.connect()
            protocol.dataReceived(request(protocol=each))
            _, _, kind, text = exception_in(transport.take(), each)
            self.assertEqual((kind, text), (TApplicationException.UNSUPPORTED_CLIENT_TYPE, UNFRAMED))
            self.assertTrue(transport.disconnecting)

    def test_a_client_of_http_is_closed(self) -> None:
        protocol, transport = self.connect()
        lines = log_lines(self)
        protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(transport.disconnecting)
        self.assertEqual(lines, ["the connection from 192.0.2.7:4000 is closed: its messages are not framed"])

    def test_a_frame_of_something_else_is_closed(self) -> None:
        for message in (b"", b"rubbish", b"\x0f\xff", b"\x0f\xff" + b"\xff" * 40):
            protocol, transport = self.connect()
            protocol.dataReceived(framed(message, request()))
            self.assertTrue(transport.disconnecting, message)
            self.assertEqual((transport.take(), self.requests()), (b"", []))

    def test_calls_in_progress_are_answered_before_the_connection_closes(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request(), b"rubbish"))
        self.assertFalse(transport.disconnecting)
        self.answer(self.requests()[0])
        self.assertEqual(frames(transport.take()), [result()])
        self.assertTrue(transport.disconnecting)

    def test_a_request_over_the_limit_is_told_and_the_next_one_is_served(self) -> None:
        """Its bytes are not kept, however they come."""
        self.set_up(max_message_size=20_000)
        large = framed(CODECS["compact"].encode("blob", TMessageType.CALL, 5, Calculator.blob_args(bytes(300_000))))
        for size in (len(large) + 100, 1000, 5000):
            protocol, transport = self.connect()
            sent = large + framed(request())
            for start in range(0, len(sent), size):
                protocol.dataReceived(sent[start : start + size])
                self.assertLess(self.connections.buffered, 20_000)
            (published,) = self.requests()
            self.answer(published)
            told, served = frames(transport.take())
            name, seqid, kind, text = exception_in(told, "compact")
            self.assertEqual((name, seqid, kind), ("blob", 5, TApplicationException.PROTOCOL_ERROR))
            self.assertRegex(text, r"^MessageTooLarge: .* max_message_size of 20000 \(not executed\)$")
            self.assertEqual(served, result())
            self.leave(protocol)

    def test_a_large_frame_of_something_else_is_closed(self) -> None:
        self.set_up(max_message_size=100)
        protocol, transport = self.connect()
        protocol.dataReceived(framed(b"x" * 10_000))
        self.assertTrue(transport.disconnecting)

    def test_half_a_frame_is_waited_for_only_so_long(self) -> None:
        """Single bytes do not lengthen the wait."""
        protocol, transport = self.connect()
        protocol.dataReceived(framed(bytes(1000))[:5])
        for _ in range(59):
            self.clock.advance(1.0)
            protocol.dataReceived(b"\0")
        self.assertFalse(transport.aborted)
        self.clock.pump([1.0] * 2)
        self.assertTrue(transport.aborted)

    def test_a_client_that_sends_frame_after_frame_may_always_be_in_the_middle_of_one(self) -> None:
        self.set_up(transfer_timeout=3.0)
        protocol, transport = self.connect()
        message = framed(request(kind=TMessageType.ONEWAY))
        protocol.dataReceived(message[:5])
        for number in range(1, 10):
            self.clock.advance(2.0)
            protocol.dataReceived(message[5:] + message[:5])
            self.caller.wire.confirm(number)
        self.assertFalse(transport.aborted)

    def test_an_idle_client_is_aborted_later(self) -> None:
        protocol, transport = self.connect()
        self.clock.pump([1.0] * 599)
        self.assertFalse(transport.aborted)
        self.clock.pump([1.0] * 2)
        self.assertTrue(transport.aborted)
        self.leave(protocol)
        self.assert_nothing_left()

    def test_a_client_that_waits_for_its_answer_is_not_idle(self) -> None:
        self.set_up(timeout=2000.0)
        protocol, transport = self.connect()
        protocol.dataReceived(framed(request()))
        self.clock.pump([1.0] * 700)
        self.assertFalse(transport.aborted)
        self.answer(self.requests()[0])
        self.clock.pump([1.0] * 590)
        self.assertFalse(transport.aborted)

    def test_further_connections_are_closed(self) -> None:
        self.set_up(max_connections=2)
        protocol, _ = self.connect()
        self.connect(http=True)
        lines = log_lines(self)
        self.assertRaises(AttributeError, self.connect)  # there is no protocol
        self.assertEqual(lines, ["a connection from 192.0.2.7:4000 is closed: max_connections=2"])
        self.leave(protocol)
        self.connect()

    def test_a_draining_connection_closes_when_its_calls_are_answered(self) -> None:
        idle, idle_transport = self.connect()
        busy, busy_transport = self.connect()
        busy.dataReceived(framed(request()))
        drained = self.connections.drain()
        self.assertEqual((idle_transport.disconnecting, busy_transport.disconnecting), (True, False))
        busy.dataReceived(framed(request()))
        (published,) = self.requests()  # the second is not read
        self.answer(published)
        self.assertEqual(frames(busy_transport.take()), [result()])
        self.assertTrue(busy_transport.disconnecting)
        self.leave(idle)
        self.assertNoResult(drained)
        self.leave(busy)
        self.successResultOf(drained)
        self.assert_nothing_left()
