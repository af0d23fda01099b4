"""The reasons to reject a request, as values, and errors of the worker as answers. ``rejector.py`` rejects."""

from __future__ import annotations

from thrift.Thrift import TApplicationException

from rpc import headers
from rpc.errors import AccessDenied, Overloaded, ServiceUnavailable
from rpc.topology import DeadLetterKind


class Rejection(Exception):
    """A request is rejected before its handler is called.

    :ivar answer: the exception for its caller.
    :ivar poison: whether every worker would reject it, so that it belongs to the dead letters.
    :ivar outcome: the outcome word of the reply (``rpc/headers.py``); ``None``: the reply has none.
    :ivar kind: that of the dead letter, if it becomes one. The default: any caller can send such requests at will.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        poison: bool = False,
        outcome: str | None = None,
        kind: DeadLetterKind = DeadLetterKind.INVALID,
    ) -> None:
        super().__init__(message)
        self.answer = TApplicationException(code, message)
        self.poison = poison
        self.outcome = outcome
        self.kind = kind

    def naming(self, label: str | None) -> Rejection:
        """Return the same with `label` before the text, where the caller gets this text alone."""
        if label is None or self.outcome is not None:  # the client names its call in the errors of outcome words
            return self
        text = f"{label}: {self.answer.message}"
        return Rejection(self.answer.type, text, poison=self.poison, kind=self.kind)


def too_large(size: int, service: str, limit: int) -> Rejection:
    """A request is over the service's ``max_message_size``."""
    text = f"a request of {size} bytes, over {service}'s max_message_size of {limit}"
    return Rejection(TApplicationException.PROTOCOL_ERROR, text, outcome=headers.TOO_LARGE)


def too_many_elements(service: str, limit: int) -> Rejection:
    """A request is over the service's ``max_elements``."""
    text = f"a request over {service}'s max_elements of {limit}"
    return Rejection(TApplicationException.PROTOCOL_ERROR, text, outcome=headers.TOO_LARGE)


def stopping() -> Rejection:
    """The worker that the request was sent to takes no more work."""
    return Rejection(
        TApplicationException.INTERNAL_ERROR,
        "this worker is stopping",
        outcome=headers.STOPPING,
        kind=DeadLetterKind.UNSERVED,
    )


def overloaded(reason: str = "too many requests wait for this worker") -> Rejection:
    """The worker does not take the request now; the caller gets ``Overloaded``, and may try again."""
    return Rejection(
        TApplicationException.INTERNAL_ERROR, reason, outcome=headers.OVERLOADED, kind=DeadLetterKind.UNSERVED
    )


def refused(error: AccessDenied | Overloaded | ServiceUnavailable) -> Rejection:
    """An interceptor has refused the call; its caller gets the same error."""
    word = headers.UNAVAILABLE
    if isinstance(error, AccessDenied):
        word = headers.ACCESS_DENIED
    elif isinstance(error, Overloaded):
        word = headers.OVERLOADED
    return Rejection(TApplicationException.INTERNAL_ERROR, str(error.message), outcome=word)


def denied(reason: str, *, is_signed: bool = False) -> Rejection:
    """The request has no valid signature; the caller gets ``AccessDenied``.

    :param is_signed: whether it is signed all the same, by a holder of a key: its time is wrong.
    """
    text, kind = f"access denied: {reason}", DeadLetterKind.UNSERVED if is_signed else DeadLetterKind.INVALID
    return Rejection(TApplicationException.INTERNAL_ERROR, text, outcome=headers.ACCESS_DENIED, kind=kind)


def repeated() -> Rejection:
    """An at-most-once request may have begun before."""
    return Rejection(
        TApplicationException.INTERNAL_ERROR,
        "the request may have been run before, and acknowledge='before' forbids a second run",
        kind=DeadLetterKind.UNSERVED,
    )


def over_the_limit(begins: int, counted: bool) -> Rejection:
    """A request may have begun more often than its service allows.

    :param counted: whether a worker has counted a begin of it. Otherwise its sender may have written the number: then
        one loss of a channel would make evidence of crashes of every request in progress.
    """
    text = f"delivered {begins} times to workers that did not finish it"
    kind = DeadLetterKind.UNFINISHED if counted else DeadLetterKind.UNSERVED
    return Rejection(TApplicationException.INTERNAL_ERROR, text, poison=True, kind=kind)


def internal_error(message: str = "Internal error") -> TApplicationException:
    """Return the answer for an error that is not in the IDL. Its own text may hold secrets, and stays in the log."""
    return TApplicationException(TApplicationException.INTERNAL_ERROR, message)


def reply_too_large(label: str | None) -> TApplicationException:
    """Return the answer of a call whose reply is over the service's limit, or over the broker's.

    :param label: ``<service>.<method>``.
    """
    return internal_error(f"{label}: the reply is too large")
