"""Callers that consume the broker's direct reply-to instead of a queue of their own."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException, TMessageType

import rpc
from generated.calculator import Calculator as CalculatorStub
from rpc.amqp.codec.properties import encode_properties
from rpc.envelope import CODECS
from rpc.headers import DEAD_REASON
from rpc.messages import Properties
from rpc.testing import Harness
from rpc.topology import EXCHANGES, DeadLetterKind, ServiceTopology
from services.calculator import CalculatorHandler
from tests.integration.amqp_case import AMQPTestCase, later

Calculator: Any = CalculatorStub
DIRECT = "amq.rabbitmq.reply-to"
BINARY = CODECS["binary"]
ADD = BINARY.encode("add", TMessageType.CALL, 7, Calculator.add_args(40, 2))
MALFORMED = BINARY.encode("add", TMessageType.CALL, 8, Calculator.add_args(40, 2))[:-3]


INVALID = DeadLetterKind.INVALID


class DirectReplyTests(AMQPTestCase):
    """A caller without a reply queue, on a connection of its own. Only some brokers let a worker answer it safely."""

    timeout = 60.0

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.name = self.unique("direct")
        harness = Harness(url=self.url)
        self.addCleanup(harness.stop)
        self.worker = harness.serve(rpc.ThriftService(CalculatorStub, CalculatorHandler(), name=self.name))
        caller = await self.connect()
        self.is_answered = caller.broker.survives_unknown_direct_replies
        self.own = await caller.open_channel()
        self.replies = await self.consume(self.own, DIRECT)
        topology = ServiceTopology(self.name)
        for declaration in [*EXCHANGES, *topology.dead_letters(INVALID)]:
            await self.own.declare(declaration)
        self.dead = await self.consume(self.own, topology.queue_of_kind(INVALID))
        self.good = (await harness.connect()).client(CalculatorStub, name=self.name)
        await self.assert_serves()
        self.connection = self.worker._link.connection

    async def assert_serves(self) -> None:
        """Wait for the answer to another call: earlier requests are answered then."""
        while True:
            try:
                self.assertEqual(await self.good.add(1, 2), 3)
                return
            except rpc.ServiceUnavailable:
                await later(0.02)

    def ask(self, body: bytes, reply_to: str = DIRECT) -> None:
        """Publish a request."""
        properties = encode_properties(Properties(reply_to=reply_to, correlation_id="c"))
        self.own.publish("rpc", self.name, properties, body)

    async def dead_reason(self) -> str:
        """Wait for a dead letter, and return why the request is one."""
        letter = await self.dead.get()
        return str((letter.properties.headers or {})[DEAD_REASON])

    async def test_a_call_is_answered_where_that_is_safe(self) -> None:
        """Else it is a dead letter, whose reason tells the caller a remedy."""
        self.ask(ADD)
        if self.is_answered:
            reply = await self.replies.get()
            self.assertEqual(reply.properties.correlation_id, "c")
            name, kind, seqid, start = BINARY.read_header(reply.body)
            self.assertEqual((name, kind, seqid), ("add", TMessageType.REPLY, 7))
            self.assertEqual(BINARY.read_struct(reply.body, start, Calculator.add_result).success, 42)
        else:
            self.assertIn("RabbitMQ 4.3 or later", await self.dead_reason())
        await self.assert_serves()
        self.assertIs(self.worker._link.connection, self.connection)

    async def test_a_rejection_is_answered_where_that_is_safe(self) -> None:
        """A malformed request is a dead letter on any broker."""
        self.ask(MALFORMED)
        await self.dead_reason()
        if self.is_answered:
            reply = await self.replies.get()
            name, kind, seqid, start = BINARY.read_header(reply.body)
            self.assertEqual((name, kind, seqid), ("add", TMessageType.EXCEPTION, 8))
            error = BINARY.read_struct(reply.body, start, TApplicationException)
            self.assertEqual(error.type, TApplicationException.PROTOCOL_ERROR)

    async def test_invented_names_do_no_harm(self) -> None:
        """The worker keeps its connection: such a reply is returned, or not sent."""
        endings = [".", ".abc", ".abc.def", ".g1h2AA9yZXBseUAxMjYxNDA3NzIAAAKwAAAAAGsEqrc=.EefU8xg089hOXOqT"]
        for ending in endings:
            self.ask(ADD, DIRECT + ending)
        await self.assert_serves()
        while self.is_answered and self.worker._server.lost_replies < len(endings):
            await later(0.02)
        self.assertIs(self.worker._link.connection, self.connection)
