"""The dead letters of a service: those of all kinds, one queue after another, numbered through."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from rpc.amqp.protocol import AMQPConnection
from rpc.cli.dead_letters import DeadLetters, Letter
from rpc.cli.service_queues import no_such_queue, ready_messages
from rpc.errors import AMQPError
from rpc.topology import DeadLetterKind, ServiceTopology


class DeadQueues:
    """The letters of some kinds. Each queue has a channel of its own. Take the lock first
    (:func:`~rpc.cli.service_queues.lock_dead_letters`).

    Letters of other kinds are not read, but counted: a letter has the same number whatever kinds are read.
    """

    def __init__(
        self, reactor: Any, connection: AMQPConnection, topology: ServiceTopology, kinds: Collection[DeadLetterKind]
    ) -> None:
        self._reactor = reactor
        self._connection = connection
        self._topology = topology
        self._kinds = kinds
        self._queues: dict[DeadLetterKind, DeadLetters] = {}

    @property
    def count(self) -> int:
        """How many letters are to be read: those that the queues had at the first look."""
        return sum(queue.count for queue in self._queues.values())

    @property
    def read(self) -> int:
        """How many letters :meth:`next_round` has returned."""
        return sum(queue.read for queue in self._queues.values())

    @property
    def unread(self) -> int:
        """How many letters are left to read."""
        return self.count - self.read

    @property
    def renewable(self) -> list[str]:
        """The queues with a letter that the broker may soon drop (``dead_renewal.py``)."""
        return [self._topology.queue_of_kind(kind) for kind, queue in self._queues.items() if queue.renewable]

    async def look(self) -> None:
        """Count the letters. To be called once, before :meth:`next_round`.

        A queue is declared with its first letter, so a missing one has none. A service that was served has a request
        queue.

        :raises click.ClickException: the service was never served here, or another program consumes from a queue.
        :raises AMQPError: the connection was lost.
        """
        before, missing = 0, 0
        for kind in DeadLetterKind:
            count = await ready_messages(self._connection, self._topology.queue_of_kind(kind))
            if count is None:
                missing += 1
            elif kind in self._kinds:
                channel = await self._connection.open_channel()
                queue = DeadLetters(self._reactor, channel, self._topology.queue_of_kind(kind), kind, before)
                self._queues[kind] = queue
                before += await queue.look()
            else:
                before += count
        request_queue = self._topology.queue
        if missing == len(DeadLetterKind) and await ready_messages(self._connection, request_queue) is None:
            raise no_such_queue(request_queue)

    async def next_round(self) -> list[Letter]:
        """Return the next letters of one kind, oldest first; none when all are read.

        :raises AMQPError: the broker refused the request, stopped delivering, or closed the connection.
        """
        for queue in self._queues.values():
            letters = await queue.next_round()
            if letters:
                return letters
        return []

    def remove(self, letters: Iterable[Letter]) -> None:
        """Ack letters: they leave their queues, unless a channel is lost before :meth:`removed` has fired."""
        for letter in letters:
            self._queues[letter.kind].remove([letter])

    async def removed(self) -> None:
        """Return when the queues have applied all acks.

        :raises AMQPError: a channel was lost; some letters may not have been removed.
        """
        for queue in self._queues.values():
            await queue.removed()

    async def put_back(self) -> None:
        """Close the channels, and wait until the queues have the letters again that were not removed.

        :raises AMQPError: a channel was lost. The broker has requeued its letters, or does so soon.
        """
        lost: AMQPError | None = None
        for queue in self._queues.values():
            try:
                await queue.put_back()
            except AMQPError as error:  # the others have letters, too
                lost = error
        if lost is not None:
            raise lost

    def on_lost(self, lost: Callable[[Exception], None]) -> None:
        """Call `lost` with the reason when a channel closes, and the broker requeues the letters."""
        for queue in self._queues.values():
            queue.on_lost(lost)
