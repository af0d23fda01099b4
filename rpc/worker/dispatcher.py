"""Takes the deliveries of one service. ``intake.py`` decides about each, and the dispatcher carries that out."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DrainTimeout
from twisted.python.failure import Failure

from rpc.amqp.content import Delivery
from rpc.errors import AMQPError
from rpc.interceptors import does
from rpc.interfaces import IClock, IDeliveryChannel
from rpc.log_limit import LogLimit
from rpc.worker.begins import Destination, possible_begins
from rpc.worker.deduplication import RecentReplies
from rpc.worker.execution import Execution
from rpc.worker.in_progress import InProgress
from rpc.worker.intake import Action, on_arrival, on_free_slot
from rpc.worker.intercepted import InterceptedExecution
from rpc.worker.last_replies import Answered, LastReplies
from rpc.worker.limiter import ConcurrencyLimiter
from rpc.worker.observed import ObservedExecution
from rpc.worker.reactor_watch import ReactorWatch
from rpc.worker.redelivery import Redelivery
from rpc.worker.rejection import Rejection, over_the_limit, overloaded, repeated, stopping, too_large
from rpc.worker.rejector import Rejector
from rpc.worker.republisher import Republisher
from rpc.worker.request import SHARED, Request, Source
from rpc.worker.service import QUARANTINED_AT_ONCE, ThriftService
from rpc.worker.signatures import Signatures

DENIALS = 10
"""Denied calls in the log in one second. Of other events that a peer can cause, one is written."""

MOST_HELD = 10_000
"""Requests for this worker alone that wait here for a slot, when the service has no backlog."""

MOST_HELD_BYTES = 64 * 1024 * 1024
"""Bytes of these requests. RabbitMQ's prefetch counts messages only."""

RUN = Action.RUN


class Dispatcher:
    """The deliveries of one service. Provides the facts for the decisions (``intake.Facts``)."""

    def __init__(
        self,
        service: ThriftService,
        handler: Any,
        channel: IDeliveryChannel,
        republisher: Republisher,
        clock: IClock,
        watch: ReactorWatch,
        on_quarantined: Callable[[], None],
        interceptors: tuple[Any, ...] = (),
        keeps_dead_letters: bool = True,
    ) -> None:
        """
        :param on_quarantined: called when a request is in quarantine, so the queue exists.
        :param interceptors: of the worker. Those of the service come after them.
        :param keeps_dead_letters: ``False``: requests that would become dead letters are dropped.
        """
        self.accepting = True
        self._stopped = False
        self.at_most_once = service.acknowledge == "before"
        self.redelivery_limit = service.redelivery_limit
        self.deduplicates = service.deduplicate is not None
        self.max_message_size = service.max_message_size
        self._name = service.name
        self._reply_queues = tuple(beginning.encode() for beginning in service.reply_queues)
        self._most_held = service.backlog or MOST_HELD
        self._channel = channel
        self._clock = clock
        self._never_began: dict[Hashable, None] = {}
        self._signatures: Signatures | None = None
        rejections, replays, unpublished, denials = self._log_limits = (
            LogLimit(clock),
            LogLimit(clock),
            LogLimit(clock),
            LogLimit(clock, DENIALS),
        )
        if service.keys is not None:
            self._signatures = Signatures(service.name, service.keys, service.require_signature, replays)
        self.limiter = ConcurrencyLimiter(clock, service.concurrency, self._start_held)
        self.in_progress = InProgress(clock, channel.send_keepalive, service.cancel)
        self._last = LastReplies(service.concurrency + QUARANTINED_AT_ONCE)
        self._recent = None if service.deduplicate is None else RecentReplies(service.deduplicate)
        interceptors = interceptors + service.all_interceptors(denials)
        self._rejector = Rejector(
            service,
            channel,
            republisher,
            self.limiter,
            clock,
            self._rejected,
            rejections,
            unpublished,
            keeps_dead_letters,
        )
        self._redelivery = Redelivery(
            service, channel, republisher, self.limiter, self._rejector, clock, on_quarantined, unpublished
        )
        self._execution = _execution_for(interceptors)(
            service,
            handler,
            channel,
            self.limiter,
            self.in_progress,
            self._last,
            self._recent,
            self._reject_begun,
            self._arrive_again,
            watch,
            clock,
        )
        self._run: Callable[[Request, float], None] = self._execution.run
        if self._signatures is not None:
            self._run = partial(self._run_once, self._signatures)

    # -- deliveries

    def deliver(self, delivery: Delivery, source: Source = SHARED) -> None:
        """Take a request. After a drain it is not acked, and the broker delivers it again."""
        if self._stopped:
            return
        now = self._clock.seconds()
        request = Request(delivery, now, source, self._reply_queues)
        if self._signatures is not None:
            rejection = self._signatures.check(request, now)
            if rejection is not None:
                self._rejector.reject_unread(request, rejection)
                return
        action = on_arrival(request, self, now)
        if action is RUN:
            if self._never_began:
                self._never_began.pop(request.message_key, None)
            self._run(request, now)
        else:
            self._carry_out(action, request, now)

    def obeys(self, cancellation: Delivery) -> bool:
        """Whether a cancellation has the signature that the service demands."""
        return self._signatures is None or self._signatures.is_trusted(cancellation)

    def cancel(self, message_ids: list[bytes]) -> None:
        """Cancel the handlers of these calls; those that come later do not begin."""
        self.in_progress.cancel(message_ids)

    def _carry_out(self, action: Action, request: Request, now: float) -> None:
        match action:
            case Action.RUN:
                self._run(request, now)
            case Action.ACK_AND_RUN:
                self._ack_and_run(request)
            case Action.HOLD:
                self.limiter.hold(request)
            case Action.JOIN:
                run = self.in_progress.run_of(request)
                assert run is not None
                self.in_progress.join(run, request)
            case Action.ANSWER_AGAIN:
                answered = self._answered(request, now)
                assert answered is not None
                self._execution.answer_again(request, answered, now)
            case Action.AWAIT_REPUBLISHED:
                request.hold()
                self._redelivery.when_republished(request.identity).addCallback(lambda _: self._arrive_again(request))
            case Action.ACK:
                self._channel.ack(request)
                request.settle()
            case Action.DROP:
                self._channel.ack(request)
                request.settle()
                self._execution.dropped(request)
            case Action.REQUEUE:
                self._give_back(request)
            case Action.REPUBLISH:
                self._redelivery.count(request, Destination.QUEUE)
            case Action.RENEW:
                self._redelivery.renew(request)
            case Action.QUARANTINE:
                self._redelivery.count(request, Destination.QUARANTINE)
            case _:
                self._reject(action, request)

    def _run_once(self, signatures: Signatures, request: Request, now: float) -> None:
        """Run a request, unless it is a replay, which is dropped."""
        if signatures.begins(request):
            self._execution.run(request, now)
        else:
            self._channel.ack(request)
            request.settle()

    def _reject(self, action: Action, request: Request) -> None:
        """Reject a request. A replay is dropped: the answer would end the call of the request that it is a copy of."""
        if self._signatures is not None and self._signatures.is_replay(request):
            self._channel.ack(request)
            request.settle()
        else:
            self._rejector.reject_unread(request, self._rejection(action, request))

    def _reject_begun(self, request: Request, rejection: Rejection) -> None:
        """Reject a request that cannot be read or is not admitted. It may come again, if the channel is lost before it
        is acked, and must be rejected then as well: a oneway request is not lost, but becomes a dead letter.
        """
        if self._signatures is not None:
            self._signatures.forget(request)
        self._rejector.reject(request, rejection)

    def _rejection(self, action: Action, request: Request) -> Rejection:
        match action:
            case Action.DEAD_LETTER:
                return over_the_limit(possible_begins(request.headers, redelivered=True), request.counted)
            case Action.REJECT_TOO_LARGE:
                return too_large(request.delivery.size, self._name, self.max_message_size)
            case Action.REJECT_REPEATED:
                return repeated()
            case Action.REJECT_STOPPING:
                return stopping()
            case Action.REJECT_OVERLOADED:
                return overloaded()
            case _:
                raise AssertionError(action)

    def _arrive_again(self, request: Request) -> None:
        """Decide again about `request`, whose wait is over. If its channel is lost, the broker delivers it again."""
        if not self._channel.is_current(request):
            request.lose()
            return
        now = self._clock.seconds()
        self._carry_out(on_arrival(request, self, now), request, now)

    def _give_back(self, request: Request) -> None:
        if self.redelivery_limit is None or request.problem is not None:
            self._channel.requeue(request)
        else:
            self._redelivery.give_back(request)

    # -- beginning

    def _start_held(self, request: Request) -> None:
        now = self._clock.seconds()
        if self._never_began:
            self._never_began.pop(request.message_key, None)
        self._carry_out(on_free_slot(request, self, now), request, now)

    def _ack_and_run(self, request: Request) -> None:
        """Run a request when the broker has taken its ack. If the channel is lost before, a request of a shared queue
        is not run: the broker may deliver it again.
        """
        request.await_ack()
        self._channel.ack(request)
        self.limiter.enter()
        self._channel.fence().addCallbacks(self._acked, self._ack_lost, callbackArgs=(request,), errbackArgs=(request,))

    def _acked(self, _: object, request: Request) -> None:
        """Decide once more: meanwhile the call may have begun for another delivery, or may have been cancelled."""
        if self._stopped:
            request.lose()
        else:
            now = self._clock.seconds()
            self._carry_out(on_free_slot(request, self, now), request, now)
        self.limiter.leave()

    def _ack_lost(self, failure: Failure, request: Request) -> None:
        """Run a request for this worker alone: its queue is gone with the channel, so it does not come again."""
        failure.trap(AMQPError)
        if request.direct:
            self._clock.callLater(0, self._acked, None, request)  # the server hears of the loss after this
            return
        request.lose()
        self.limiter.leave()

    def _rejected(self, request: Request, rejection: Rejection, is_dead_letter: bool) -> None:
        self._execution.rejected(request, rejection, is_dead_letter)

    # -- facts

    def may_hold(self, request: Request) -> bool:
        """Whether `request` may wait here. The prefetch bounds those from the queues of the service."""
        if not request.direct:
            return True
        held = self.limiter.bytes_beside(request)
        if held and held + request.size > MOST_HELD_BYTES:
            return False
        return self.limiter.held_beside(request) < self._most_held

    def has_run(self, request: Request, now: float) -> bool:
        """Whether the call of `request` has run here, and must not run again for `request`."""
        return self._answered(request, now) is not None

    def _answered(self, request: Request, now: float) -> Answered | None:
        """Return how the call of `request` was answered. A further attempt of a cancelled call is a run of its own."""
        found = None if self._recent is None else self._recent.find(request.identity, now)
        if found is not None and not found.cancelled:
            return found
        return self._last.find(request.identity, now) if request.may_be_a_copy else None

    def never_began(self, request: Request) -> bool:
        """Whether this worker held exactly this message when it lost its channel, and had not begun it."""
        return bool(self._never_began) and request.message_key in self._never_began

    def was_republished(self, request: Request) -> bool:
        """Whether this worker has published a copy of exactly this message."""
        return self._redelivery.was_republished(request)

    def is_republishing(self, request: Request) -> bool:
        """Whether this worker is replacing a message of this call by a copy."""
        return self._redelivery.is_republishing(request.identity)

    # -- the channel

    def lost(self) -> None:
        """The channel is gone: the broker delivers all requests again whose acks it has not read.

        Requests for this worker alone are not delivered again, so they stay held.
        """
        for request in self.limiter.take_shared():
            request.lose()
            self._never_began[request.message_key] = None
        while len(self._never_began) > MOST_HELD:
            del self._never_began[next(iter(self._never_began))]
        self._last.keep_unacked(self._clock.seconds())

    # -- leaving

    def stop_accepting(self) -> None:
        """Take no more requests, and republish those that have not begun. Nested calls are still run."""
        self.accepting = False
        for request in self.limiter.take_shared():
            self._give_back(request)
        for request in self.limiter.take_direct():
            self._rejector.reject_unread(request, stopping())

    def when_idle(self, within: float) -> Deferred[None]:
        """Wait for the calls in progress, with every nested call, and for the copies that are being published.

        :param within: seconds; calls that are still in progress then are abandoned.
        :return: fires when nothing is in progress, or after `within` seconds, or when it is cancelled. Never fails.
        """
        idle = self.limiter.when_idle()
        idle.addTimeout(within, self._clock)
        return idle.addErrback(lambda failure: failure.trap(DrainTimeout, CancelledError)).addCallback(lambda _: None)

    def stop(self) -> None:
        """End the drain: nothing begins any more, and no timer is left."""
        for request in self.limiter.take_all():
            request.lose()
        self._stopped = True
        self._rejector.stop()
        self._redelivery.stop()
        self.in_progress.stop()
        for each in self._log_limits:
            each.stop()

    def resume(self) -> None:
        """Accept requests again."""
        self.accepting = True
        self._stopped = False
        self._rejector.resume()
        self.in_progress.resume()
        for each in self._log_limits:
            each.resume()


def _execution_for(interceptors: tuple[Any, ...]) -> Callable[..., Execution]:
    """Return the factory of the execution. Each kind costs a call no more than its interceptors need."""
    if not interceptors:
        return Execution
    if any(does(each.before) for each in interceptors):
        return partial(InterceptedExecution, interceptors)
    return partial(ObservedExecution, interceptors)
