"""No bytes of a peer, of any size or shape, end a connection, a consumer or the process."""

from __future__ import annotations

import random
import secrets
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred

import rpc
from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Work
from rpc.amqp.content import Delivery
from rpc.envelope import CODECS
from rpc.errors import ChannelClosed
from rpc.messages import Properties
from rpc.topology import DEAD_LETTER_BYTES, DEAD_LETTERS_KEPT
from tests.services.support import ServiceTestCase
from tools.hostile.messages import FRAME, MalformedBodies, odd_properties
from tools.hostile.mix import call_many, publisher
from tools.hostile.peer import HostilePeer

Calculator: Any = CalculatorStub


class Handler:
    """A calculator that accepts all values: the test looks for errors of the framework."""

    def __init__(self, nested: Any = None) -> None:
        self.nested = nested

    def add(self, num1: int | None, num2: int | None) -> int:
        return ((num1 or 0) + (num2 or 0)) % 2**31

    def calculate(self, logid: int, w: object) -> Any:
        return self.nested.add(1, 1).addErrback(lambda _: 0) if self.nested else 0

    def echo(self, work: Work | None) -> Work:
        return work or Work()

    def getStruct(self, key: int) -> None: ...
    def ping(self) -> None: ...
    def sum(self, numbers: object) -> int:
        return 0

    def blob(self, data: bytes | None) -> bytes:
        return data or b""

    def zip(self) -> None: ...


class HostileRequestTests(ServiceTestCase):
    """A worker, an honest client, and a hostile peer."""

    timeout = 120.0

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.name = self.unique("hostile")
        other = self.unique("other")
        self.worker = self.serve(
            rpc.ThriftService(
                CalculatorStub,
                factory=lambda connection: Handler(connection.client(CalculatorStub, name=other)),
                name=self.name,
                concurrency=8,
                max_message_size=1_000_000,
            ),
            rpc.ThriftService(CalculatorStub, Handler(), name=other),
        )
        self.good = await self.client(CalculatorStub, "ping", name=self.name)
        self.hostile = await HostilePeer.connect(self.url)
        self.addCleanup(self.hostile.connection.close)
        self.connection = self.worker._link.connection
        self.channel_of_worker = self.worker._server._channel

    async def assert_unharmed(self, number: int = 1) -> None:
        """Check that a call is answered on the worker's first connection and channels, and the log has no error."""
        self.assertEqual(await self.good.add(number, 1), number + 1)
        self.assertIs(self.worker._link.connection, self.connection)
        self.assertIs(self.worker._server._channel, self.channel_of_worker)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def dead_letters(self) -> int:
        """Return the number of invalid dead letters, whose queue is there when there was one."""
        channel = await self.hostile.connection.open_channel()
        try:
            answer = await channel.queue_declare(queue=f"rpc.{self.name}.dead.invalid", passive=True)
        except ChannelClosed:
            return 0
        count: int = answer.message_count
        return count

    async def test_survives_ten_thousand_malformed_bodies(self) -> None:
        """Random, changed and truncated ones. A call is answered after every 100; malformed ones are dead letters."""
        chance = random.Random(20)
        content_types = [codec.content_type for codec in CODECS.values()]
        for number, body in enumerate(islice(MalformedBodies(20), 10_000)):
            properties = Properties(
                content_type=chance.choice(content_types),
                reply_to=chance.choice([None, self.hostile.reply_queue, "nobody"]),
                correlation_id=chance.choice([None, "\udcff\x00"]),
            )
            self.hostile.publish(self.name, body, properties)
            if number % 100 == 99:
                await self.assert_unharmed(number)
        self.assertGreater(await self.dead_letters(), 5_000)
        self.assertGreater(len(self.hostile.replies), 1_000)

    async def test_answers_all_good_calls_among_hostile_ones(self) -> None:
        """One hostile message of each kind in turn before each call. ``python -m tools.hostile`` measures the times."""
        publish = publisher(self.hostile, self.name, seed=3, count=1000)
        self.assertEqual(len(await call_many(self.good, 1000, 500, publish)), 1000)
        await self.assert_unharmed()
        self.assertGreater(await self.dead_letters(), 400)
        self.assertGreater(len(self.hostile.replies), 400)

    async def test_survives_every_unusual_property(self) -> None:
        """With a valid body, a malformed one, and one that makes the worker call another service."""
        bodies = [
            CODECS["binary"].encode("calculate", 1, 1, Calculator.calculate_args(1, Work())),
            CODECS["binary"].encode("zip", 4, 1, Calculator.zip_args()),
            CODECS["binary"].encode("unknown", 1, 1, Calculator.zip_args()),
            b"malformed",
        ]
        for properties in odd_properties(self.name, self.hostile.reply_queue):
            for body in bodies:
                self.hostile.publish(self.name, body, properties)
                await self.assert_unharmed()
                self.assertFalse(self.hostile.channel.closed, (properties, self.hostile.channel.reason))

    async def test_refuses_bodies_over_the_limit(self) -> None:
        """They are not kept, and the caller gets the error."""
        for protocol, codec in CODECS.items():
            big = codec.encode("blob", 1, 7, Calculator.blob_args(b"\xff" * 1_000_000))
            for body in (big, b"\xff" * 1_000_001):
                properties = Properties(content_type=codec.content_type, reply_to=self.hostile.reply_queue)
                self.hostile.publish(self.name, body, properties)
            await self.assert_unharmed()
            while len(self.hostile.replies) < 2:
                await self.assert_unharmed()
            reply, _ = self.hostile.replies
            self.assertEqual(codec.read_header(reply.body)[:3], ("blob", 3, 7), protocol)
            self.assertEqual(reply.properties.headers, {"rpc-outcome": "too-large"})
            self.hostile.replies.clear()
        self.assertEqual(await self.dead_letters(), 0)

    async def test_writes_into_no_queue_but_reply_queues(self) -> None:
        """A worker may write to the request queue of another service; the caller, perhaps, may not."""
        victim = self.unique("rpc.victim")
        channel = self.hostile.channel
        await channel.queue_declare(queue=victim, exclusive=True)
        add = CODECS["binary"].encode("add", 1, 7, Calculator.add_args(1, 2))
        for body in (add, b"malformed", CODECS["binary"].encode("unknown", 1, 7, Calculator.zip_args()), bytes(2**20)):
            properties = Properties(reply_to=victim, correlation_id="c", headers={"rpc-liveness": 1})
            self.hostile.publish(self.name, body, properties)
        await self.assert_unharmed()
        while await self.dead_letters() < 3:  # the one that is too large is not kept
            await self.assert_unharmed()
        self.assertEqual((await channel.queue_declare(queue=victim, passive=True)).message_count, 0)

    async def test_keeps_malformed_requests_as_dead_letters(self) -> None:
        """Unchanged, with the reason, in a queue with a limit; their headers do not route them."""
        headers = {"CC": [f"nobody.{secrets.token_hex(4)}"], "mine": 1}
        properties = Properties(
            reply_to=self.hostile.reply_queue, correlation_id="c", headers=headers, expiration="60000", app_id="a"
        )
        self.hostile.publish(self.name, b"not Thrift", properties)
        full = Properties(headers={"x": "x" * (FRAME - 70)}, app_id="b")
        self.hostile.publish(self.name, b"not Thrift either", full)
        letters: list[Delivery] = []
        both: Deferred[None] = Deferred()

        def arrived(letter: Delivery) -> None:
            letters.append(letter)
            if len(letters) == 2:
                both.callback(None)

        while await self.dead_letters() < 2:
            await self.assert_unharmed()
        await self.hostile.channel.consume(f"rpc.{self.name}.dead.invalid", arrived, lambda: None, no_ack=True)
        await both
        letters.sort(key=lambda letter: letter.body)  # the first one waits for its queue to be declared
        kept = letters[0].properties
        self.assertEqual((letters[0].body, kept.correlation_id, kept.app_id), (b"not Thrift", "c", "a"))
        self.assertEqual((kept.expiration, kept.delivery_mode), (None, 2))
        assert kept.headers is not None
        self.assertIn("not a Thrift message", kept.headers["rpc-dead-reason"])
        self.assertEqual((kept.headers["mine"], "CC" in kept.headers), (1, False))
        self.assertEqual((letters[1].body, letters[1].properties.app_id), (b"not Thrift either", "b"))
        # A queue can be declared again with the arguments that it has, and with no others.
        dead = f"rpc.{self.name}.dead.invalid"
        bounds = {"x-max-length": DEAD_LETTERS_KEPT, "x-max-length-bytes": DEAD_LETTER_BYTES}
        arguments = {"x-queue-type": "classic", **bounds}
        await self.hostile.channel.queue_declare(queue=dead, durable=True, arguments=arguments)
        for name, value in bounds.items():
            channel = await self.hostile.connection.open_channel()
            others = {**arguments, name: value + 1}
            declaring = channel.queue_declare(queue=dead, durable=True, arguments=others)
            await self.assertFailure(declaring, ChannelClosed)
