"""Requests over ``max_message_size`` and ``max_elements``: rejected, and not decoded."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException, TMessageType

from generated.calculator import Calculator as CalculatorStub
from rpc.envelope import CODECS, read_application_exception
from rpc.messages import Properties
from tests.unit.wire import Published
from tests.unit.worker.test_server import ServingTestCase

Calculator: Any = CalculatorStub


class RequestLimitTests(ServingTestCase):
    """The options of a service."""

    def ask_for_blob(self, size: int, protocol: str = "binary", **properties: Any) -> int:
        """Send `size` bytes."""
        codec = CODECS[protocol]
        body = codec.encode("blob", properties.pop("kind", TMessageType.CALL), 7, Calculator.blob_args(bytes(size)))
        given = {"reply_to": "amq.gen-replies", "correlation_id": "c", "content_type": codec.content_type} | properties
        return self.wire.deliver(body, Properties(**given), "c2")

    def assert_rejected(self, reply: Published, text: str, protocol: str = "binary") -> None:
        """The reply is an exception for the call, with the header that tells of a limit."""
        codec = CODECS[protocol]
        name, kind, seqid, start = codec.read_header(reply.body)
        self.assertEqual((name, kind, seqid), ("blob", TMessageType.EXCEPTION, 7))
        error = read_application_exception(codec, reply.body, start)
        self.assertEqual((error.type, error.message), (TApplicationException.PROTOCOL_ERROR, text))
        self.assertEqual((reply.properties.headers or {})["rpc-outcome"], "too-large")

    def test_rejects_a_request_over_max_elements(self) -> None:
        """In each protocol; it is acked, and no dead letter. The next one is served."""
        for protocol in CODECS:
            self.serve(max_elements=3000)
            tag = self.ask_for_blob(120_000, protocol)
            self.assert_rejected(self.reply(), "a request over Calculator's max_elements of 3000", protocol)
            self.assertEqual(self.settled(), [("ack", tag, True)])
            self.ask_for_blob(10_000, protocol)
            self.assertNotIn("rpc-outcome", self.reply().properties.headers or {})

    def test_a_oneway_request_over_max_elements_is_a_dead_letter(self) -> None:
        """Its publisher has the broker's confirm, and cannot be told."""
        self.serve(max_elements=100)
        self.ask_for_blob(10_000, kind=TMessageType.ONEWAY, reply_to=None)
        (letter,) = self.wire.take()
        self.assertEqual(letter.exchange, "rpc.dead")
        reason = (letter.properties.headers or {})["rpc-dead-reason"]
        self.assertEqual(reason, "a request over Calculator's max_elements of 100")

    def deliver_cut(self, **properties: Any) -> int:
        """Deliver a request whose body is over the connection's limit, so that only its beginning is kept."""
        self.wire.peer.connection.max_content = 500_000
        try:
            return self.ask_for_blob(800_000, **properties)
        finally:
            self.wire.peer.connection.max_content = 2**63

    def test_answers_a_request_that_was_not_gathered(self) -> None:
        """Its head has the method's name and the seqid; also when it is delivered again."""
        for headers in (None, {"rpc-deliveries": 1}):
            self.serve(max_message_size=500_000)
            tag = self.deliver_cut(headers=headers)
            text = "a request of 800024 bytes, over Calculator's max_message_size of 500000"
            self.assert_rejected(self.reply(), text)
            self.assertEqual(self.settled(), [("ack", tag, True)])

    def test_a_oneway_request_that_was_not_gathered_is_a_dead_letter(self) -> None:
        """Its beginning is kept, and a header says so."""
        self.serve(max_message_size=500_000)
        self.deliver_cut(kind=TMessageType.ONEWAY, reply_to=None)
        (letter,) = self.wire.take()
        self.assertEqual((letter.routing_key, len(letter.body)), ("Calculator@invalid", 16384))
        headers = dict(letter.properties.headers or {})
        self.assertIn("max_message_size of 500000", headers.pop("rpc-dead-reason"))
        self.assertEqual(headers, {"rpc-dead-size": 800024})
