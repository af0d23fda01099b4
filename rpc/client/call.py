"""A call of a client, from its beginning until its Deferred has fired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from rpc.client.call_state import IN_PROGRESS, NEW, CallState
from rpc.client.client_call import ClientCall
from rpc.client.operation import NO_HEADERS, Operation
from rpc.context import CallContext, ContextDeferred
from rpc.errors import BrokerBlocked, MessageTooLarge, Outcome, RPCError, ServiceUnavailable
from rpc.headers import ATTEMPT

NO_WORKERS: frozenset[str | None] = frozenset()

UNKNOWN_WORKER: frozenset[str | None] = frozenset((None,))

MOST_WORKERS = 8
"""Workers of one attempt that are remembered: a peer could make up any number of names."""


class CallOwner(Protocol):
    """The owner of calls: :class:`rpc.client.caller.Caller`."""

    def cancel(self, call: Call) -> None:
        """Settle `call`, whose Deferred was cancelled."""


class Call:
    """One call. It is in the table of its :class:`~rpc.client.pending_calls.PendingCalls` until it is settled.

    :ivar id: its correlation id and message id, encoded as an AMQP short string.
    :ivar seqid: of its Thrift message.
    :ivar context: the call being served for which this one is made.
    :ivar tick: the tick of its deadline, or first of the lead before it (``rpc/deadlines.py``).
    :ivar timer: the tick of its pause or of its keepalive; 0 when neither is due.
    :ivar unconfirmed: the publish sequence number of the present attempt until its confirm comes; else 0.
    :ivar attempts: how many times the request was published.
    :ivar repetitions: how many attempts were followed by another one.
    :ivar maybe_executed: whether an attempt that has ended may have been executed.
    :ivar problem: the error of the last attempt that was followed by another one.
    :ivar workers: the instances of the workers that may have the present attempt; ``None``: an unknown one.
    :ivar earlier_workers: the same for attempts that have ended and may still be in progress at a worker.
    :ivar signatures: of its attempts, when the client has keys. A reply must answer one of them.
    :ivar began: when it was put into the table, in seconds of the clock.
    :ivar seen: the call as the client's interceptors have seen it; ``None`` when they have not yet.
    :ivar reply_size, reply_headers: for interceptors.
    """

    __slots__ = (
        "attempts",
        "began",
        "body",
        "context",
        "deadline",
        "deferred",
        "earlier_workers",
        "id",
        "maybe_executed",
        "operation",
        "owner",
        "problem",
        "repetitions",
        "reply_headers",
        "reply_size",
        "seen",
        "seqid",
        "signatures",
        "state",
        "tick",
        "timer",
        "unconfirmed",
        "workers",
    )

    def __init__(
        self,
        owner: CallOwner,
        operation: Operation,
        id: bytes,
        seqid: int,
        body: bytes,
        began: float,
        deadline: float,
        context: CallContext | None,
    ) -> None:
        self.owner = owner
        self.operation = operation
        self.id = id
        self.seqid = seqid
        self.body = body
        self.began = began
        self.deadline = deadline
        self.context = context
        self.state: CallState = NEW
        self.deferred: Deferred[Any] = Deferred(self.cancelled) if context is None else ContextDeferred(self.cancelled)
        self.tick = self.timer = self.unconfirmed = self.attempts = self.repetitions = self.reply_size = 0
        self.maybe_executed = False
        self.problem: RPCError | None = None
        self.workers = self.earlier_workers = NO_WORKERS
        self.signatures: tuple[str, ...] = ()
        self.seen: ClientCall | None = None
        self.reply_headers = NO_HEADERS

    def cancelled(self, _: object) -> None:
        """Settle the call as cancelled: its Deferred's canceller."""
        self.owner.cancel(self)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the call if it ends now, without an answer."""
        if self.maybe_executed or self.state in IN_PROGRESS:
            return Outcome.UNKNOWN
        return Outcome.REJECTED if self.attempts else Outcome.NOT_SENT

    @property
    def possible_workers(self) -> frozenset[str | None]:
        """The instances of the workers that may have the call in progress; ``None`` among them: an unknown worker."""
        return self.workers | self.earlier_workers

    def add_worker(self, instance: str) -> None:
        """Note the worker of the present attempt. After a redelivery a second worker may name itself."""
        if instance not in self.workers:
            workers = (self.workers - {None}) | {instance}
            self.workers = workers if len(workers) <= MOST_WORKERS else UNKNOWN_WORKER

    def end_attempt(self, *, maybe_executed: bool, in_progress: bool) -> None:
        """Note that the present attempt has ended.

        :param in_progress: whether a worker may still be working on it.
        """
        self.maybe_executed = self.maybe_executed or maybe_executed
        if in_progress:
            self.earlier_workers |= self.workers
        self.workers = NO_WORKERS

    def blocked(self, reason: str) -> BrokerBlocked:
        """Return the error of an attempt that was not made."""
        return BrokerBlocked(f"{self.operation.label}: the broker takes no messages just now: {reason}")

    def unavailable(self, reason: str) -> ServiceUnavailable:
        """Return the error of an attempt that was not made, because requests cannot be published."""
        return ServiceUnavailable(f"{self.operation.label}: not sent: {reason}", Outcome.NOT_SENT)

    def refused(self, error: Exception) -> ServiceUnavailable:
        """Return the error of an attempt that was not made, because the broker refuses the connection."""
        return self.unavailable(
            f"the broker refuses the connection: {error}. Correct the URL, or the user at the broker"
        )

    def too_large_for(self, limit: int) -> MessageTooLarge:
        """Return the error of a request that is over the broker's limit."""
        text = f"a request of {len(self.body)} bytes, over the broker's max_message_size of {limit}"
        return MessageTooLarge(f"{self.operation.label}: {text}", Outcome.REJECTED)

    @property
    def inherited(self) -> Mapping[str, Any]:
        """The headers beside those that all requests of the operation have: inherited metadata, and the attempt."""
        return self.numbered({} if self.context is None else self.context.metadata)

    def numbered(self, headers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return `headers`, with the number of the next attempt if it is not the first."""
        return {**headers, ATTEMPT: self.attempts + 1} if self.attempts else headers
