"""The state of the queue of a service whose calls get no reply, for the text of their errors.

Until its deadline, a call without a consumer looks like a slow call. At the deadline its error must come at once, so
there is no time left to ask the broker. So it is asked shortly before, and only about calls that are still without a
reply.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rpc.client.queue_counts import QueueCounts, counts_of
from rpc.errors import AMQPError, ChannelClosed
from rpc.interfaces import IClock
from rpc.link import Link

LONGEST_LEAD = 0.5
"""Seconds before a deadline at which the broker is asked, at most."""

INTERVAL = 1.0
"""Least seconds between two questions about one queue."""

NEVER = float("inf")

MOST_AT_ONCE = 10
"""Questions without an answer: each has a channel, and a connection has some thousands of them at most."""

MOST_QUEUES = 1000
"""Queues that are remembered: a program may make up any number of names."""

KNOWN_FOR = 2.0
"""Seconds after which an answer is too old to be told."""


def lead_of(timeout: float) -> float:
    """Return how many seconds before the deadline the broker is asked about a call with this timeout."""
    return min(LONGEST_LEAD, timeout / 4)


@attrs.frozen
class QueueState:
    """An answer of the broker.

    :ivar at: when it came, in seconds of the clock.
    """

    at: float
    counts: QueueCounts

    def __str__(self) -> str:
        queue, ready, consumers = self.counts.queue, self.counts.ready, self.counts.consumers
        waiting = f"{ready} {'request waits' if ready == 1 else 'requests wait'} in it"
        if not consumers:
            return f"no worker consumes the queue {queue}; {waiting}"
        workers = "1 worker consumes" if consumers == 1 else f"{consumers} workers consume"
        return f"{workers} the queue {queue}; {waiting}"


class QueueStates:
    """The queues of services whose calls get no reply."""

    def __init__(self, link: Link, clock: IClock) -> None:
        self._link = link
        self._clock = clock
        self._states: dict[str, QueueState] = {}  # by queue
        self._asked_again_at: dict[str, float] = {}  # by queue; NEVER on this connection when it was refused
        self._unanswered = 0

    def ask(self, queue: str) -> None:
        """Ask the broker about a queue. Nothing while it was asked a moment ago, or cannot answer."""
        connection = self._link.connection
        if connection is None or connection.blocked is not None or self._unanswered >= MOST_AT_ONCE:
            return
        if self._clock.seconds() < self._asked_again_at.get(queue, 0.0):
            return
        if len(self._asked_again_at) >= MOST_QUEUES:
            self.forget()
        self._asked_again_at[queue] = NEVER  # until it has answered
        self._unanswered += 1
        asked = Deferred.fromCoroutine(counts_of(connection, queue))
        asked.addCallback(self._answered, queue).addErrback(self._not_answered, queue).addBoth(self._end_question)

    def _answered(self, counts: QueueCounts | None, queue: str) -> None:
        """Keep the answer. A queue that does not exist is not asked about again on this connection."""
        if counts is not None:
            now = self._clock.seconds()
            self._asked_again_at[queue] = now + INTERVAL
            self._states[queue] = QueueState(now, counts)

    def _not_answered(self, failure: Failure, queue: str) -> None:
        """There was no channel, or it was lost. Only a refusal would come again."""
        failure.trap(AMQPError)
        if not failure.check(ChannelClosed):
            self._asked_again_at[queue] = self._clock.seconds() + INTERVAL

    def _end_question(self, result: Any) -> Any:
        self._unanswered -= 1
        return result

    def known(self, queue: str) -> QueueState | None:
        """Return the last answer about a queue, if it is not too old."""
        state = self._states.get(queue)
        return None if state is None or self._clock.seconds() - state.at > KNOWN_FOR else state

    def forget(self) -> None:
        """Forget all: the connection was lost, and the next one may be to another broker."""
        self._states.clear()
        self._asked_again_at.clear()
