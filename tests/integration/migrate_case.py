"""For tests of ``thrift-rpc queue migrate``: a service's queues, the command as a process and in the test's process."""

from __future__ import annotations

import os
from typing import Any

import attrs
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, DeferredQueue, gatherResults
from twisted.internet.utils import getProcessOutputAndValue

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.confirmed import ConfirmedPublisher
from rpc.amqp.content import Delivery
from rpc.cli.service_queues import ready_messages
from rpc.errors import ChannelClosed
from rpc.messages import Properties
from rpc.topology import EXCHANGES, Declaration, ServiceTopology
from tests.integration.amqp_case import AMQPTestCase, later
from tests.integration.dead_case import COMMAND, PROJECT, Ended

reactor: Any = global_reactor


class MigrateTestCase(AMQPTestCase):
    """A service of the test's own, declared as a worker does."""

    timeout = 120.0

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.use(self.unique("Calculator"))
        self.broker_channel = await self.channel()
        for declaration in EXCHANGES:
            await self.broker_channel.declare(declaration)
        publishing = await self.channel()
        await publishing.confirm_select()
        self.publisher = ConfirmedPublisher(publishing)

    def use(self, name: str) -> None:
        """Have the test be about the service of that name."""
        self.name, self.topology = name, ServiceTopology(name)
        self.requests = self.topology.queue

    def options(self, **options: Any) -> ServiceTopology:
        """Return the topology of the service with options."""
        return ServiceTopology(self.name, **options)

    async def declared(self, **options: Any) -> None:
        """Declare the request queue with options."""
        for declaration in self.options(**options).requests():
            await self.broker_channel.declare(declaration)

    def send(self, message_id: str, exchange: str = "rpc", key: str = "", **properties: Any) -> Deferred[None]:
        """Publish a request. Fires when the broker has confirmed it, fails when no queue has taken it."""
        encoded = encode_properties(Properties(message_id=message_id, **properties))
        return self.publisher.publish(exchange, key or self.name, encoded, message_id.encode())

    async def sent(self, *message_ids: str, **properties: Any) -> None:
        """Publish requests."""
        await gatherResults([self.send(message_id, **properties) for message_id in message_ids])

    async def taken(self, queue: str) -> list[Delivery]:
        """Consume all messages of a queue.

        They are counted before they are consumed: when none is ready, deliveries may still be on their way.
        """
        messages: list[Delivery] = []
        while count := await self.ready(queue):
            channel: Channel = await self.broker_channel.client.open_channel()
            delivered: DeferredQueue[Delivery] = DeferredQueue()
            await channel.consume(queue, delivered.put, lambda: None)
            messages += [await delivered.get() for _ in range(count)]
            channel.ack(messages[-1].delivery_tag, multiple=True)
            await channel.close()
        return messages

    async def ready(self, queue: str) -> int | None:
        """Return the number of ready messages; ``None``: there is no such queue."""
        return await ready_messages(self.broker_channel.client, queue)

    async def is_refused(self, declaration: Declaration) -> bool:
        """Whether the broker refuses a declaration."""
        channel = await self.broker_channel.client.open_channel()
        try:
            await channel.declare(declaration)
        except ChannelClosed:
            return True
        await channel.close()
        return False

    async def assert_replaced(self, **options: Any) -> None:
        """The queue has the arguments of these options, and nothing of the migration is left."""
        for name in (f"{self.requests}.migrating", f"{self.requests}.migrating.trial"):
            self.assertIsNone(await self.ready(name), name)
        for name in (f"{self.requests}.migrating", f"{self.requests}.migrating.store"):
            there = Declaration("exchange_declare", {"exchange": name, "passive": True})
            self.assertTrue(await self.is_refused(there), name)
        for declaration in self.options(**options).requests():
            self.assertFalse(await self.is_refused(declaration), options)

    async def migrate(self, *arguments: str, answer: str | None = None) -> Ended:
        """Run the command to its end, with an answer to its question, or with --yes."""
        words = [
            "queue",
            "migrate",
            "--broker",
            self.url,
            self.name,
            *arguments,
            *(["--yes"] if answer is None else []),
        ]
        output, error, status = await getProcessOutputAndValue(
            str(COMMAND), words, env=os.environ, path=str(PROJECT), reactor=reactor, stdinBytes=(answer or "").encode()
        )
        return Ended(status, output.decode(), error.decode())

    async def migrated(self, *arguments: str) -> str:
        """Return the output of a command that succeeds."""
        ended = await self.migrate(*arguments)
        self.assertEqual((ended.status, ended.error), (0, ""), ended.output)
        return ended.output

    async def not_migrated(self, *arguments: str, status: int = 1) -> str:
        """Return the message of a command that fails, without a traceback."""
        ended = await self.migrate(*arguments)
        self.assertEqual(ended.status, status, ended.output + ended.error)
        self.assertNotIn("Traceback", ended.error)
        return ended.error


@attrs.define
class Stream:
    """Requests that are published one after another while a test runs.

    :ivar confirmed: the message ids that the broker has confirmed. :ivar failed: the errors of the others.
    """

    case: MigrateTestCase
    confirmed: list[str] = attrs.field(factory=list)
    failed: list[str] = attrs.field(factory=list)
    _published: int = 0
    _on: bool = True
    _ended: Deferred[None] | None = None

    def start(self) -> Stream:
        """Begin."""
        self._ended = Deferred.fromCoroutine(self._run())
        return self

    async def _run(self) -> None:
        pending: list[Deferred[None]] = []
        while self._on:
            message_id = f"stream.{self._published}"
            self._published += 1
            sent = self.case.send(message_id)
            sent.addCallbacks(self._confirmed, self._not_confirmed, callbackArgs=(message_id,))
            pending.append(sent)
            await later(0.002)
        await gatherResults(pending)

    def _confirmed(self, _: object, message_id: str) -> None:
        self.confirmed.append(message_id)

    def _not_confirmed(self, failure: Any) -> None:
        self.failed.append(failure.getErrorMessage())

    async def stop(self) -> None:
        """End when all are answered."""
        self._on = False
        assert self._ended is not None
        await self._ended
