"""Where readings come from: all workers, asked at once by :class:`rpc.control.Control`, and the broker's queues."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc.client.connection import Connection
from rpc.control import Answers, Control, WorkerDescription, WorkerStats
from rpc.control.together import together
from rpc.dashboard.audience import ISource
from rpc.dashboard.queues import Queues
from rpc.dashboard.readings import Reading
from rpc.dashboard.roster import Roster
from rpc.dashboard.snapshot import Broker, BrokerState
from rpc.errors import ServiceUnavailable
from rpc.interceptors import ClientInterceptor
from rpc.observers import Observer

WAIT: Final = 0.8
"""Seconds that workers have to answer. A reading comes once a second."""

DESCRIBED: Final = 5.0
"""Seconds after which workers are asked again for their descriptions; a new worker is asked at once."""


class BrokerWatch(Observer, ClientInterceptor):
    """Notes since when there is a connection to the broker, or none."""

    def __init__(self) -> None:
        self.state = BrokerState.CONNECTING
        self.since = time.time()

    def connected(self) -> None:
        """See :class:`~rpc.observers.IObserver`."""
        self._enter(BrokerState.UP)

    def disconnected(self) -> None:
        """See :class:`~rpc.observers.IObserver`."""
        self._enter(BrokerState.AWAY)

    def _enter(self, state: BrokerState) -> None:
        self.state, self.since = state, time.time()


@implementer(ISource)
class BrokerSource:
    """Asks by one connection."""

    def __init__(
        self,
        clock: Any,
        connection: Connection,
        watch: BrokerWatch,
        url: str,
        services: Iterable[str],
        *,
        user_id: bool = False,
    ) -> None:
        """
        :param watch: an interceptor of the connection.
        :param url: of the broker, without the password.
        :param services: are looked at, even if no worker serves them.
        :param user_id: as for :class:`~rpc.control.Control`.
        """
        self._clock = clock
        self._connection = connection
        self._control = Control(connection, user_id=user_id)
        self._watch = watch
        self._url = url
        self._roster = Roster(services)
        self._queues = Queues(clock, connection.queue_counts)
        self._described_at = float("-inf")

    def broker(self) -> Broker:
        """See :class:`~rpc.dashboard.audience.ISource`."""
        watch = self._watch
        problem = None if watch.state is BrokerState.UP else self._connection.problem
        return Broker(self._url, watch.state, watch.since, problem)

    def read(self) -> Deferred[Reading]:
        """See :class:`~rpc.dashboard.audience.ISource`."""
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Reading:
        roster = self._roster
        stats, queues, described = await together(
            [self._ask_stats(), Deferred.fromCoroutine(self._queues.counts(roster.queues)), self._ask_descriptions()]
        )
        now, at = self._clock.seconds(), time.time()
        problems = roster.take_stats(stats, now, at) + self._queues.problems
        roster.take_descriptions(described)
        roster.forget_services(name for name, queue in roster.queues.items() if self._queues.is_missing(queue))
        return Reading(now, at, roster.readings(now), queues, tuple(problems))

    def _ask_stats(self) -> Deferred[Answers[WorkerStats]]:
        """Ask all workers. Where no worker has ever served, there is none: that is a problem, and no error."""

        def unavailable(failure: Failure) -> Answers[WorkerStats]:
            failure.trap(ServiceUnavailable)
            return Answers((), problem=str(failure.value))

        return self._control.stats(wait=WAIT).addErrback(unavailable)

    def _ask_descriptions(self) -> Deferred[Iterable[WorkerDescription]]:
        """Ask workers for their descriptions, when it is time, or there is a new worker."""
        now = self._clock.seconds()
        if not self._roster.has_strangers and now - self._described_at < DESCRIBED:
            return succeed(())
        self._described_at = now

        def unavailable(failure: Failure) -> Iterable[WorkerDescription]:
            failure.trap(ServiceUnavailable)  # as for the statistics, which say so
            return ()

        return self._control.workers(wait=WAIT).addErrback(unavailable)
