"""Whether a channel on which requests are refused should be replaced by a fresh one.

A full backlog refuses requests, perhaps for hours (``x-overflow: reject-publish``; RabbitMQ documentation, Queue
Length Limit). That is an answer, and a new channel would get the same one. But RabbitMQ can also refuse all that one
channel publishes to a quorum queue, for ever. This was seen when the refusals began at the moment at which the
queue's leader died. A likely cause: each channel remembers whether the queue accepts messages, and it has lost the
leader's notice that the queue accepts them again. Only a fresh channel helps then.

Nothing on the old channel distinguishes the two cases for certain. RabbitMQ keeps the state for each channel and queue.
An ack for another queue, or for a message that no queue takes, therefore proves nothing about this queue. So:

- Refusals of one service are taken for a full backlog, unless they last.
- Refusals of several services, with nothing accepted in between, are taken for a broken channel sooner.
- The owner replaces the channel only while no accepted call on it is pending (:class:`rpc.client.incoming.Incoming`).
- A fresh channel that refuses as well doubles the times, until a refused service is accepted again.
"""

from __future__ import annotations

ALL_REFUSED = 1.0
"""Seconds in which several services were refused and nothing was accepted."""

ONE_REFUSED = 3.0
"""Seconds in which all requests of one service were refused."""

MANY_REFUSED = 5
"""Least refusals in that time."""

LONGEST_BACKOFF = 64
"""Most by which the times are multiplied: a channel is replaced every 3 minutes while one backlog is full."""


class ChannelHealth:
    """The refusals on a client's channels. Time is an argument.

    :ivar watching: whether :meth:`accepted` has to be called; ``False`` while nothing is refused.
    """

    __slots__ = ("_all_since", "_backoff", "_refused_services", "_refusing", "_replaced_for", "_total", "watching")

    def __init__(self) -> None:
        self._refusing: dict[str, tuple[float, int]] = {}
        """Services whose last request was refused: when that began, and how many were refused since."""
        self._replaced_for: set[str] = set()
        """Services because of which channels were replaced, until one of them accepts a request."""
        self._backoff = 1
        self.watching = False
        self._clear()

    def begin(self) -> None:
        """Begin with a fresh channel."""
        self._refusing.clear()
        self._clear()
        self.watching = bool(self._replaced_for)

    def _clear(self) -> None:
        self._all_since: float | None = None
        self._refused_services: set[str] = set()
        self._total = 0

    def accepted(self, service: str) -> None:
        """Note an ack of a request to `service`."""
        self._clear()
        self._refusing.pop(service, None)
        if service in self._replaced_for:
            self._replaced_for.clear()
            self._backoff = 1
        self.watching = bool(self._refusing or self._replaced_for)

    def refused(self, service: str, now: float) -> bool:
        """Note a nack of a request to `service`.

        :return: whether the channel should be replaced.
        """
        self.watching = True
        since, count = self._refusing.get(service, (now, 0))
        self._refusing[service] = since, count + 1
        if self._all_since is None:
            self._all_since = now
        self._refused_services.add(service)
        self._total += 1
        everything = len(self._refused_services) > 1 and self._total >= MANY_REFUSED
        if everything and now - self._all_since > ALL_REFUSED * self._backoff:
            return True
        return count + 1 >= MANY_REFUSED and now - since > ONE_REFUSED * self._backoff

    def replaced(self) -> None:
        """Note that the channel is replaced because of its refusals."""
        self._replaced_for.update(self._refusing)
        self._backoff = min(LONGEST_BACKOFF, 2 * self._backoff)
