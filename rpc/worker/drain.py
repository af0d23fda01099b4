"""The orderly end of a worker: no more requests, then the end of its calls, within a bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from rpc import log
from rpc.worker.served import Served
from rpc.worker.server import Server

LEAVING_TIMEOUT = 1.0
"""Least seconds for rejecting the last requests for this worker alone, also after the drain timeout."""


class Drain:
    """Drains a worker once."""

    def __init__(self, clock: Any, server: Server, served: Sequence[Served], seconds: float) -> None:
        """
        :param clock: the reactor, or a ``Clock``.
        :param seconds: that calls in progress have to finish.
        """
        self._clock = clock
        self._server = server
        self._served = served
        self._seconds = seconds
        self._aborted = False
        self._pending: list[Deferred[Any]] = []

    def abort(self) -> None:
        """Wait for nothing more, when the drain has begun or will begin."""
        self._aborted = True
        for pending in self._pending:
            pending.cancel()

    def begin(self) -> Deferred[None]:
        """Cancel the consumers first, then wait for the requests that they have delivered. Fires at the end; never
        fails. The log has a line for each service with calls in progress, and one at the end.
        """
        bound = self._clock.seconds() + self._seconds
        for each in self._served:
            each.dispatcher.stop_accepting()
        told = self._tell_begin()
        cancelled: Deferred[Any] = DeferredList([each.consumer.stop() for each in self._served])
        cancelled.addTimeout(self._until(bound), self._clock).addErrback(lambda _: None)
        self._pending = [cancelled]
        return (
            cancelled.addCallback(self._wait_until_idle, bound)
            .addCallback(self._leave, bound)
            .addCallback(lambda _: self._tell_end(told))
        )

    def _tell_begin(self) -> bool:
        """Log which calls are in progress, if there is time for them. Return whether there are any."""
        if self._aborted or not self._seconds:
            return False
        running = {each.service.name: each.dispatcher.limiter.running for each in self._served}
        for name, count in running.items():
            if count:
                log.msg(f"{name}: finishing {_calls(count)}, at most {self._seconds:g} s", service=name, calls=count)
        return any(running.values())

    def _running(self) -> int:
        """Return how many calls are in progress."""
        return sum(each.dispatcher.limiter.running for each in self._served)

    def _tell_end(self, told: bool) -> None:
        """Log the end of the calls in progress.

        :param told: whether the log says that there were some.
        """
        running = self._running()
        if running:
            log.warn(f"stopping with {_calls(running)} in progress", calls=running)
        elif told:
            log.msg("all calls in progress have finished")

    def _until(self, bound: float) -> float:
        """Return the seconds until `bound`: none after an abort."""
        return 0.0 if self._aborted else max(0.0, bound - self._clock.seconds())

    def _wait_until_idle(self, _: object, bound: float) -> Deferred[Any]:
        within = self._until(bound)
        self._pending = [served.dispatcher.when_idle(within) for served in self._served]
        return DeferredList(self._pending)

    def _leave(self, _: object, bound: float) -> Deferred[Any]:
        """Take the last requests for this worker alone, which are rejected, and wait for their dead letters.

        The wait is bounded: a blocked broker does not answer.
        """
        bound = max(bound, self._clock.seconds() + LEAVING_TIMEOUT)
        left = self._server.leave()
        left.addTimeout(self._until(bound), self._clock).addErrback(lambda _: None)
        self._pending = [left]
        return left.addCallback(self._wait_until_idle, bound)


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"
