"""Answers to the control service's questions that are wrong, missing, repeated or from other versions."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport.TTransport import TMemoryBuffer
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery
from rpc.client import gathering
from rpc.client.gathered import End
from rpc.control import NAME, Answers, Control, Pong, WorkerDescription, asking
from rpc.control.stubs.control import Control as ControlStub
from rpc.envelope import CODECS
from rpc.errors import ConfigurationError
from rpc.messages import Properties
from rpc.topology import BROADCAST, EXCHANGES, ServiceTopology
from tests.integration.amqp_case import later
from tests.integration.call_case import Handler
from tests.integration.question_case import WAIT, QuestionTestCase

BINARY = CODECS["binary"]
STUB: Any = ControlStub

Reply = tuple[bytes, dict[str, Any]]
Answer = Callable[[int], list[Reply]]


def pong(seqid: int, instance: str = "odd", *services: str) -> bytes:
    """Return a right answer to ``ping``."""
    answer = STUB.ping_result(Pong(instance=instance, status=2, services=list(services)))
    return BINARY.encode("ping", TMessageType.REPLY, seqid, answer)


def of_a_later_version(seqid: int, service: str) -> bytes:
    """Return an answer with fields that are not known, and a known one of another type."""
    memory = TMemoryBuffer()
    protocol = TBinaryProtocol(memory)
    protocol.writeMessageBegin("ping", TMessageType.REPLY, seqid)
    protocol.writeFieldBegin("success", TType.STRUCT, 0)
    protocol.writeFieldBegin("instance", TType.STRING, 1)
    protocol.writeString("later")
    protocol.writeFieldBegin("status", TType.STRING, 2)
    protocol.writeString("ALIVE")
    protocol.writeFieldBegin("services", TType.LIST, 3)
    protocol.writeListBegin(TType.STRING, 1)
    protocol.writeString(service)
    protocol.writeFieldBegin("news", TType.I64, 99)
    protocol.writeI64(1)
    protocol.writeFieldStop()
    protocol.writeFieldStop()
    return bytes(memory.getvalue())


class AnswersTests(QuestionTestCase):
    """A good worker beside odd ones, in a virtual host of their own."""

    timeout = 60.0

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        super().setUp()
        self.home = self.virtual_host()
        self.connection = await rpc.connect(self.home)
        self.addCleanup(self.connection.close)
        self.control = Control(self.connection)

    async def serve(self, name: str = "Calculator", **options: Any) -> rpc.Worker:
        """Start a good worker."""
        worker = rpc.Worker(self.home, [rpc.ThriftService(Calculator, Handler(), name=name)], **options)
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        return worker

    async def answer(self, answer: Answer, *, consumes: bool = True) -> None:
        """Be a worker of Calculator that answers questions so.

        :param consumes: whether it consumes the service's queue, too.
        """
        channel = await self.channel(self.home)
        for declaration in (*EXCHANGES, *ServiceTopology("Calculator").requests()):
            await channel.declare(declaration)
        queue = await self.queue(channel)
        await channel.queue_bind(queue=queue, exchange=BROADCAST, routing_key=NAME)

        def asked(delivery: Delivery) -> None:
            seqid = BINARY.read_header(delivery.body)[2]
            for body, changed in answer(seqid):
                question = delivery.properties
                given = {"correlation_id": question.correlation_id, **changed}
                channel.publish("", question.reply_to or "", encode_properties(Properties(**given)), body)

        await channel.consume(queue, asked, lambda: None, no_ack=True)
        if consumes:
            await channel.consume("rpc.Calculator", lambda _: None, lambda: None)

    async def ping(self, service: str | None = "Calculator", *, replies: int | None = None) -> Answers[Pong]:
        """Ping the workers of a service.

        :param replies: after so many of them, the wait is over. They do not end it by themselves.
        """
        self.questions.clear()
        asked = self.control.ping(service, wait=WAIT)
        if replies is not None:
            (await self.question_with(replies)).end_wait()
        return await asked

    # -- one bad worker does not lose the others

    async def test_names_each_bad_answer_and_keeps_the_good_one(self) -> None:
        worker = await self.serve()
        unknown = TApplicationException(TApplicationException.UNKNOWN_METHOD, "Unknown function ping")

        def bad(seqid: int) -> list[Reply]:
            named = {"headers": {"instance": "odd"}}
            return [
                (b"garbage", named),
                (b"", {}),
                (pong(seqid)[:-3], named),
                (pong(seqid + 1), named),
                (BINARY.encode("stats", TMessageType.REPLY, seqid, STUB.stats_result()), named),
                (BINARY.encode("ping", TMessageType.EXCEPTION, seqid, unknown), named),
                (
                    BINARY.encode("ping", TMessageType.EXCEPTION, seqid, unknown),
                    {"headers": {"rpc-outcome": "stopping"}},
                ),
                (BINARY.encode("ping", TMessageType.REPLY, seqid, STUB.ping_result()), {"headers": {"instance": 3}}),
                (b"\x00" * 100_001, {}),
            ]

        self.control._options = self.control._options.changed({"max_message_size": 100_000})
        await self.answer(bad)
        answers = await self.ping(replies=10)
        self.assertEqual([each.instance for each in answers], [worker.instance])
        self.assertEqual((answers.expected, answers.silent, answers.end), (2, 1, End.WAITED))
        self.assertFalse(answers.is_complete)
        named = [(each.instance, each.problem.partition("ping: ")[2] or each.problem) for each in answers.bad]
        self.assertEqual(len(named), 9, named)
        self.assertEqual([instance for instance, _ in named], ["odd", None, *["odd"] * 4, None, None, None])
        for (_, problem), expected in zip(
            named,
            (
                "the reply is",
                "the reply is",
                "the reply is",
                "the answer to seqid",
                "the answer of 'stats'",
                "Unknown function ping",
                "Unknown function ping",
                "unknown result",
                "over the client's max_message_size",
            ),
            strict=True,
        ):
            self.assertIn(expected, problem)

    async def test_reads_what_it_knows_of_a_later_version(self) -> None:
        await self.answer(lambda seqid: [(of_a_later_version(seqid, "Calculator"), {})])
        answers = await self.ping()
        (later,) = answers
        self.assertEqual((later.instance, later.status, later.services), ("later", 0, ["Calculator"]))
        self.assertEqual(answers.end, End.COMPLETE)

    async def test_counts_each_worker_once(self) -> None:
        await self.serve()
        await self.answer(lambda seqid: [(pong(seqid, "odd", "Calculator"), {})] * 3)
        answers = await self.ping()
        self.assertEqual((answers.expected, len(answers), answers.silent), (2, 2, 0))

    async def test_leaves_out_workers_of_other_services(self) -> None:
        await self.serve("Other")
        await self.serve()
        answers = await self.ping()
        self.assertEqual([each.services for each in answers], [["Calculator"]])
        everywhere = await self.ping(None, replies=2)
        self.assertEqual((len(everywhere), everywhere.expected), (2, None))

    async def test_drops_replies_without_the_id_of_the_question(self) -> None:
        """Another peer can write to the reply queue, if it knows the name."""
        await self.answer(
            lambda seqid: [
                (pong(seqid, "forged", "Calculator"), {"correlation_id": None}),
                (pong(seqid, "forged", "Calculator"), {"correlation_id": "0" * 32}),
                (pong(seqid, "true", "Calculator"), {}),
            ]
        )
        answers = await self.ping()
        self.assertEqual(([each.instance for each in answers], answers.bad), (["true"], ()))

    # -- a worker that says nothing

    async def test_a_silent_worker_is_counted(self) -> None:
        await self.serve()
        await self.answer(lambda _: [])
        answers = await self.ping(replies=1)
        self.assertEqual((answers.expected, len(answers), answers.silent), (2, 1, 1))

    async def test_the_wait_for_a_silent_worker_ends(self) -> None:
        await self.answer(lambda _: [])
        answers = await self.control.ping("Calculator", wait=0.2)
        self.assertEqual((answers.expected, len(answers), answers.silent, answers.end), (1, 0, 1, End.WAITED))

    async def test_workers_without_control_are_silent(self) -> None:
        await self.serve(control=False)
        answers = await self.ping()
        self.assertEqual((answers.expected, answers.silent, answers.end), (1, 1, End.UNROUTABLE))

    async def test_a_named_worker_that_is_gone_ends_the_wait_at_once(self) -> None:
        await self.serve()
        answers = await self.control.ping(instance="nobody.1.ab", wait=WAIT)
        self.assertEqual((answers.end, answers.expected, answers.silent), (End.UNROUTABLE, 1, 1))

    async def test_a_worker_answers_the_users_that_it_allows(self) -> None:
        await self.serve(control=rpc.ControlOptions(allow="guest"))
        refused = await self.ping(replies=1)
        self.assertEqual(len(refused), 0)
        self.assertIn("the request names no user", refused.bad[0].problem)
        allowed = await Control(self.connection, user_id=True).ping("Calculator", wait=WAIT)
        self.assertEqual(len(allowed), 1)

    # -- a flood

    async def test_a_flood_of_answers_is_bounded(self) -> None:
        self.patch(gathering, "MOST_ANSWERS", 50)
        await self.answer(lambda seqid: [(b"garbage", {})] * 60)
        answers = await self.ping()
        self.assertEqual((len(answers.bad), answers.end), (50, End.TOO_MANY))
        self.assertIn("too many answers: 0 and 50 bad ones", answers.problem or "")

    async def test_the_bytes_of_answers_are_bounded(self) -> None:
        self.patch(gathering, "MOST_BYTES", 1000)
        await self.answer(lambda seqid: [(b"x" * 400, {})] * 60)
        answers = await self.ping()
        self.assertEqual((len(answers.bad), answers.end), (3, End.TOO_MANY))

    async def test_the_time_for_reading_answers_is_bounded(self) -> None:
        """A byte may become an object of hundreds, so neither number nor bytes of replies bound time and memory."""
        self.patch(gathering, "MOST_SECONDS", 0.001)  # each answer takes more
        empty = struct.pack(">i", 20_000) + b"\0" * 20_000

        def swollen(seqid: int) -> list[Reply]:
            answer = STUB.describe_result(WorkerDescription(instance="odd"))
            body = BINARY.encode("describe", TMessageType.REPLY, seqid, answer)
            head, none, end = body.partition(b"\x0f\x00\x09\x0c\x00\x00\x00\x00")
            return [(head + none[:4] + empty + end, {})] * 50

        await self.answer(swollen)
        answers = await self.control.workers(wait=WAIT)
        self.assertEqual((len(answers), answers.end, answers.bad), (1, End.TOO_MANY, ()))
        self.assertIn("too many answers", answers.problem or "")

    async def test_answers_of_other_services_cost_the_same_each(self) -> None:
        """A worker may answer thousands of times, and never as one that is expected."""
        looked_at: list[str] = []

        def serves(found: Pong, service: str) -> bool:
            looked_at.append(found.instance)
            return service in found.services

        self.patch(asking, "_pong_serves", serves)
        await self.answer(lambda seqid: [(pong(seqid, "odd", "Other"), {})] * 300)
        self.assertEqual(len(await self.ping(replies=300)), 0)
        self.assertEqual(len(looked_at), 300)

    async def test_a_name_that_no_worker_can_have_is_no_answer(self) -> None:
        """No question could be sent to it: that would fail as if the connection was lost."""
        worker = await self.serve()
        await self.answer(lambda seqid: [(pong(seqid, "é" * 122, "Calculator"), {})])
        answers = await self.ping(replies=2)
        self.assertEqual([each.instance for each in answers], [worker.instance])
        self.assertEqual([each.instance for each in answers.bad], [None])
        self.assertIn("its name has 122 characters", answers.bad[0].problem)

    async def test_an_answer_without_a_name_is_no_answer(self) -> None:
        """The name in the headers is that of the bad answer alone: all others read the one in the answer."""
        worker = await self.serve()
        await self.answer(lambda seqid: [(pong(seqid, "", "Calculator"), {"headers": {"instance": "odd"}})])
        answers = await self.ping(replies=2)
        self.assertEqual([each.instance for each in answers], [worker.instance])
        self.assertEqual(
            [(each.instance, each.problem) for each in answers.bad], [("odd", "it does not name its worker")]
        )

    # -- no question can be sent

    async def test_says_that_no_worker_ever_served(self) -> None:
        error: Any = await self.assertFailure(self.control.ping("Calculator", wait=WAIT), rpc.ServiceUnavailable)
        self.assertIn("the exchange 'rpc.broadcast' does not exist", str(error))
        self.assertIs(error.outcome, rpc.Outcome.REJECTED)

    async def test_a_question_that_amqp_cannot_carry_is_no_lost_connection(self) -> None:
        """As for a call: it fails the same way however often it is repeated."""
        await self.serve()
        error: Any = await self.assertFailure(self.control.ping(instance="x" * 300, wait=WAIT), rpc.RPCError)
        self.assertEqual((type(error), error.outcome), (rpc.RPCError, rpc.Outcome.NOT_SENT))
        self.assertIn("a short string takes 255", str(error))

    async def test_says_that_the_connection_is_closed(self) -> None:
        await self.connection.close()
        error: Any = await self.assertFailure(self.control.ping("Calculator", wait=WAIT), rpc.ConnectionLost)
        self.assertIs(error.outcome, rpc.Outcome.NOT_SENT)

    async def test_a_lost_channel_keeps_the_answers_so_far(self) -> None:
        await self.serve()
        await self.serve("Other")
        asked = self.control.ping(wait=WAIT)
        (await self.question_with(2)).lose_channel(rpc.AMQPError("lost by the test"))
        answers = await asked
        self.assertEqual((len(answers), answers.end, answers.problem), (2, End.LOST, "lost by the test"))

    async def test_leaves_no_channel_behind(self) -> None:
        await self.serve()
        asked = self.control.ping(wait=WAIT)
        await self.control.ping("Calculator", wait=WAIT)
        asked.cancel()
        await self.assertFailure(asked, Exception)
        await self.control.ping("Calculator", wait=WAIT)
        connection: Any = self.connection._link.connection
        while [*connection.channels] != [0]:  # the broker has yet to agree to their ends
            await later(0.01)

    def test_refuses_a_wait_that_is_none(self) -> None:
        for wait in (0, -1, float("nan"), True, "1", 1e6):
            with self.assertRaisesRegex(ConfigurationError, "wait="):
                self.control.ping("Calculator", wait=wait)  # type: ignore[arg-type]


class AlarmTests(QuestionTestCase):
    """A broker that takes no messages."""

    timeout = 120.0
    own_broker = True

    async def test_says_that_the_broker_is_blocked(self) -> None:
        """The broker tells a connection so when it publishes. The question arrives, and the worker's answer waits."""
        worker = rpc.Worker(self.url, [rpc.ThriftService(Calculator, Handler())])
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        connection = await rpc.connect(self.url)
        self.addCleanup(connection.close)
        await deferToThread(self.broker.set_memory_alarm, True)
        while worker.readiness is not rpc.Readiness.BLOCKED:  # its watch on bindings publishes, too
            await later(0.05)
        asked = Control(connection).ping("Calculator", wait=WAIT)
        question = await self.question_with(0)
        while question.blocked is None:
            await later(0.05)
        question.end_wait()
        answers = await asked
        self.assertEqual((len(answers), answers.end), (0, End.BLOCKED))
        self.assertIn("the broker is blocked: ", answers.problem or "")
        await self.assertFailure(Control(connection).ping("Calculator"), rpc.BrokerBlocked)
        await deferToThread(self.broker.set_memory_alarm, False)
        while True:
            try:
                answers = await Control(connection).ping("Calculator", wait=WAIT)
            except rpc.BrokerBlocked:
                await later(0.05)
            else:
                break
        self.assertTrue(answers.is_complete)
