"""Replaces the queues of a service by queues with other arguments, and moves the messages. None is lost.

For each queue, in this order:

1. The messages are moved to a queue beside it, the store. Meanwhile the queue stays in use.
2. New messages are diverted into the store (:mod:`rpc.cli.queue_detour`), and the last messages are moved.
3. The queue is deleted and declared anew, in one go. New messages go to the new queue from now on.
4. The messages of the store are moved to the new queue, and the store is deleted.

The store is declared first and deleted last, so it shows that a migration has not ended. A migration that was broken
off at any moment is completed by the next one, which finds out how far it came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.confirmed import ConfirmedPublisher, NotPublished, NotPublishedCause
from rpc.amqp.pipelining import all_answered
from rpc.amqp.protocol import AMQPConnection
from rpc.cli.copies import CopyOf, copy_as_it_is, own_user
from rpc.cli.progress import progress
from rpc.cli.queue_detour import Detour, Names
from rpc.cli.queue_differences import Difference
from rpc.cli.queue_move import Move, MoveFailed
from rpc.cli.queue_replacement import Replacement, replacements
from rpc.cli.service_queues import lock, lock_dead_letters, ready_messages
from rpc.errors import AMQPError, ChannelClosed
from rpc.headers import CANCEL
from rpc.messages import Properties
from rpc.reply_codes import PRECONDITION_FAILED
from rpc.topology import BROADCAST, Declaration, ServiceTopology, existing_queue

QUIET_SECONDS: Final = 1.0
"""How long a queue must be empty, with nothing bound to it, before it is deleted. A message that the broker has routed
before the change of bindings arrives within milliseconds.
"""

PROBE: Final = encode_properties(Properties(type=CANCEL, expiration="1000"))
"""A cancellation of no calls: a worker drops it."""


class WorkersConnected(MoveFailed):
    """A worker of the service is connected: it may hold requests of the old queue."""


async def lock_service(connection: AMQPConnection, topology: ServiceTopology) -> None:
    """Let no other command work on the service while `connection` is open.

    A command that holds dead letters has no consumer all the time, so its lock is taken as well.

    :raises click.ClickException: another command has one of the locks.
    """
    await lock(connection, Names(topology.queue).store, "thrift-rpc queue migrate")
    await lock_dead_letters(connection, topology.dead_queue)


class Migration:
    """The migration of one service.

    :ivar moved: how many messages have come into the new queues so far, by queue. A queue that needs no migration is
        not in it.
    :ivar unfinished: the stores that may have messages.
    :ivar missing: how many messages at least are no longer in a queue or a store into which they were moved.
    """

    def __init__(
        self,
        reactor: Any,
        holding: AMQPConnection,
        publishing: AMQPConnection,
        service: str,
        patience: float,
    ) -> None:
        """
        :param holding: a connection to consume on; `publishing`: another one.
        :param patience: seconds that a new queue may take no message.
        """
        self._reactor = reactor
        self._holding = holding
        self._publishing = publishing
        self._service = service
        self._patience = patience
        self._own: str | None = None
        self.moved: dict[str, int] = {}
        self.unfinished: list[str] = []
        self.missing: dict[str, int] = {}

    async def plan(self, topology: ServiceTopology, *, always: bool) -> list[str]:
        """Return a line for each queue that is there and is to be replaced, with its old and new arguments."""
        lines = []
        for old in replacements(topology):
            if await self.count(old.queue) is not None:
                differences = await self.differences(old.declaration)
                if differences or always:
                    lines.append(f"{old.queue}: {', '.join(differences) or 'the broker sees no difference'}")
        return lines

    async def replace(self, topology: ServiceTopology, *, always: bool) -> None:
        """Replace the queues, or go on with that. Those that are there as they are to be, or never were, stay so.

        :param always: replace it even so. RabbitMQ does not compare all arguments.
        :raises MoveFailed: see :class:`~rpc.cli.queue_move.Move`; nothing is lost.
        :raises AMQPError: the broker refuses something, or a connection was lost.
        """
        self._own = await own_user(self._publishing)
        for old in replacements(topology):
            await self._replace(old, always)

    async def _replace(self, old: Replacement, always: bool) -> None:
        store = Names(old.queue).store
        count = await self.count(old.queue)
        stored = await self.count(store)
        if count is None and stored is None:
            return
        replaced = count is None or (not always and not await self.differences(old.declaration))
        if replaced and stored is None:
            return
        await self.check_no_worker()
        self.unfinished.append(store)
        await self._do([old.store if stored is None else existing_queue(store)])
        if replaced:
            await self._do([old.declaration, *old.detour(Detour.prepare, Detour.leave)])
        else:
            with progress(count or 0, f"emptying {old.queue}") as advance:
                await self._empty(old, count or 0, advance)
        with progress((count or 0) + (stored or 0), f"filling {old.queue}") as advance:
            await self._fill(old, advance)
        self.unfinished.remove(store)

    async def _empty(self, old: Replacement, count: int, advance: Callable[[int], None]) -> None:
        """Move all messages to the store, and replace the queue."""
        async with self._moving(old.queue, Names(old.queue).store, old.copy_of, advance) as move:
            await move.until(count)
            try:
                await self._do(old.detour(Detour.prepare, Detour.enter, Detour.divert))
                await move.until_empty(QUIET_SECONDS)
                await self.check_no_worker()
            except BaseException:  # also of a signal: messages go to the old queue again
                with suppress(AMQPError):
                    await self._do(old.detour(Detour.prepare, Detour.leave))
                raise
            move.expect_end()
            delete = Declaration("queue_delete", {"queue": old.queue})
            await self._do([delete, old.declaration, *old.detour(Detour.leave)])
            await move.until_settled()
        await self._look_for(Names(old.queue).store, move.moved)

    async def _fill(self, old: Replacement, advance: Callable[[int], None]) -> None:
        """Move the messages of the store to the new queue, and delete the store."""
        store = Names(old.queue).store
        async with self._moving(store, old.queue, copy_as_it_is, advance) as move:
            try:
                await move.until_empty(QUIET_SECONDS)
            finally:
                self.moved[old.queue] = move.moved
            move.expect_end()
            await self._do([Declaration("queue_delete", {"queue": store})])
            await move.until_settled()
        await self._look_for(old.queue, move.moved)

    async def _look_for(self, queue: str, moved: int) -> None:
        """Note messages that were moved into a queue and are not there. RabbitMQ confirms a message, too, for which it
        drops an older one (its page "Queue Length Limit").
        """
        ready = await self.count(queue)
        if ready is not None and ready < moved:
            self.missing[queue] = moved - ready

    @asynccontextmanager
    async def _moving(
        self, source: str, target: str, copy_of: CopyOf, advance: Callable[[int], None]
    ) -> AsyncIterator[Move]:
        consuming, publishing = await self._holding.open_channel(), await self._publishing.open_channel()
        await publishing.confirm_select()
        move = Move(self._reactor, consuming, publishing, (source, target), copy_of, self._own, self._patience, advance)
        try:
            await move.start()
            yield move
        finally:
            await move.stop()
            publishing.close()  # a blocked broker does not answer

    # -- questions to the broker

    async def exists(self, queue: str) -> bool:
        """Return whether there is a queue of that name, or one that was being replaced."""
        return await self.count(queue) is not None or await self.count(Names(queue).store) is not None

    async def count(self, queue: str) -> int | None:
        """Return how many messages are ready in a queue; ``None``: there is no such queue."""
        return await ready_messages(self._holding, queue)

    async def differences(self, declaration: Declaration) -> list[str]:
        """Return in what a queue that is there differs from a declaration, as far as the broker compares them.

        :return: texts for an operator. The last is the broker's own when it names no argument.
        """
        wanted = declaration.arguments["arguments"]
        arguments, found = wanted, dict[str, str]()
        while True:
            try:
                await self._do([Declaration("queue_declare", {**declaration.arguments, "arguments": arguments})])
            except ChannelClosed as error:
                if error.code != PRECONDITION_FAILED:
                    raise
                difference = Difference.read(error.text)
                if difference is None or difference.name in found:
                    return [*found.values(), error.text]
                found[difference.name] = difference.described(wanted)
                arguments = difference.applied(arguments)
            else:
                return [*found.values()]

    async def try_arguments(self, declaration: Declaration) -> None:
        """Have the broker check the arguments of a new queue while the old one is still there.

        :raises ChannelClosed: 406, an argument has a value that the broker does not take.
        """
        name = Names(declaration.arguments["queue"]).trial
        trial = Declaration("queue_declare", {**declaration.arguments, "queue": name})
        delete = Declaration("queue_delete", {"queue": name})
        await self._do([delete, trial, delete])

    async def check_no_worker(self) -> None:
        """Check that no worker of the service is connected.

        One that consumes no more may still hold unacked requests, which would go with the queue. The broker does not
        count those. But each worker has a queue of its own until it has finished its calls.

        :raises WorkersConnected: a worker is connected.
        """
        channel = await self._publishing.open_channel()
        await channel.confirm_select()
        publisher = ConfirmedPublisher(channel)
        channel.on_closed = publisher.lost
        try:
            await publisher.publish(BROADCAST, self._service, PROBE, b"")
        except NotPublished as error:
            if error.cause is not NotPublishedCause.RETURNED:
                raise
        else:
            raise WorkersConnected(
                f"a worker of {self._service} is connected: stop all of them first. Clients can go on: their requests "
                "wait in the queue"
            )
        finally:
            channel.close()  # a blocked broker does not answer

    async def _do(self, declarations: Iterable[Declaration]) -> None:
        """Send declarations at once. The broker carries them out in order, and none after one that fails."""
        channel = await self._holding.open_channel()
        await all_answered([channel.declare(each) for each in declarations])
        await channel.close()
