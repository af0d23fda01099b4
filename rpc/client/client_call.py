"""A call as a client's interceptors see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rpc.client.operation import NO_HEADERS, Operation
from rpc.context import CallContext
from rpc.errors import Outcome, RPCError


class Sent(Protocol):
    """The client's own record of a call: :class:`rpc.client.call.Call`."""

    id: bytes
    body: bytes
    attempts: int
    reply_size: int
    reply_headers: Mapping[str, Any]

    @property
    def possible_workers(self) -> frozenset[str | None]:
        """The workers that may have it."""


class ClientCall:
    """A call as a client's interceptors see it. Arguments and results are not shown.

    :ivar service: the service's name on the wire; with ``@`` and the instance for a call to one worker.
    :ivar method: the method's name in the IDL.
    :ivar began: when the call began, in seconds of the reactor's clock.
    :ivar deadline: when it ends at the latest, of the same clock.
    :ivar context: the call being served for which this nested call is made, or ``None``.
    :ivar error: the exception of the call, or of its last attempt; ``None`` while there is none.
    :ivar ended: when the call ended, in seconds of the clock; ``None`` before.
    :ivar changed_headers: :attr:`headers`, if an interceptor has asked for them.
    :ivar sent: the client's own record of the call; ``None`` until the request is encoded.
    """

    __slots__ = (
        "_notes",
        "_operation",
        "began",
        "changed_headers",
        "context",
        "deadline",
        "ended",
        "error",
        "method",
        "sent",
        "service",
    )

    def __init__(
        self,
        operation: Operation,
        began: float,
        deadline: float,
        context: CallContext | None,
        sent: Sent | None = None,
    ) -> None:
        self._operation = operation
        self.service = operation.service
        self.method = operation.name
        self.changed_headers: dict[str, Any] | None = None
        self.began = began
        self.deadline = deadline
        self.context = context
        self.sent = sent
        self.error: BaseException | None = None
        self.ended: float | None = None
        self._notes: dict[object, Any] | None = None

    @property
    def notes(self) -> dict[object, Any]:
        """For the interceptors, to keep values until the call ends. The key is the interceptor itself."""
        if self._notes is None:
            self._notes = {}
        return self._notes

    @property
    def attempt(self) -> int:
        """The number of the present attempt; 0 until the first is made."""
        return 0 if self.sent is None else self.sent.attempts

    @property
    def message_id(self) -> str | None:
        """The call's id on the wire; ``None`` until the request is encoded."""
        return None if self.sent is None else self.sent.id[1:].decode()

    @property
    def request_size(self) -> int:
        """Bytes of the request's body; 0 until it is encoded."""
        return 0 if self.sent is None else len(self.sent.body)

    @property
    def reply_size(self) -> int:
        """Bytes of the reply's body; 0 until it has come."""
        return 0 if self.sent is None else self.sent.reply_size

    @property
    def reply_headers(self) -> Mapping[str, Any]:
        """The metadata of a reply with a result."""
        return NO_HEADERS if self.sent is None else self.sent.reply_headers

    @property
    def workers(self) -> frozenset[str]:
        """The names of the workers that may have begun the call, as far as they are known: those that the request was
        for, and with the option ``liveness`` those that have sent a keepalive or the reply.
        """
        possible = frozenset[str | None]() if self.sent is None else self.sent.possible_workers
        return frozenset(worker for worker in possible if worker is not None)

    @property
    def label(self) -> str:
        """``<service>.<method>``."""
        return self._operation.label

    @property
    def oneway(self) -> bool:
        """Whether the method has no reply."""
        return self._operation.oneway

    @property
    def exchange(self) -> str:
        """Where the request is published: ``"rpc"``, ``"rpc.broadcast"``, or that of the client's option."""
        return self._operation.options.exchange

    @property
    def protocol(self) -> str:
        """``"binary"``, ``"compact"`` or ``"json"``."""
        return self._operation.options.protocol

    @property
    def headers(self) -> dict[str, Any]:
        """The metadata of the request, to be changed: inherited from the call being served, and of the client's option.

        Values are those that AMQP has. Headers that do not fit into a frame fail the call.
        """
        headers = self.changed_headers
        if headers is None:
            inherited = {} if self.context is None else self.context.metadata
            headers = self.changed_headers = {**inherited, **(self._operation.options.headers or {})}
        return headers

    @property
    def outcome(self) -> Outcome | None:
        """Whether a failed call was executed; ``None`` when it was answered, has succeeded or has not ended."""
        return self.error.outcome if isinstance(self.error, RPCError) else None

    def __repr__(self) -> str:
        return f"<call of {self.label}>"
