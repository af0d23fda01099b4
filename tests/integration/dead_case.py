"""For tests of ``thrift-rpc dead``: the command as a process, and a service with dead letters."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery
from rpc.cli.service_queues import lock_of
from rpc.client.queue_counts import counts_of
from rpc.errors import ChannelClosed
from rpc.messages import Properties
from rpc.reply_codes import RESOURCE_LOCKED
from rpc.topology import EXCHANGES, DeadLetterKind, ServiceTopology
from tests.integration.amqp_case import AMQPTestCase, later

reactor: Any = global_reactor
UNFINISHED = DeadLetterKind.UNFINISHED
PROJECT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("thrift-rpc")


def read_until(terminal: int, text: bytes) -> None:
    """Read the output of a terminal until it has the text; blocks."""
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 1024)


class Command(ProcessProtocol):
    """``thrift-rpc dead`` in the project's folder.

    :ivar output: its standard output so far. :ivar error: its standard error so far. :ivar ended: fires with its exit
    status.
    """

    def __init__(self, *arguments: str) -> None:
        self.output = self.error = ""
        self.ended: Deferred[int] = Deferred()
        self._awaited: tuple[str, Deferred[None]] | None = None
        self.process = reactor.spawnProcess(
            self, str(COMMAND), [str(COMMAND), "dead", *arguments], env=os.environ, path=str(PROJECT)
        )

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode()
        if self._awaited is not None and self._awaited[0] in self.output:
            (_, seen), self._awaited = self._awaited, None
            seen.callback(None)

    def errReceived(self, data: bytes) -> None:
        self.error += data.decode()

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self.ended.callback(ended.exitCode)

    def says(self, text: str) -> Deferred[None]:
        """Return a Deferred that fires when standard output has the text, which it has not yet."""
        assert text not in self.output
        seen: Deferred[None] = Deferred()
        self._awaited = text, seen
        return seen

    def signal(self, name: str) -> None:
        """Send a signal, unless the command has ended before: the test cannot know."""
        with suppress(ProcessExitedAlready):
            self.process.signalProcess(name)

    def answer(self, line: str) -> None:
        """Type a line."""
        self.process.write(f"{line}\n".encode())


@attrs.frozen
class Ended:
    """A command that has ended."""

    status: int
    output: str
    error: str


class DeadTestCase(AMQPTestCase):
    """A service of the test's own, declared as a worker does, with the dead letters of the test."""

    timeout = 60.0
    backlog: int | None = None
    queue_type = "classic"

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.name = self.unique("Calculator")
        await self.declare(self.url)

    async def declare(self, url: str) -> None:
        """Declare the service's queues on the broker of the URL."""
        self.url_used = url
        self.topology = ServiceTopology(self.name, backlog=self.backlog, queue_type=self.queue_type)
        self.broker_channel = await self.channel(url)
        for declaration in [*EXCHANGES, *self.topology.requests(), *self.topology.dead_letters()]:
            await self.broker_channel.declare(declaration)

    def bury(self, body: bytes = b"abc", *, kind: DeadLetterKind = UNFINISHED, **properties: Any) -> None:
        """Publish a letter to the queue of its kind, as a worker does."""
        given = {"type": f"{self.name}.add", "headers": {"rpc-dead-reason": "it is short"}, "delivery_mode": 2}
        encoded = encode_properties(Properties(**{**given, **properties}))
        self.broker_channel.publish("rpc.dead", self.topology.key_of_kind(kind), encoded, body)

    async def waiting(self, queue: str) -> int:
        """Return the number of ready messages of a queue, after all that was published."""
        declared = await self.broker_channel.queue_declare(queue=queue, passive=True)
        count: int = declared.message_count
        return count

    async def buried(self, *message_ids: str) -> None:
        """Publish letters with these message ids to the queue."""
        for message_id in message_ids:
            self.bury(message_id=message_id)
        await self.has_dead(len(message_ids))

    async def has_dead(self, count: int, kind: DeadLetterKind = UNFINISHED) -> None:
        """Wait until the queue of these dead letters has this number."""
        while await self.waiting(self.topology.queue_of_kind(kind)) != count:
            await later(0.02)

    async def released(self) -> None:
        """Wait until the broker has noticed the end of a command that was killed: its lock on the letters is gone, and
        so are its consumers. The next command would be refused before.
        """
        while await self.is_locked():
            await later(0.02)
        for kind in DeadLetterKind:
            while await self.consumers(self.topology.queue_of_kind(kind)):
                await later(0.02)

    async def is_locked(self) -> bool:
        """Return whether a command has the lock on the letters."""
        try:
            return await counts_of(self.broker_channel.client, lock_of(self.topology.dead_queue)) is not None
        except ChannelClosed as error:
            self.assertEqual(error.code, RESOURCE_LOCKED)
            return True

    async def consumers(self, queue: str) -> int:
        """Return the number of consumers of a queue; 0 if there is no such queue."""
        counts = await counts_of(self.broker_channel.client, queue)
        return 0 if counts is None else counts.consumers

    async def taken(self, queue: str) -> list[Delivery]:
        """Consume all messages of a queue."""
        count = await self.waiting(queue)
        messages: list[Delivery] = []
        complete: Deferred[None] = Deferred()

        def take(message: Delivery) -> None:
            messages.append(message)
            if len(messages) == count:
                complete.callback(None)

        if count:
            channel: Channel = await self.broker_channel.client.open_channel()
            await channel.consume(queue, take, lambda: None, no_ack=True)
            await complete
            await channel.close()
        return messages

    async def ids(self, queue: str) -> list[str | None]:
        """Consume all messages of a queue and return their message ids."""
        return [message.properties.message_id for message in await self.taken(queue)]

    def start(self, verb: str, *arguments: str) -> Command:
        """Start a command for the test's service."""
        command = Command(verb, "--broker", self.url_used, self.name, *arguments)
        self.addCleanup(command.signal, "KILL")
        return command

    async def run_dead(self, verb: str, *arguments: str, answer: str | None = None) -> Ended:
        """Run a command for the test's service to its end."""
        command = self.start(verb, *arguments)
        if answer is not None:
            command.answer(answer)
        command.process.closeStdin()
        status = await command.ended
        return Ended(status, command.output, command.error)

    async def done(self, verb: str, *arguments: str, answer: str | None = None) -> str:
        """Return the output of a command that succeeds; standard error stays empty."""
        ended = await self.run_dead(verb, *arguments, answer=answer)
        self.assertEqual((ended.status, ended.error), (0, ""), ended.output)
        return ended.output

    async def failure(self, verb: str, *arguments: str) -> str:
        """Return the message of a command that fails, without a traceback."""
        ended = await self.run_dead(verb, *arguments)
        self.assertEqual(ended.status, 1, ended.output)
        self.assertTrue(ended.error.startswith("Error: "), ended.error)
        self.assertNotIn("Traceback", ended.error)
        return ended.error.removeprefix("Error: ").strip()

    async def listed(self) -> list[Any]:
        """Return the letters of ``list --json``."""
        return [json.loads(line) for line in (await self.done("list", "--json")).splitlines()]
