"""A request as a worker reads it: its method, its rejection, and the properties of its reply."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from thrift.Thrift import TApplicationException, TMessageType
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from rpc.amqp.brokers import BrokerVersion
from rpc.amqp.codec.fields import encode_short_string
from rpc.amqp.codec.properties import (
    HEADERS,
    decode_properties,
    encode_properties,
    join_properties,
    split_properties,
)
from rpc.amqp.content import Delivery
from rpc.envelope import CODECS
from rpc.messages import Properties
from rpc.stub import Stub, StubMethod
from rpc.worker.arguments import ArgumentsReader
from rpc.worker.outgoing import dead_letter_properties, reply_properties
from rpc.worker.rejection import Rejection
from rpc.worker.reply_address import DEFAULT_BEGINNINGS
from rpc.worker.request import SHARED, Request

Calculator: Any = CalculatorStub

WHY = {"rpc-dead-reason": "why"}

MANY = Properties(headers={str(number): number for number in range(601)})

METHODS = Stub.of(Calculator).methods
BINARY = CODECS["binary"]
ADD = BINARY.encode("add", TMessageType.CALL, 7, Calculator.add_args(1, 2))

COPY = encode_short_string("") + encode_short_string("rpc.Calculator")
"""The routing of a copy that a worker has published."""


def letter_of(asked: Request, headers: dict[str, Any], with_headers: bool = True) -> Properties:
    """The properties of a request as a dead letter."""
    return decode_properties(dead_letter_properties(asked, headers, with_headers))


texts = st.none() | st.binary(max_size=255).map(lambda data: data.decode("utf-8", "surrogateescape"))


def read(asked: Request) -> tuple[StubMethod, Any]:
    """Method and arguments of a request."""
    method, start = asked.read_head("Calculator", METHODS)
    return method, ArgumentsReader("Calculator").read(asked, method, start)


RABBITMQ_4_0, RABBITMQ_4_3 = BrokerVersion("RabbitMQ", (4, 0)), BrokerVersion("RabbitMQ", (4, 3))


def request(
    body: bytes = ADD,
    properties: Properties | bytes = b"\x00\x00",
    now: float = 100.0,
    broker: BrokerVersion = RABBITMQ_4_0,
    reply_queues: tuple[bytes, ...] = DEFAULT_BEGINNINGS,
) -> Request:
    """A request as it was delivered."""
    channel: Any = SimpleNamespace(client=SimpleNamespace(broker=broker))
    encoded = properties if isinstance(properties, bytes) else encode_properties(properties)
    return Request(Delivery(channel, 1, True, b"", encoded, body), now, SHARED, reply_queues)


class ReadTests(SynchronousTestCase):
    """Reading header and arguments."""

    def rejection(self, asked: Request) -> Rejection:
        """Return why `asked` is rejected, and check that it can be answered."""
        rejection: Rejection = self.assertRaises(Rejection, read, asked)
        answer = asked.reply(TMessageType.EXCEPTION, rejection.answer)
        self.assertEqual(asked.codec.read_header(answer)[:3], (asked.name, TMessageType.EXCEPTION, asked.seqid))
        return rejection

    def test_reads_a_request_in_every_protocol(self) -> None:
        """Method and arguments, in each protocol: by content type, and by the body where there is none."""
        for codec in CODECS.values():
            body = codec.encode("add", TMessageType.CALL, 7, Calculator.add_args(1, 2))
            for content_type in (codec.content_type, f"{codec.content_type.upper()};a=b", "", None):
                asked = request(body, Properties(content_type=content_type, reply_to="amq.gen-q"))
                method, arguments = read(asked)
                self.assertEqual((method.name, arguments), ("add", Calculator.add_args(1, 2)))
                self.assertEqual((asked.name, asked.seqid, asked.label), ("add", 7, "Calculator.add"))
                self.assertTrue(asked.wants_reply)
                self.assertIs(asked.codec, codec)
                looked_at = request(body, Properties(content_type=content_type, reply_to="amq.gen-q"))
                looked_at.peek("Calculator")
                self.assertEqual((looked_at.codec, looked_at.label), (codec, "Calculator.add"))

    def test_bounds_the_expiration_of_a_reply(self) -> None:
        """An expiration of as many digits as fit is answered with one that AMQP's short strings take."""
        asked = request(ADD, Properties(reply_to="amq.gen-q", expiration="9" * 255))
        self.assertEqual(decode_properties(reply_properties(asked, 100.0)).expiration, str(2**32 - 1))

    def test_neither_repeats_nor_keeps_long_unknown_names(self) -> None:
        """A name that is no method's is neither repeated whole nor kept."""
        kept = len(BINARY._prefixes)  # type: ignore[attr-defined]
        for number in range(3):
            body = BINARY.encode("add", TMessageType.CALL, 7, Calculator.add_args(1, 2))
            name = f"{number}" * 500
            asked = request(body[:4] + len(name).to_bytes(4, "big") + name.encode() + body[11:])
            self.rejection(asked)
            self.assertEqual(asked.name, name[:200])
            self.assertLess(len(asked.reply(TMessageType.EXCEPTION, TApplicationException(1, "x"))), 300)
        self.assertEqual(len(BINARY._prefixes), kept)  # type: ignore[attr-defined]

    def test_knows_whether_a_request_wants_a_reply(self) -> None:
        """A request that names a reply queue and is not oneway wants a reply."""
        oneway = BINARY.encode("zip", TMessageType.ONEWAY, 7, Calculator.zip_args())
        for body, reply_to, wanted in (
            (ADD, "amq.gen-q", True),
            (ADD, None, False),
            (ADD, "", False),
            (oneway, "amq.gen-q", False),
        ):
            asked = request(body, Properties(reply_to=reply_to))
            read(asked)
            self.assertEqual(asked.wants_reply, wanted)

    def test_answers_a_call_of_an_unknown_method(self) -> None:
        """PITFALLS, stubs 7: an unknown method is answered, an unknown oneway is not; neither is poison."""
        for kind, answered in ((TMessageType.CALL, True), (TMessageType.ONEWAY, False)):
            asked = request(BINARY.encode("no" * 200, kind, 7, Calculator.zip_args()), Properties(reply_to="amq.gen-q"))
            rejection = self.rejection(asked)
            self.assertEqual(rejection.answer.type, TApplicationException.UNKNOWN_METHOD)
            self.assertEqual((asked.wants_reply, rejection.poison), (answered, False))

    def test_rejects_requests_that_no_worker_can_run(self) -> None:
        """Malformed messages, replies, unknown protocols and unset required fields."""
        unset = BINARY.encode("sum", TMessageType.CALL, 7, Calculator.sum_args(Calculator.Numbers()))
        for body, properties, code in (
            (b"", Properties(), TApplicationException.PROTOCOL_ERROR),
            (ADD[:-1], Properties(), TApplicationException.PROTOCOL_ERROR),
            (ADD + b"\0", Properties(), TApplicationException.PROTOCOL_ERROR),
            (unset, Properties(), TApplicationException.PROTOCOL_ERROR),
            (ADD, Properties(content_type="\udcff/x"), TApplicationException.INVALID_PROTOCOL),
            (BINARY.encode("add", 2, 7, Calculator.add_result(1)), Properties(), 2),
            (ADD, b"\x20\x00\x00\x00\x00\x03\x01a?", TApplicationException.PROTOCOL_ERROR),
            (ADD, MANY, TApplicationException.PROTOCOL_ERROR),
        ):
            rejection = self.rejection(request(body, properties))
            self.assertTrue(rejection.poison, body)
            self.assertEqual(rejection.answer.type, code)

    def test_answers_a_request_whose_headers_cannot_be_read(self) -> None:
        """Also one with too many. Its other properties say where, and its dead letter has them."""
        parts = [*split_properties(encode_properties(Properties(reply_to="amq.gen-q", correlation_id="c", app_id="i")))]
        parts[HEADERS] = b"\x00\x00\x00\x03\x01a?"
        malformed = join_properties(parts)
        many = encode_properties(attrs.evolve(MANY, reply_to="amq.gen-q", correlation_id="c", app_id="i"))
        for properties, why in ((malformed, "unknown field type"), (many, "more than 600 values")):
            asked = request(properties=properties)
            self.assertIn(why, str(self.rejection(asked).answer))
            self.assertEqual((asked.wants_reply, asked.name, asked.seqid, dict(asked.headers)), (True, "add", 7, {}))
            self.assertEqual(decode_properties(reply_properties(asked, 100.0)).correlation_id, "c")
            kept = letter_of(asked, WHY)
            self.assertEqual(
                (kept.headers, kept.correlation_id, kept.reply_to, kept.app_id), (WHY, "c", "amq.gen-q", "i")
            )
        oneway = BINARY.encode("zip", TMessageType.ONEWAY, 7, Calculator.zip_args())
        asked = request(oneway, many)
        self.rejection(asked)
        self.assertFalse(asked.wants_reply)

    def test_rejects_an_invented_direct_reply_to(self) -> None:
        """RabbitMQ closes a connection that publishes to an invented direct reply-to."""
        for reply_to in ("amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.abc.def"):
            asked = request(ADD, Properties(reply_to=reply_to))
            self.assertTrue(self.rejection(asked).poison)
            self.assertFalse(asked.wants_reply)
            self.assertIsNone(letter_of(asked, WHY).reply_to)
        oneway = BINARY.encode("zip", TMessageType.ONEWAY, 7, Calculator.zip_args())
        read(request(oneway, Properties(reply_to="amq.rabbitmq.reply-to.abc.def")))

    def test_rejects_a_queue_that_is_no_reply_queue(self) -> None:
        """A caller could have the worker write into any queue, such as the request queue of another service."""
        for reply_to in ("rpc.Another", "x", "AMQ.GEN-x", "amq.gen"):
            asked = request(ADD, Properties(reply_to=reply_to))
            rejection = self.rejection(asked)
            self.assertTrue(rejection.poison)
            self.assertIn(f"{reply_to!r}, which is no reply queue of this service", str(rejection.answer))
            self.assertFalse(asked.wants_reply)
            self.assertIsNone(letter_of(asked, WHY).reply_to)
        read(request(BINARY.encode("zip", TMessageType.ONEWAY, 7, Calculator.zip_args()), Properties(reply_to="x")))

    def test_the_service_says_what_reply_queues_are(self) -> None:
        """Also of peers that name them themselves; never an invented direct reply-to."""
        for reply_to, safe in (("answers.7", True), ("amq.gen-x", False), ("amq.rabbitmq.reply-to.x", False)):
            asked = request(ADD, Properties(reply_to=reply_to), reply_queues=(b"answers.", b"amq.r"))
            self.assertEqual(asked.wants_reply, safe, reply_to)

    def test_answers_a_direct_reply_to_where_an_invented_one_is_harmless(self) -> None:
        """The name without an address belongs to no client on any broker."""
        asked = request(ADD, Properties(reply_to="amq.rabbitmq.reply-to.abc.def"), broker=RABBITMQ_4_3)
        read(asked)
        self.assertEqual((asked.wants_reply, asked.reply_to), (True, "amq.rabbitmq.reply-to.abc.def"))
        asked = request(ADD, Properties(reply_to="amq.rabbitmq.reply-to"), broker=RABBITMQ_4_3)
        self.assertTrue(self.rejection(asked).poison)
        self.assertFalse(asked.wants_reply)

    @given(st.binary(max_size=60), st.binary(max_size=60))
    def test_reads_or_rejects_any_request(self, body: bytes, properties: bytes) -> None:
        """Any body, with any properties."""
        asked = request(body, properties)
        try:
            read(asked)
        except Rejection as rejection:
            asked.reply(TMessageType.EXCEPTION, rejection.answer)
        decode_properties(reply_properties(asked, 100.0))
        letter_of(asked, WHY)


class PropertiesTests(SynchronousTestCase):
    """The properties of a request in its reply, its context and its dead letter."""

    @given(texts, texts)
    def test_copies_the_ids_of_the_request_to_its_reply(
        self, correlation_id: str | None, message_id: str | None
    ) -> None:
        """They may be any bytes. An absent id stays absent."""
        asked = request(properties=Properties(correlation_id=correlation_id, message_id=message_id))
        read(asked)
        answer = decode_properties(reply_properties(asked, 100.0, "too-large"))
        self.assertEqual((answer.correlation_id, answer.message_id), (correlation_id, message_id))
        self.assertEqual((answer.type, answer.delivery_mode), ("Calculator.add", 1))
        self.assertEqual(answer.headers, {"rpc-outcome": "too-large", "rpc-maybe-executed": True})

    def test_a_refusal_tells_whether_the_call_may_have_run(self) -> None:
        """For another delivery, for the original of a copy, or in an earlier attempt."""
        for redelivered, headers, told in (
            (False, {}, False),
            (True, {}, True),
            (False, {"rpc-deliveries": 1}, True),
            (False, {"rpc-attempt": 2}, True),
        ):
            channel: Any = None
            encoded = encode_properties(Properties(headers=headers))
            asked = Request(Delivery(channel, 1, redelivered, COPY, encoded, ADD), 100.0)
            answer = decode_properties(reply_properties(asked, 100.0, "overloaded"))
            self.assertEqual((answer.headers or {}).get("rpc-maybe-executed", False), told, (redelivered, headers))

    def test_counts_the_expiration_from_the_arrival(self) -> None:
        """The expiration counts from the request's arrival; a reply has the remaining time, a millisecond at least."""
        asked = request(properties=Properties(expiration="1500"))
        self.assertEqual(asked.deadline, 101.5)
        self.assertEqual(decode_properties(reply_properties(asked, 100.5)).expiration, "1000")
        self.assertEqual(decode_properties(reply_properties(asked, 200.0)).expiration, "1")
        for odd in (None, "", "+5", "-1", "1.5", "soon"):
            self.assertIsNone(request(properties=Properties(expiration=odd)).deadline)

    def test_tells_the_handler_about_its_call(self) -> None:
        """The handler may know names, deadline, metadata, identity, and whether it was delivered before."""
        headers = {"tenant": "a", "CC": ["x"], "x-death": [], "rpc-attempt": 2}
        asked = request(properties=Properties(headers=headers, message_id="m", expiration="1000"))
        context = asked.serve("Calculator", read(asked)[0], 0.0, lambda _: None)
        self.assertEqual(context.attempt, 2)
        self.assertEqual((context.service, context.method), ("Calculator", "add"))
        self.assertEqual((context.deadline, context.message_id, context.redelivered), (101.0, "m", True))
        self.assertEqual(dict(context.metadata), {"tenant": "a"})

    def test_keeps_the_properties_in_a_dead_letter(self) -> None:
        """Headers that route it, its expiration and its user are dropped."""
        came = Properties(
            headers={"BCC": ["x"], "CC": ["y"], "a": 1}, expiration="5", user_id="u", reply_to="amq.gen-q", app_id="i"
        )
        kept = letter_of(request(properties=came), WHY)
        self.assertEqual(kept.headers, {"a": 1, **WHY})
        self.assertEqual((kept.expiration, kept.user_id, kept.reply_to, kept.app_id), (None, None, "amq.gen-q", "i"))
        self.assertEqual(letter_of(request(properties=came), WHY, False).headers, WHY)

    def test_a_sender_cannot_write_the_headers_of_a_dead_letter(self) -> None:
        """It could have its letter taken for the head of a larger one."""
        forged = {"rpc-dead-size": 9, "rpc-dead-sha256": "0", "rpc-dead-reason": "none", "a": 1}
        kept = letter_of(request(properties=Properties(headers=forged)), WHY)
        self.assertEqual(kept.headers, {"a": 1, **WHY})

    def test_only_a_worker_can_count_deliveries(self) -> None:
        """A copy comes by the default exchange, to which a caller needs no permission. Other headers stay."""
        encoded = encode_properties(Properties(headers={"rpc-deliveries": 5, "tenant": "a"}))
        direct = encode_short_string("rpc") + encode_short_string("Calculator")
        channel: Any = None
        copy, forged = (Request(Delivery(channel, 1, True, routing, encoded, ADD), 0.0) for routing in (COPY, direct))
        self.assertEqual((copy.counted, dict(copy.headers)), (True, {"rpc-deliveries": 5, "tenant": "a"}))
        self.assertEqual((forged.counted, dict(forged.headers)), (False, {"tenant": "a"}))
