"""Letters that any caller can make push out none that a crash has left."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from thrift.Thrift import TMessageType
from twisted.internet.defer import Deferred

import rpc
from generated.calculator import Calculator as CalculatorStub
from rpc import topology
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery
from rpc.envelope import CODECS
from rpc.messages import Properties
from rpc.topology import EXCHANGES, EXCLUSIVE_QUEUE, DeadLetterKind, ServiceTopology
from rpc.worker.dead_letter import HEAD_BYTES
from services.calculator import CalculatorHandler
from tests.integration.amqp_case import AMQPTestCase, later

Calculator: Any = CalculatorStub

UNFINISHED, UNSERVED, INVALID = DeadLetterKind.UNFINISHED, DeadLetterKind.UNSERVED, DeadLetterKind.INVALID
ADD = CODECS["binary"].encode("add", TMessageType.CALL, 1, Calculator.add_args(1, 2))
ZIP = CODECS["binary"].encode("zip", TMessageType.ONEWAY, 1, Calculator.zip_args())
UNKNOWN = CODECS["binary"].encode("unknown", TMessageType.ONEWAY, 1, Calculator.zip_args())


class FloodTestCase(AMQPTestCase):
    """A worker with one letter that a crash has left, and a hostile peer."""

    timeout = 120.0
    kept, most_bytes = topology.DEAD_LETTERS_KEPT, topology.DEAD_LETTER_BYTES
    options: ClassVar[dict[str, Any]] = {}
    handler: type[CalculatorHandler] = CalculatorHandler

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.patch(topology, "DEAD_LETTERS_KEPT", self.kept)
        self.patch(topology, "DEAD_LETTER_BYTES", self.most_bytes)
        self.name = self.unique("Calculator")
        self.topology = ServiceTopology(self.name, backlog=self.options.get("backlog"))
        self.hostile = await self.channel()
        for declaration in [*EXCHANGES, *self.topology.requests()]:
            await self.hostile.declare(declaration)
        await self.leave_unfinished()
        self.handled: Any = self.handler()
        service = rpc.ThriftService(
            CalculatorStub, self.handled, name=self.name, max_message_size=100_000, **self.options
        )
        self.worker = rpc.Worker(self.url, [service])  # its drain timeout is long enough for thousands of letters
        self.addCleanup(self.worker.stopService)
        self.worker.startService()
        await self.worker.when_serving()
        await self.has(UNFINISHED, 1)

    async def leave_unfinished(self) -> None:
        """Publish a request as the last copy of one that workers did not finish, and lose it once more."""
        properties = encode_properties(Properties(message_id="genuine", headers={"rpc-deliveries": 5}))
        self.hostile.publish("", self.topology.queue, properties, ADD)
        crashing = await self.hostile.client.open_channel()
        delivered: list[Delivery] = []
        await crashing.consume(self.topology.queue, delivered.append, lambda: None)
        while not delivered:
            await later(0.01)
        await crashing.close()

    def ask(self, body: bytes, **properties: Any) -> None:
        """Publish a request, as any caller can."""
        self.hostile.publish("rpc", self.name, encode_properties(Properties(**properties)), body)

    async def count(self, kind: DeadLetterKind) -> int:
        """Return how many letters of a kind there are."""
        channel = await self.hostile.client.open_channel()
        declared = None
        for declaration in self.topology.dead_letters(kind):
            answer = await channel.declare(declaration)
            declared = answer if declaration.method == "queue_declare" else declared
        await channel.close()
        assert declared is not None
        count: int = declared.message_count
        return count

    async def has(self, kind: DeadLetterKind, count: int) -> None:
        """Wait until there are so many letters of a kind."""
        while await self.count(kind) != count:
            await later(0.02)

    async def all_of(self, kind: DeadLetterKind) -> list[Delivery]:
        """Consume all letters of a kind."""
        count = await self.count(kind)
        letters: list[Delivery] = []
        await self.hostile.consume(self.topology.queue_of_kind(kind), letters.append, lambda: None, no_ack=True)
        while len(letters) < count:
            await later(0.02)
        return letters

    async def settled(self) -> None:
        """Wait until the worker has settled all requests. It is stopped then.

        It takes requests in their order, so those before an answered call have been decided. A worker that stops waits
        for the dead letters that it is publishing.
        """
        answers: list[Delivery] = []
        replies = (await self.hostile.declare(EXCLUSIVE_QUEUE)).queue
        await self.hostile.consume(replies, answers.append, lambda: None, no_ack=True)
        self.ask(ADD, reply_to=replies)
        while not answers:
            await later(0.02)
        await self.worker.stopService()
        left = await self.hostile.queue_declare(queue=self.topology.queue, passive=True)
        self.assertEqual(left.message_count, 0)

    async def assert_evidence_is_left(self) -> None:
        """The letter that a crash has left is still there, alone in its queue."""
        (letter,) = await self.all_of(UNFINISHED)
        self.assertEqual(letter.properties.message_id, "genuine")
        self.assertEqual(letter.body, ADD)


class ManyTests(FloodTestCase):
    """The bounds are those of production."""

    async def test_ten_thousand_malformed_requests_push_out_only_their_like(self) -> None:
        """The newest are left of them."""
        count = topology.DEAD_LETTERS_KEPT + 100
        for number in range(count):
            self.ask(b"malformed", message_id=str(number))
        await self.settled()
        await self.assert_evidence_is_left()
        left = [letter.properties.message_id for letter in await self.all_of(INVALID)]
        self.assertEqual(len(left), topology.DEAD_LETTERS_KEPT)
        self.assertIn(str(count - 1), left)
        self.assertEqual(await self.count(UNSERVED), 0)


class SmallBoundsTests(FloodTestCase):
    """A queue of dead letters has 1.6 MB or 50 letters."""

    kept, most_bytes = 50, 1_600_000

    async def test_18_large_requests_push_out_only_their_like(self) -> None:
        """As large in proportion as 18 of 16 MiB. They have no reply queue, so all of each is kept."""
        for _ in range(18):
            self.ask(b"x" * 100_000)
        await self.settled()
        await self.assert_evidence_is_left()
        self.assertEqual([letter.body for letter in await self.all_of(INVALID)], [b"x" * 100_000] * 16)

    async def test_requests_that_are_too_large_or_unknown_are_invalid(self) -> None:
        """A caller can send them at will, too."""
        for number in range(60):
            self.ask((ZIP + b"x" * 100_001, UNKNOWN)[number % 2])
        await self.settled()
        await self.assert_evidence_is_left()
        self.assertGreater(await self.count(INVALID), 0)
        self.assertEqual(await self.count(UNSERVED), 0)

    async def test_large_calls_keep_their_head(self) -> None:
        """With the size and the hash of the whole; each caller gets its answer."""
        answers: list[Delivery] = []
        replies = (await self.hostile.declare(EXCLUSIVE_QUEUE)).queue
        await self.hostile.consume(replies, answers.append, lambda: None, no_ack=True)
        body = b"x" * 100_000
        for _ in range(18):
            self.ask(body, reply_to=replies)
        await self.settled()
        await self.assert_evidence_is_left()
        letters = await self.all_of(INVALID)
        while len(answers) < 18:  # they come by another queue
            await later(0.02)
        self.assertEqual((len(letters), len(answers)), (18, 18))
        for letter in letters:
            headers = letter.properties.headers or {}
            self.assertEqual(letter.body, body[:HEAD_BYTES])
            self.assertEqual(headers["rpc-dead-size"], 100_000)
            self.assertEqual(headers["rpc-dead-sha256"], hashlib.sha256(body).hexdigest())

    async def test_a_count_that_a_caller_wrote_makes_no_unfinished_letter(self) -> None:
        """60 requests are in progress in a worker that loses its channel once."""
        await self.worker.stopService()
        for number in range(60):
            self.ask(ZIP, message_id=str(number), headers={"rpc-deliveries": 1000, "x-delivery-count": 1000})
        losing = await self.hostile.client.open_channel()
        delivered: list[Delivery] = []
        await losing.consume(self.topology.queue, delivered.append, lambda: None)
        while len(delivered) < 60:
            await later(0.02)
        await losing.close()
        self.worker.startService()
        await self.has(UNSERVED, 50)
        self.assertEqual(await self.count(INVALID), 0)
        await self.assert_evidence_is_left()


class Slow(CalculatorHandler):
    """A calculator whose oneway calls end when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: Deferred[None] = Deferred()

    def zip(self) -> Any:
        done: Deferred[None] = Deferred()
        self.ended.addCallback(lambda _: done.callback(None))
        return done


class UnservedTests(FloodTestCase):
    """A worker with one slot, and space for one request beside it."""

    kept = 50
    options: ClassVar[dict[str, Any]] = {"concurrency": 1, "backlog": 1}
    handler: type[CalculatorHandler] = Slow

    async def test_confirmed_requests_that_a_worker_rejects_have_a_queue_of_their_own(self) -> None:
        """Malformed ones do not push them out, and they do not push out requests that a crash has left."""
        key = f"{self.name}@{self.worker._link.instance}"
        for _ in range(62):
            self.hostile.publish("rpc", key, encode_properties(Properties()), ZIP)
        await self.has(UNSERVED, 50)
        self.handled.ended.callback(None)
        for _ in range(60):
            self.hostile.publish("rpc", key, encode_properties(Properties()), b"malformed")
        await self.has(INVALID, 50)
        self.assertEqual(await self.count(UNSERVED), 50)
        await self.assert_evidence_is_left()
