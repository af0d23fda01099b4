"""Pure decisions about a delivery: one when it arrives, one before its handler begins.

The decisions read facts and change nothing. ``dispatcher.py`` carries them out.
"""

from __future__ import annotations

import enum
from typing import Protocol

from rpc.headers import DELIVERIES
from rpc.worker.begins import Destination, destination, nears_broker_limit, possible_begins
from rpc.worker.in_progress import InProgress
from rpc.worker.limiter import ConcurrencyLimiter
from rpc.worker.request import Request, Source

NESTED = Source.NESTED


class Action(enum.Enum):
    """An action on a delivery, and its reason."""

    RUN = "a slot is free"
    ACK_AND_RUN = "a slot is free; the ack comes first, since it must run at most once"
    HOLD = "every slot is taken"
    JOIN = "the same call runs here already"
    ANSWER_AGAIN = "the call has run here; its caller may still need the reply"
    AWAIT_REPUBLISHED = "it may be a copy that this worker is publishing; the original must be acked first"
    ACK = "its copy has been published"
    DROP = "it was cancelled, or its deadline has passed"
    REQUEUE = "this worker is stopping; another worker runs it"
    REPUBLISH = "another worker may have begun it: it is counted, and goes to the end of its queue"
    RENEW = "the broker would drop it after some more deliveries: an uncounted copy takes its place"
    QUARANTINE = "several workers may have begun it: it is counted, and runs alone"
    DEAD_LETTER = "too many workers may have begun it"
    REJECT_TOO_LARGE = "it is over the service's max_message_size"
    REJECT_REPEATED = "another worker may have begun it, and it must run at most once"
    REJECT_STOPPING = "it is for this worker alone, which is stopping"
    REJECT_OVERLOADED = "it is for this worker alone, where too many requests wait"


RUN = Action.RUN


class Facts(Protocol):
    """The facts for the decisions: options of the service, and the calls that this worker knows."""

    accepting: bool
    """Whether this worker begins requests from its queues. It does not while it drains."""

    at_most_once: bool
    """``acknowledge="before"``."""

    deduplicates: bool
    max_message_size: int
    redelivery_limit: int | None
    limiter: ConcurrencyLimiter
    in_progress: InProgress

    def may_hold(self, request: Request) -> bool:
        """Whether `request` may wait here for a slot."""

    def has_run(self, request: Request, now: float) -> bool:
        """Whether the call of `request` has run here, and must not run again for `request`."""

    def never_began(self, request: Request) -> bool:
        """Whether this worker held exactly this message when it lost its channel, and had not begun it."""

    def was_republished(self, request: Request) -> bool:
        """Whether this worker has published a copy of exactly this message."""

    def is_republishing(self, request: Request) -> bool:
        """Whether this worker is replacing a message of this call by a copy."""


def on_arrival(request: Request, facts: Facts, now: float) -> Action:
    """Decide about `request`, which has just been delivered."""
    delivery = request.delivery
    if delivery.size > facts.max_message_size:  # it may be cut, so no copy of it is published
        return Action.REJECT_TOO_LARGE
    if delivery.redelivered or (request.headers and DELIVERIES in request.headers):
        action = _copy_on_arrival(request, facts, now)
        if action is not None:
            return action
    if not facts.accepting and request.source is not NESTED:
        return Action.REJECT_STOPPING if request.direct else Action.REQUEUE
    limiter = facts.limiter
    if limiter.running < limiter.concurrency or (request.source is NESTED and limiter.is_free_for_nested):
        if facts.in_progress.cancelled or facts.deduplicates or facts.at_most_once:
            return on_free_slot(request, facts, now)
        return RUN
    return Action.HOLD if facts.may_hold(request) else Action.REJECT_OVERLOADED


def on_free_slot(request: Request, facts: Facts, now: float) -> Action:
    """Decide about `request`, for which a slot is free. Other deliveries of its call may have come meanwhile."""
    if facts.in_progress.was_cancelled(request) or (request.deadline is not None and request.deadline <= now):
        return Action.DROP
    if facts.deduplicates or request.may_be_a_copy:
        action = _seen_before(request, facts, now)
        if action is not None:
            return action
    return Action.ACK_AND_RUN if facts.at_most_once and not request.acked else RUN


def _copy_on_arrival(request: Request, facts: Facts, now: float) -> Action | None:
    """Decide about a request that may have begun before; ``None``: it is treated like a new one."""
    if request.problem is not None:
        return None
    action = _seen_before(request, facts, now)
    if not request.delivery.redelivered:
        return action or _first_delivery_of_copy(request, facts)
    action = action or _redelivered(request, facts)
    if action in (None, Action.JOIN) and nears_broker_limit(request.headers):  # it stays unacked, perhaps for long
        return Action.ACK if facts.was_republished(request) else Action.RENEW
    return action


def _first_delivery_of_copy(request: Request, facts: Facts) -> Action | None:
    if facts.is_republishing(request):
        return Action.AWAIT_REPUBLISHED
    has_begun = facts.at_most_once and possible_begins(request.headers, redelivered=False) > 0
    return Action.REJECT_REPEATED if has_begun else None


def _redelivered(request: Request, facts: Facts) -> Action | None:
    if facts.never_began(request):
        return None
    if facts.was_republished(request):
        return Action.ACK
    if facts.at_most_once:
        return Action.REJECT_REPEATED
    if facts.redelivery_limit is None:
        return None
    begins = possible_begins(request.headers, redelivered=True)
    return _BY_DESTINATION[destination(begins, facts.redelivery_limit)]


_BY_DESTINATION = {
    Destination.QUEUE: Action.REPUBLISH,
    Destination.QUARANTINE: Action.QUARANTINE,
    Destination.DEAD_LETTERS: Action.DEAD_LETTER,
}


def _seen_before(request: Request, facts: Facts, now: float) -> Action | None:
    """Decide about a request whose call may run here, or have run here; ``None``: the call is not known."""
    if facts.in_progress.run_of(request) is not None:
        return Action.JOIN
    return Action.ANSWER_AGAIN if facts.has_run(request, now) else None
