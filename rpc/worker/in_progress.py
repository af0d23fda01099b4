"""Calls whose handlers have returned a Deferred. They can be cancelled and joined, and their callers get keepalives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred

from rpc import log
from rpc.deadlines import Deadlines
from rpc.interfaces import IClock
from rpc.worker.delivery_state import DeliveryState
from rpc.worker.request import Request

KEEPALIVES = 3
"""Keepalives within the time in which the caller expects one: two may be late."""

LONGEST_ID = 255
"""Bytes of a short string (AMQP 0-9-1, section 4.2.5.3)."""

MOST_CANCELLED = 10_000
"""Message ids of cancelled calls that are kept. The oldest are dropped first."""


class Run:
    """A handler in progress, and the deliveries that are settled when it ends.

    :ivar request: the delivery that it was begun for.
    :ivar joined: later deliveries of the same call.
    :ivar following: attempts that came after the handler was cancelled. They are decided on again when it has ended.
    """

    __slots__ = ("deadline", "following", "handling", "joined", "keepalives", "request", "tick")

    def __init__(self, request: Request, handling: Deferred[object]) -> None:
        self.request = request
        self.handling = handling
        self.deadline = request.deadline
        self.tick = 0
        self.joined: list[Request] = []
        self.following: list[Request] = []
        self.keepalives: list[Keepalive] = []


class Keepalive:
    """The next keepalive of one caller of a run."""

    __slots__ = ("request", "run", "tick")

    def __init__(self, run: Run, request: Request) -> None:
        self.run = run
        self.request = request
        self.tick = 0


class InProgress:
    """Calls in progress, by message id. Their handlers are cancelled at the callers' deadlines.

    :ivar cancelled: message ids of calls that were cancelled. Their requests that come later do not begin.
    """

    def __init__(self, clock: IClock, send_keepalive: Callable[[Request], None], cancels: bool = True) -> None:
        """
        :param send_keepalive: tells the caller of a request that the call runs.
        :param cancels: whether handlers may be cancelled.
        """
        self._cancels = cancels
        self._clock = clock
        self._send_keepalive = send_keepalive
        self._runs: dict[bytes | None, list[Run]] = {}
        self._deadlines: Deadlines[Run] = Deadlines(clock, self._cancel_all)
        self._keepalives: Deadlines[Keepalive] = Deadlines(clock, self._keep_alive)
        self.cancelled: OrderedDict[bytes, None] = OrderedDict()

    def begin(self, request: Request, handling: Deferred[object]) -> Run:
        """Note that the handler of `request` has returned the Deferred `handling`."""
        run = Run(request, handling)
        self._runs.setdefault(request.message_id, []).append(run)
        if run.deadline is not None:
            run.tick = self._deadlines.add(run, run.deadline)
        self._begin_keepalives(run, request)
        return run

    def _begin_keepalives(self, run: Run, request: Request) -> None:
        if request.liveness is not None and request.wants_reply:
            run.keepalives.append(Keepalive(run, request))
            self._keep_alive(run.keepalives[-1:])

    def run_of(self, request: Request) -> Run | None:
        """Return the run of the call that `request` is a delivery of, or ``None``."""
        identity = request.identity
        if identity is None or not self._runs:
            return None
        same = (run for run in self._runs.get(request.message_id, ()) if run.request.identity == identity)
        return next(same, None)

    def join(self, run: Run, later: Request) -> None:
        """Settle `later`, another delivery of the call of `run`, with the run.

        If the run was cancelled and `later` is a new attempt, it waits for the end of the run. A redelivered
        message has its old expiration, counted anew, so only a new attempt prolongs the call.
        """
        if run.request.state is DeliveryState.CANCELLING and not later.may_be_a_copy:
            later.hold()
            run.following.append(later)
            return
        later.join(run.request)
        run.joined.append(later)
        if not later.delivery.redelivered:
            self._prolong(run, later.deadline)
        self._begin_keepalives(run, later)

    def _prolong(self, run: Run, deadline: float | None) -> None:
        if run.deadline is None or (deadline is not None and deadline <= run.deadline):
            return
        self._deadlines.discard(run, run.tick)
        run.deadline = deadline
        if deadline is not None:
            run.tick = self._deadlines.add(run, deadline)

    def end(self, run: Run) -> None:
        """Note that the handler of `run` has ended."""
        self._deadlines.discard(run, run.tick)
        for keepalive in run.keepalives:
            self._keepalives.discard(keepalive, keepalive.tick)
        message_id = run.request.message_id
        same = self._runs[message_id]
        same.remove(run)
        if not same:
            del self._runs[message_id]

    def cancel(self, message_ids: Iterable[bytes]) -> None:
        """Cancel the handlers of these calls. Requests of them that come later, or wait for a slot, do not begin: a
        call may have attempts that are still on their way.
        """
        for message_id in message_ids:
            self._cancel_all(self._runs.get(message_id, []).copy())
            if len(message_id) <= LONGEST_ID:
                self.cancelled[message_id] = None
                if len(self.cancelled) > MOST_CANCELLED:
                    self.cancelled.popitem(last=False)

    def was_cancelled(self, request: Request) -> bool:
        """Whether the call of `request` was cancelled. A replayed dead letter has no caller, and no reply queue."""
        return bool(self.cancelled) and request.message_id in self.cancelled and request.reply_to is not None

    def requests(self) -> list[Request]:
        """Return the requests whose handlers are in progress."""
        return [run.request for same in self._runs.values() for run in same]

    def stop(self) -> None:
        """Watch no deadlines any more, and send no keepalives."""
        self._deadlines.stop()
        self._keepalives.stop()

    def resume(self) -> None:
        """Watch deadlines again, also of calls that a drain has given up: their handlers still take slots."""
        for same in self._runs.values():
            for run in same:
                if run.deadline is not None:
                    run.tick = self._deadlines.add(run, run.deadline)

    def _cancel_all(self, runs: list[Run]) -> None:
        for run in runs:
            if run.request.state is DeliveryState.RUNNING and self._cancels:
                run.request.cancel()
                try:
                    run.handling.cancel()
                except Exception:
                    log.err(None, f"{run.request.label}: while cancelling its handler")

    def _keep_alive(self, keepalives: list[Keepalive]) -> None:
        now = self._clock.seconds()
        for keepalive in keepalives:
            request = keepalive.request
            if request.liveness is not None and keepalive.run.request.state is DeliveryState.RUNNING:
                keepalive.tick = self._keepalives.add(keepalive, now + request.liveness / KEEPALIVES)
                self._send_keepalive(request)

    def __len__(self) -> int:
        return sum(map(len, self._runs.values()))
