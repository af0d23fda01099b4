"""How many requests wait, and how many dead letters there are, by the queues of each service.

The question about a missing queue is an error to the broker: it closes a channel, and RabbitMQ logs it. Queues of dead
letters are only declared with their first letter, so most are missing. So a missing queue is asked about again only
after a minute, and a few such questions are asked at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredSemaphore

from rpc.control.together import together
from rpc.dashboard.readings import QueueCounts
from rpc.errors import ChannelClosed, CodecError
from rpc.topology import DeadLetterKind, ServiceTopology

AT_ONCE: Final = 10
"""Questions without an answer: each has a channel of its own."""

DOUBTFUL_AT_ONCE: Final = 40
"""Questions of one look about queues that may be missing."""

MISSING_FOR: Final = 60.0
"""Seconds until a missing queue is asked about again."""

Ask = Callable[[str], Deferred[Any]]
"""Returns what the broker says of a queue; ``None``: there is none."""


class Queues:
    """The queues of all services."""

    def __init__(self, clock: Any, ask: Ask) -> None:
        self._clock = clock
        self._ask = ask
        self._ready: dict[str, int] = {}  # of queues that exist
        self._asked_in_vain: dict[str, float] = {}  # when, by queue
        self._missing: set[str] = set()
        self._refused: dict[str, str] = {}  # why the broker tells nothing of a queue

    async def counts(self, services: Mapping[str, str]) -> dict[str, QueueCounts]:
        """Ask the broker.

        :param services: their request queues, by their names.
        :raises AMQPError: the connection was lost.
        """
        topologies = {name: ServiceTopology(name, queue=queue) for name, queue in services.items()}
        wanted = {topology.queue: None for topology in topologies.values()}
        for topology in topologies.values():
            wanted.update(dict.fromkeys(_dead_queues(topology)))
        self._forget_others(wanted)
        turns = DeferredSemaphore(AT_ONCE)
        await together([turns.run(self._look, queue) for queue in self._due(wanted)])
        return {name: self._counts_of(topology) for name, topology in topologies.items()}

    def is_missing(self, queue: str) -> bool:
        """Return whether the broker has said that there is no such queue."""
        return queue in self._missing

    @property
    def problems(self) -> list[str]:
        """What the broker refuses to tell, in one line: the user may not look at a queue (RabbitMQ 4.3 and later), its
        node is down, or another connection has it alone.
        """
        if not self._refused:
            return []
        queue, why = next(iter(self._refused.items()))
        more = f", and {len(self._refused) - 1} more" if len(self._refused) > 1 else ""
        return [f"the broker tells nothing of the queue {queue}{more}: {why}"]

    def _due(self, wanted: Iterable[str]) -> list[str]:
        """Return the queues to ask about now: all that exist, and some of the others."""
        now = self._clock.seconds()
        doubtful = [
            queue
            for queue in wanted
            if queue not in self._ready and now - self._asked_in_vain.get(queue, -MISSING_FOR) >= MISSING_FOR
        ]
        return [queue for queue in wanted if queue in self._ready] + doubtful[:DOUBTFUL_AT_ONCE]

    async def _look(self, queue: str) -> None:
        try:
            counts = await self._ask(queue)
        except (ChannelClosed, CodecError) as error:  # workers tell the names, so one may be none of AMQP's
            self._in_vain(queue)
            self._missing.discard(queue)
            self._refused[queue] = str(error)
            return
        self._refused.pop(queue, None)
        if counts is None:
            self._in_vain(queue)
            self._missing.add(queue)
        else:
            self._asked_in_vain.pop(queue, None)
            self._missing.discard(queue)
            self._ready[queue] = counts.ready

    def _in_vain(self, queue: str) -> None:
        self._ready.pop(queue, None)
        self._asked_in_vain[queue] = self._clock.seconds()

    def _counts_of(self, topology: ServiceTopology) -> QueueCounts:
        dead = _dead_queues(topology)
        known = all(queue in self._ready or queue in self._missing for queue in dead)
        return QueueCounts(
            waiting=self._ready.get(topology.queue),
            dead=sum(self._ready.get(queue, 0) for queue in dead) if known else None,
        )

    def _forget_others(self, wanted: Iterable[str]) -> None:
        gone = (self._ready.keys() | self._asked_in_vain.keys()) - set(wanted)
        for queue in gone:
            self._ready.pop(queue, None)
            self._asked_in_vain.pop(queue, None)
            self._missing.discard(queue)
            self._refused.pop(queue, None)


def _dead_queues(topology: ServiceTopology) -> list[str]:
    return [topology.queue_of_kind(kind) for kind in DeadLetterKind]
