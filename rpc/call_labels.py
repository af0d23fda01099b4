"""How metrics, traces and the access log name a call's method, error and outcome: alike."""

from __future__ import annotations

from thrift.Thrift import TApplicationException
from twisted.internet.defer import CancelledError

from rpc.errors import Outcome, RPCError
from rpc.printable import printable

OTHER = "_OTHER"
"""Instead of a method that the service does not have, as OpenTelemetry's conventions for RPC demand: a peer could make
up any number of names.
"""

_TYPES = {
    value: name for name, value in vars(TApplicationException).items() if name.isupper() and isinstance(value, int)
}

_OUTCOMES = {Outcome.NOT_SENT: "not_sent", Outcome.REJECTED: "rejected", Outcome.UNKNOWN: "unknown"}


def error_type(error: BaseException | None) -> str:
    """Return the name of an error's class, or of a ``TApplicationException``'s type; "" for none."""
    if error is None:
        return ""
    if isinstance(error, TApplicationException):
        return _TYPES.get(error.type, "UNKNOWN")
    return type(error).__name__


def client_outcome(error: BaseException | None) -> str:
    """Return how a call ended for its client.

    ``ok``; ``exception`` (of the IDL, or Thrift's); ``cancelled``; or the outcome of an :class:`~rpc.errors.RPCError`:
    ``not_sent``, ``rejected``, ``unknown``.
    """
    if error is None:
        return "ok"
    if isinstance(error, RPCError):
        return _OUTCOMES[error.outcome]
    if isinstance(error, CancelledError):
        return "cancelled"
    return "not_sent" if isinstance(error, TypeError) else "exception"


def qualified(service: str, method: str) -> tuple[str, str]:
    """Return the service, without the instance of a worker, and ``<service>/<method>``.

    The names of raw calls come from messages. An operator may look at them in a terminal.
    """
    name = printable(service.partition("@")[0])
    return name, f"{name}/{printable(method)}"
