"""The output of ``thrift-rpc call --verbose`` on standard error: the course of a call, without its arguments, its
result, passwords, and values of metadata.
"""

from __future__ import annotations

from typing import Final

from rpc.cli.standard_output import warn
from rpc.client.client_call import ClientCall
from rpc.client.connection import Connection
from rpc.interceptors import ClientInterceptor
from rpc.printable import printable
from rpc.uri import BrokerURI

LIVENESS: Final = 86400.0
"""Seconds. A worker that is asked for keepalives tells its name, in them and in the reply."""


class CallTrace(ClientInterceptor):
    """Tells of each step of a call when it is done.

    :param broker: is shown without its password.
    """

    def __init__(self, broker: BrokerURI) -> None:
        _tell(f"broker: {broker}")

    def connected(self, connection: Connection) -> None:
        """There is a connection."""
        _tell(f"connected: {connection!r}")

    def before(self, call: ClientCall) -> None:
        """Tell where the request is published."""
        metadata = f", metadata {', '.join(sorted(call.headers))}" if call.headers else ""
        _tell(
            f"request: {call.label} to exchange {call.exchange!r}, routing key {call.service!r}, {call.protocol}, "
            f"deadline in {call.deadline - call.began:g} s{metadata}"
        )

    def retrying(self, call: ClientCall) -> None:
        """Tell why."""
        _tell(f"attempt {call.attempt} failed: {call.error}; another one follows")

    def after(self, call: ClientCall) -> None:
        """Tell when, and from which worker, the reply came."""
        self._ended(call, "confirmed by the broker" if call.oneway else f"{call.reply_size} bytes")

    def failed(self, call: ClientCall) -> None:
        """Tell how the call failed."""
        outcome = "" if call.outcome is None else f", outcome {call.outcome.name}"
        self._ended(call, f"{type(call.error).__name__}{outcome}")

    def _ended(self, call: ClientCall, how: str) -> None:
        took = 0.0 if call.ended is None else (call.ended - call.began) * 1000
        workers = ", ".join(sorted(call.workers))
        if call.message_id is not None:
            _tell(f"message: id {call.message_id}, {call.request_size} bytes, sent in {_attempts(call.attempt)}")
        _tell(f"end: after {took:.1f} ms, {how}{f', worker {workers}' if workers else ''}")


def _tell(text: str) -> None:
    """Write one line. Peers wrote parts of it."""
    warn(printable(text))


def _attempts(attempts: int) -> str:
    return f"{attempts} attempt{'' if attempts == 1 else 's'}"
