"""How many requests wait, and how many dead letters there are, by the queues of each service.

The question about a missing queue is an error to the broker: it closes a channel, and RabbitMQ logs it. Queues of dead
letters are only declared with their first letter, so most are missing. So a missing queue is asked about again only
after a minute, and a few such questions are asked at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore

from rpc.control.together import together
from rpc.dashboard.readings import QueuedMessages
from rpc.errors import ChannelClosed, CodecError
from rpc.topology import ServiceTopology

AT_ONCE: Final = 10
"""Questions without an answer: each has a channel of its own."""

DOUBTFUL_AT_ONCE: Final = 40
"""Questions of one look about queues that may be missing."""

MISSING_FOR: Final = 60.0
"""Seconds until a missing queue is asked about again."""

Ask = Callable[[str], Deferred[Any]]
"""Returns the broker's counts of a queue; ``None``: there is none."""


@attrs.frozen
class _Exists:
    """A queue that the broker has counted."""

    ready: int


@attrs.frozen
class _Missing:
    """The broker has no such queue.

    :ivar at: when it was asked, by the clock.
    """

    at: float


@attrs.frozen
class _Refused:
    """The broker tells nothing of the queue.

    :ivar at: when it was asked, by the clock.
    """

    at: float
    why: str


class Queues:
    """The queues of all services."""

    def __init__(self, clock: Any, ask: Ask) -> None:
        self._clock = clock
        self._ask = ask
        self._known: dict[str, _Exists | _Missing | _Refused] = {}  # the last answers

    async def counts(self, services: Mapping[str, str]) -> dict[str, QueuedMessages]:
        """Ask the broker.

        :param services: their request queues, by their names.
        :raises AMQPError: the connection was lost.
        """
        topologies = {name: ServiceTopology(name, queue=queue) for name, queue in services.items()}
        wanted = {topology.queue: None for topology in topologies.values()}
        for topology in topologies.values():
            wanted.update(dict.fromkeys(topology.dead_letter_queues))
        self._forget_others(wanted)
        turns = DeferredSemaphore(AT_ONCE)
        await together([turns.run(self._look, queue) for queue in self._due(wanted)])
        return {name: self._counts_of(topology) for name, topology in topologies.items()}

    def is_missing(self, queue: str) -> bool:
        """Return whether the broker has said that there is no such queue."""
        return isinstance(self._known.get(queue), _Missing)

    @property
    def problems(self) -> list[str]:
        """The refused questions, in one line: the user may not look at a queue (RabbitMQ 4.3 and later), its node is
        down, or another connection has it alone.
        """
        refused = [(queue, known.why) for queue, known in self._known.items() if isinstance(known, _Refused)]
        if not refused:
            return []
        queue, why = refused[0]
        more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        return [f"the broker tells nothing of the queue {queue}{more}: {why}"]

    def _due(self, wanted: Iterable[str]) -> list[str]:
        """Return the queues to ask about now: all that exist, and some of the others.

        The others come in the order of their last answers, so that none waits for ever behind many others.
        """
        now = self._clock.seconds()
        exist: list[str] = []
        doubtful: list[tuple[float, str]] = []
        for queue in wanted:
            known = self._known.get(queue)
            if isinstance(known, _Exists):
                exist.append(queue)
            elif known is None:
                doubtful.append((-math.inf, queue))
            elif now - known.at >= MISSING_FOR:
                doubtful.append((known.at, queue))
        doubtful.sort(key=lambda each: each[0])
        return exist + [queue for _, queue in doubtful[:DOUBTFUL_AT_ONCE]]

    async def _look(self, queue: str) -> None:
        try:
            counts = await self._ask(queue)
        except (ChannelClosed, CodecError) as error:  # workers tell the names, so one may be none of AMQP's
            self._known[queue] = _Refused(self._clock.seconds(), str(error))
        else:
            self._known[queue] = _Missing(self._clock.seconds()) if counts is None else _Exists(counts.ready)

    def _counts_of(self, topology: ServiceTopology) -> QueuedMessages:
        dead = [self._ready(queue, missing=0) for queue in topology.dead_letter_queues]
        counted = [ready for ready in dead if ready is not None]
        return QueuedMessages(
            waiting=self._ready(topology.queue, missing=None),
            dead=sum(counted) if len(counted) == len(dead) else None,
        )

    def _ready(self, queue: str, *, missing: int | None) -> int | None:
        """Return how many messages a queue holds; `missing` if there is no such queue; ``None``: not known."""
        known = self._known.get(queue)
        if isinstance(known, _Exists):
            return known.ready
        return missing if isinstance(known, _Missing) else None

    def _forget_others(self, wanted: Iterable[str]) -> None:
        for queue in self._known.keys() - set(wanted):
            del self._known[queue]
