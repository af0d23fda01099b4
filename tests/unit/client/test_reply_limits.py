"""Replies over ``max_message_size`` and ``max_elements``: the call fails, and the reply is not decoded."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException, TMessageType

from generated.calculator import Calculator as CalculatorStub
from rpc.client.options import ClientOptions
from rpc.client.raw import call_raw
from rpc.envelope import CODECS
from rpc.errors import InvalidReply, Outcome
from rpc.messages import Properties
from tests.unit.amqp.peer import outcome_of
from tests.unit.client.caller_in_memory import RequestTestCase
from tests.unit.logs import log_lines

Calculator: Any = CalculatorStub


class ReplyLimitTests(RequestTestCase):
    """The options of a client."""

    def fails(self, result: Any, **options: Any) -> str:
        """Return the error of a call that is answered with `result`."""
        fired = outcome_of(self.caller.client(**options).blob(b""))
        request = self.request()
        self.caller.reply(request, result, codec=CODECS[options.get("protocol", "binary")])
        return self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN)

    def test_refuses_a_reply_over_max_elements(self) -> None:
        """In each protocol, with the name of the option."""
        for protocol in CODECS:
            result = Calculator.blob_result(b"a" * 100_000)
            text = self.fails_in(protocol, result)
            self.assertEqual(text, "Calculator.blob: the reply is over max_elements of 100", protocol)

    def fails_in(self, protocol: str, result: Any) -> str:
        """Return the error of a call in `protocol` whose reply may have 100 elements."""
        fired = outcome_of(self.caller.client(protocol=protocol, max_elements=100).blob(b""))
        request = self.request()
        codec = CODECS[protocol]
        kind = TMessageType.EXCEPTION if isinstance(result, TApplicationException) else TMessageType.REPLY
        body = codec.encode("blob", kind, codec.read_header(request.body)[2], result)
        self.caller.reply_bytes(request, body)
        return self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN)

    def test_refuses_an_exception_over_max_elements(self) -> None:
        """The worker's own words count as well."""
        for protocol in CODECS:
            error = TApplicationException(TApplicationException.INTERNAL_ERROR, "why" * 10_000)
            self.assertIn("over max_elements of 100", self.fails_in(protocol, error), protocol)

    def test_refuses_a_reply_over_max_message_size(self) -> None:
        """Before its head is read; also a rejection, and a reply with metadata."""
        result = Calculator.blob_result(b"a" * 1000)
        self.assertRegex(
            self.fails(result, max_message_size=999),
            r"^Calculator.blob: a reply of 10\d\d bytes, over the client's max_message_size of 999$",
        )
        self.assertEqual(self.accepted(max_message_size=2000), [b"a" * 1000])

    def accepted(self, **options: Any) -> list[Any]:
        """Return the outcome of a call."""
        fired = outcome_of(self.caller.client(**options).blob(b""))
        self.caller.reply(self.request(), Calculator.blob_result(b"a" * 1000))
        return fired

    def test_refuses_a_reply_with_too_many_headers(self) -> None:
        """Also a refusal or keepalive: their headers are not read."""
        many = {str(number): number for number in range(600)}
        for further, fits in (({}, True), ({"more": 1}, False), ({"rpc-keepalive": "w"}, False)):
            fired = outcome_of(self.client.blob(b""))
            self.caller.reply(self.request(), Calculator.blob_result(b"a"), headers={**many, **further})
            if fits:
                self.assertEqual(fired, [b"a"])
            else:
                self.assertIn("more than 600 values", self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN))

    def test_a_flood_of_unreadable_replies_writes_a_line_a_second(self) -> None:
        """And closing leaves no timer."""
        lines = log_lines(self)
        timers = len(self.wire.clock.getDelayedCalls())
        for _ in range(100):
            self.wire.deliver(b"malformed", b"\xff\xff\x00")
        self.assertEqual(len(lines), 1)
        self.wire.clock.advance(1.0)
        self.assertEqual(len(lines), 2)
        self.assertIn("a reply that cannot be read: ", lines[1])
        self.assertIn("(98 more within 1 s are not in the log)", lines[1])
        self.wire.deliver(b"malformed", Properties())
        self.caller.subject.close()
        self.assertEqual((len(lines), len(self.wire.clock.getDelayedCalls())), (3, timers))

    def test_refuses_a_reply_that_was_not_gathered(self) -> None:
        """It is over the connection's limit, and only its beginning is there."""
        self.wire.peer.connection.max_content = 200_000
        text = self.fails(Calculator.blob_result(b"a" * 300_000), max_message_size=200_000)
        self.assertRegex(text, r"a reply of 3000\d\d bytes, over the client's max_message_size of 200000")

    def test_refuses_a_raw_reply_over_max_message_size(self) -> None:
        """Of :meth:`rpc.Connection.call_raw`, whose limit is the default."""
        message = CODECS["binary"].encode("blob", TMessageType.CALL, 1, Calculator.blob_args(b""))
        options = ClientOptions(name="Calculator", max_message_size=500)
        fired = outcome_of(call_raw(self.caller.subject.call, options, None, message))
        self.caller.reply(self.request(), Calculator.blob_result(b"a" * 1000))
        self.assertIn("max_message_size of 500", self.assert_fails(fired, InvalidReply))
