"""Cancellations: messages of type ``rpc.cancel``, by which a client tells workers to cancel calls.

The body has the message ids of the calls, one a line. A worker that has such a call cancels its handler, or does not
begin it. Calls at a known worker are cancelled there. A call that may be at any worker of its service is cancelled by a
broadcast, which every worker of the service reads. Calls that have timed out are not broadcast, since they may be
thousands: their requests expire, and workers know the deadline themselves.

A broadcast costs the broker time for each worker. So the first cancellation is published at once, and those of the next
:data:`INTERVAL` are published together. However many calls are cancelled, a client broadcasts at most once an interval
and service. Without a channel, or while the broker is blocked, they are dropped: the deadline ends such calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall

from rpc.client.call import Call
from rpc.interfaces import IClock
from rpc.keys import Keys
from rpc.topology import BROADCAST

INTERVAL = 0.05
"""Seconds between two publications of gathered cancellations."""

MOST_IDS = 10_000
"""Message ids in one message, each of 32 bytes. A worker accepts 1 MiB."""


class Cancellations:
    """Gathers the cancellations of one client."""

    def __init__(self, clock: IClock, publish: Callable[[str, str, Keys | None, bytes], None]) -> None:
        """:param publish: publishes a message with this exchange, routing key and body, signed if there are keys. It
        drops a message that it cannot publish.
        """
        self._clock = clock
        self._publish = publish
        self._gathered: dict[tuple[str, str, Keys | None], list[bytes]] = {}
        self._timer: IDelayedCall | None = None

    def add(self, calls: Iterable[Call], *, broadcast: bool = True) -> None:
        """Cancel `calls` at the workers that may have them in progress.

        :param broadcast: whether a call that may be at an unknown worker is cancelled at every worker of its service.
        """
        for call in calls:
            if not call.operation.oneway:  # a oneway request runs, once the broker has it
                for exchange, key in _routes_of(call, broadcast):
                    together = exchange, key, call.operation.options.keys
                    self._gathered.setdefault(together, []).append(call.id[1:])
        if self._timer is None:
            self._publish_and_wait()

    def flush(self) -> None:
        """Publish the gathered cancellations now: the connection is about to be closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._publish_all()

    def _publish_and_wait(self) -> None:
        self._timer = self._clock.callLater(INTERVAL, self._publish_and_wait) if self._gathered else None
        self._publish_all()

    def _publish_all(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for (exchange, key, keys), ids in gathered.items():
            for first in range(0, len(ids), MOST_IDS):
                self._publish(exchange, key, keys, b"\n".join(ids[first : first + MOST_IDS]))


def _routes_of(call: Call, broadcast: bool) -> list[tuple[str, str]]:
    """Return exchange and routing key of each cancellation of `call`."""
    operation = call.operation
    service = operation.service.partition("@")[0]
    workers = call.possible_workers
    if operation.options.exchange == BROADCAST and workers:  # each worker of the service has a copy
        workers = frozenset((None,))
    if None in workers and broadcast:
        return [(BROADCAST, service)]
    return [(operation.options.exchange, f"{service}@{worker}") for worker in sorted(filter(None, workers))]
