"""Watches keepalives. A worker that has begun a call, and sends none within the client's ``liveness``, is lost."""

from __future__ import annotations

from rpc.client.alarm_probe import when_no_alarm
from rpc.client.attempts import Attempts
from rpc.client.call import Call
from rpc.client.call_state import IN_PROGRESS, CallState
from rpc.client.pending_calls import PendingCalls
from rpc.errors import AMQPError, RPCError, WorkerLost
from rpc.interfaces import IClock
from rpc.link import Link


class Keepalives:
    """Watches the workers of pending calls."""

    def __init__(self, pending: PendingCalls, attempts: Attempts, link: Link, clock: IClock, exchange: str) -> None:
        """:param exchange: one that the client may publish to."""
        self._pending = pending
        self._attempts = attempts
        self._link = link
        self._clock = clock
        self._exchange = exchange

    def received(self, call: Call, instance: str | None) -> None:
        """A worker works on the present attempt of `call`. With ``liveness``, the next keepalive must come in time.

        :param instance: the worker's name; ``None``: it gave none.
        """
        if call.state in IN_PROGRESS:
            if instance is not None:
                call.add_worker(instance)
            self._watch(call)

    def _watch(self, call: Call) -> None:
        liveness = call.operation.options.liveness
        if liveness is not None:
            self._pending.stop_timer(call)
            call.state = CallState.WATCHED
            call.timer = self._pending.timers.add(call, self._clock.seconds() + liveness)

    def missed(self, calls: list[Call]) -> None:
        """No keepalives of `calls` have come in time."""
        connection = self._link.connection
        blocked = connection is not None and connection.blocked is not None
        overdue: list[Call] = []
        for call in calls:
            if call.state is CallState.WATCHED and blocked:
                self._watch(call)
            elif call.state is CallState.WATCHED:
                call.state = CallState.OVERDUE
                overdue.append(call)
        if overdue:
            self._ask_broker(overdue)

    def _ask_broker(self, overdue: list[Call]) -> None:
        """Find out whether the broker has an alarm: workers cannot publish then. The answer also comes behind a
        keepalive that has arrived and was not read.
        """
        channel = self._attempts.channel
        if channel is None or channel.closed:
            self._clock.callLater(0, self._lose_workers, overdue)
        else:
            answered = when_no_alarm(channel, self._pending.ledger, self._exchange)
            answered.addCallback(lambda _: self._lose_workers(overdue))
            answered.addErrback(lambda failure: failure.trap(AMQPError))  # the loss of the channel fails its calls

    def _lose_workers(self, calls: list[Call]) -> None:
        failures: list[tuple[Call, RPCError]] = []
        for call in calls:
            if call.state is CallState.OVERDUE:
                label, liveness = call.operation.label, call.operation.options.liveness
                failures.append((call, WorkerLost(f"{label}: no keepalive of its worker came for {liveness:g} s")))
        self._attempts.fail_all(failures)

    def expect_anew(self) -> None:
        """The broker blocks the connection, or ends that. A block stops every publisher, and workers cannot send
        keepalives then. So each call's time for the next keepalive begins again.
        """
        for call in list(self._pending.calls.values()):
            if call.state in (CallState.WATCHED, CallState.OVERDUE):
                self._watch(call)
