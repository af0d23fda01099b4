"""A call as a worker's interceptors see it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from rpc.context import CallContext
from rpc.headers import ATTEMPT, metadata_of, whole
from rpc.worker.begins import possible_begins
from rpc.worker.request import NO_HEADERS, Request


class Ending(enum.Enum):
    """How a call ended in a worker."""

    RETURNED = "returned"
    """The handler returned a result."""

    RAISED = "raised"
    """The handler raised an exception of the IDL, or a ``TApplicationException``: its caller gets it."""

    FAILED = "failed"
    """The handler raised another exception, or its result was not sent: its caller gets an INTERNAL_ERROR."""

    CANCELLED = "cancelled"
    """Its caller cancelled it, or its deadline passed, after ``before`` was called: there is no reply."""

    REFUSED = "refused"
    """An interceptor refused it: the handler did not run."""

    REJECTED = "rejected"
    """The worker rejected it, before ``before`` was called or because of its arguments: the handler did not run."""

    DROPPED = "dropped"
    """Its caller cancelled it, or its deadline passed, before ``before`` was called: there is no reply."""


class WorkerCall:
    """A call as a worker's interceptors see it. Arguments and results are not shown.

    :ivar service: the service's name on the wire.
    :ivar method: the method's name in the IDL. In ``rejected``, it is the name in the request, which may be any text.
    :ivar is_known: whether the service has the method.
    :ivar began: when ``before`` was first called, or the request was rejected; in seconds of the reactor's clock.
    :ivar ended: when the call ended, of the same clock; ``None`` before.
    :ivar ending: how it ended, an :class:`rpc.Ending`; ``None`` before.
    :ivar error: the exception that ended it, or ``None``.
    :ivar dead_letter: whether the request becomes a dead letter.
    :ivar reply_size: bytes of the reply's body; 0 when there is none.
    :ivar arrived: when the request arrived in this worker, of the same clock. How long it was queued is not known.
    :ivar attempt: 1, or more when the caller has sent the request before.
    :ivar redelivered: whether the request may have been run before, by a worker that did not finish.
    """

    __slots__ = (
        "_context",
        "_notes",
        "_request",
        "arrived",
        "attempt",
        "began",
        "dead_letter",
        "ended",
        "ending",
        "error",
        "is_known",
        "method",
        "redelivered",
        "reply_size",
        "service",
    )

    def __init__(self, request: Request, service: str, method: str, now: float, context: CallContext | None) -> None:
        self._request = request
        self._context = context
        self.service = service
        self.method = method
        self.is_known = True
        self.began = now
        self.ended: float | None = None
        self.ending: Ending | None = None
        self.error: BaseException | None = None
        self.dead_letter = False
        self.reply_size = 0
        self._notes: dict[object, Any] | None = None
        self.arrived = request.arrived
        if context is None:
            self.attempt = whole(request.headers.get(ATTEMPT)) or 1
            self.redelivered = possible_begins(request.headers, request.delivery.redelivered) > 0
        else:
            self.attempt = context.attempt
            self.redelivered = context.redelivered

    @property
    def notes(self) -> dict[object, Any]:
        """For the interceptors, to keep values until the call ends. The key is the interceptor itself."""
        if self._notes is None:
            self._notes = {}
        return self._notes

    @property
    def label(self) -> str:
        """``<service>.<method>``."""
        return f"{self.service}.{self.method}"

    @property
    def user_id(self) -> str | None:
        """The user that sent the request, as the broker has verified it; ``None`` when the request names none.

        RabbitMQ verifies it unless the user that logged in has the tag ``impersonator``.
        """
        return self._request.user_id

    @property
    def app_id(self) -> str | None:
        """The name that the caller's program gives itself. Nothing verifies it."""
        return self._request.app_id

    @property
    def signed_by(self) -> str | None:
        """The name of the key that the request is signed with; ``None`` when it has no signature that was verified."""
        signed = self._request.signed
        return None if signed is None else signed.key.name

    @property
    def reply_to(self) -> str | None:
        """The reply queue, another one for each connection of a client; ``None`` when it cannot be answered."""
        return self._request.reply_to

    @property
    def message_id(self) -> str | None:
        """The call's identity, the same on every attempt; ``None`` when the caller gave none."""
        message_id = self._request.message_id
        return None if message_id is None else message_id.decode("utf-8", "surrogateescape")

    @property
    def oneway(self) -> bool:
        """Whether the caller expects no reply."""
        return self._request.oneway

    @property
    def protocol(self) -> str:
        """The protocol's content type."""
        return self._request.codec.content_type

    @property
    def deadline(self) -> float | None:
        """The call's deadline, in seconds of the clock; ``None`` when the caller set none."""
        return self._request.deadline

    @property
    def request_size(self) -> int:
        """Bytes of the request's body."""
        return self._request.delivery.size

    @property
    def headers(self) -> Mapping[str, Any]:
        """All headers of the request, as they came."""
        return self._request.headers

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that the handler sees, and that nested calls inherit. ``before`` may change it."""
        context = self._context
        if context is None:
            return metadata_of(self._request.headers)
        if context.metadata is NO_HEADERS:
            context.metadata = {}
        metadata: Any = context.metadata
        return dict(metadata) if not isinstance(metadata, dict) else metadata

    @property
    def reply_headers(self) -> dict[str, Any]:
        """Metadata for the reply, also to be changed in ``after``. A rejection is sent without it."""
        return {} if self._context is None else self._context.reply_headers

    def __repr__(self) -> str:
        return f"<call of {self.label}>"
