"""Takes messages of clients to the services behind the broker, and brings the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.python.failure import Failure

from rpc import log
from rpc.client.connection import Connection
from rpc.client.raw import RawClient
from rpc.envelope import CODECS, Codec, Header, Message
from rpc.errors import MalformedMessage, Outcome, Overloaded, RPCError, ServiceUnavailable
from rpc.gateway.answers import error_answer, error_text, exception
from rpc.gateway.options import GatewayOptions
from rpc.interfaces import IClock
from rpc.log_limit import LogLimit

SEPARATOR = ":"
"""Between service and method in the name of a message, as Thrift's ``TMultiplexedProtocol`` has it."""


class Forwarder:
    """Forwards calls to some services, and to no others.

    :ivar first: the service of messages that name none.
    :ivar at_end_of_pass: see :meth:`rpc.Connection.at_end_of_pass`.
    """

    def __init__(self, connection: Connection, services: Sequence[str], options: GatewayOptions, clock: IClock) -> None:
        """:raises ConfigurationError: no service can have such a name."""
        self._services = tuple(services)
        self._options = options
        self.first = self._services[0]
        self.at_end_of_pass = connection.at_end_of_pass
        self._clients: dict[tuple[str, str], RawClient] = {
            (service, protocol): connection.raw_client(service, **options.of_calls(protocol))
            for service in self._services
            for protocol in CODECS
        }
        self._oneways: set[Deferred[Message | None]] = set()
        self._oneway_bytes = 0
        self._refused = LogLimit(clock, 10)

    def call(
        self, message: bytes, protocol: str, service: str | None = None, timeout: float | None = None
    ) -> tuple[Deferred[bytes], bool]:
        """Forward a message.

        :param protocol: of `message`.
        :param service: the service when the name in the message has none; default: the first one.
        :param timeout: seconds, when it is less than the option.
        :return: a Deferred, and whether the message is of type ONEWAY. The Deferred fires with the answer, which is an
            EXCEPTION message when the call has failed. It fires with ``b""`` for a ONEWAY message, when the broker has
            confirmed it, and fails with an :class:`~rpc.errors.RPCError` when that does not happen. It fires with
            ``b""`` when a call is cancelled.
        """
        codec = CODECS[protocol]
        try:
            header = name, kind, seqid, start = codec.read_header(message)
        except MalformedMessage as error:
            return succeed(exception(codec, "", 0, TApplicationException.PROTOCOL_ERROR, str(error))), False
        if SEPARATOR in name:
            service, _, name = name.partition(SEPARATOR)
            header = name, kind, seqid, start
        service = self.first if service is None else service
        client = self._clients.get((service, protocol))
        if client is None:
            return self._unknown_service(codec, header, service)
        if kind == TMessageType.CALL:
            sending = client.send(header, message, timeout)
            failed = codec, name, seqid
            return sending.addCallbacks(codec.with_seqid, self._call_failed, (seqid,), errbackArgs=failed), False
        if kind == TMessageType.ONEWAY:
            most = self._options.max_buffered
            if self._oneway_bytes + len(message) > most:  # a client may leave and send again: its calls go on
                text = f"{service}.{name}: unconfirmed oneway calls take max_buffered={most} bytes"
                return self._send_oneway(fail(Overloaded(text, Outcome.NOT_SENT)), 0), True
            return self._send_oneway(client.send(header, message, timeout), len(message)), True
        text = f"a message of type {kind}, not a CALL or ONEWAY"
        return succeed(exception(codec, name, seqid, TApplicationException.INVALID_MESSAGE_TYPE, text)), False

    def _unknown_service(self, codec: Codec, header: Header, service: str) -> tuple[Deferred[bytes], bool]:
        name, kind, seqid, _ = header
        text = f"this gateway has no service {service[:80]!r}; it has {', '.join(self._services)}"
        if kind == TMessageType.ONEWAY:
            return self._send_oneway(fail(ServiceUnavailable(text, Outcome.NOT_SENT)), 0), True
        return succeed(exception(codec, name, seqid, TApplicationException.UNKNOWN_METHOD, text)), False

    def _call_failed(self, failure: Failure, codec: Codec, name: str, seqid: int) -> bytes:
        error = failure.value
        if isinstance(error, RPCError):
            return error_answer(codec, name, seqid, error)
        if isinstance(error, CancelledError):
            return b""
        log.err(failure, "in the gateway")
        return exception(codec, name, seqid, TApplicationException.INTERNAL_ERROR, "Internal error")

    def _send_oneway(self, sending: Deferred[Message | None], size: int) -> Deferred[bytes]:
        """Note a oneway call until it is settled. Clients get no answer to it, so a failure is logged."""
        self._oneways.add(sending)
        self._oneway_bytes += size

        def settled(result: Any) -> Any:
            self._oneways.discard(sending)
            self._oneway_bytes -= size
            if result is None:
                return b""
            if isinstance(result, Failure):
                self._log_lost(result)
            return result

        return sending.addBoth(settled)

    def _log_lost(self, failure: Failure) -> None:
        if isinstance(failure.value, RPCError):
            text = error_text(failure.value)
            self._refused.note(lambda: f"a oneway call is lost: {text}")
        else:
            log.err(failure, "in the gateway")

    def when_settled(self) -> Deferred[Any]:
        """Fires when the oneway calls of this moment are settled."""
        return DeferredList([_fork(sending) for sending in self._oneways])

    def stop(self) -> None:
        """Leave no timer."""
        self._refused.stop()

    def resume(self) -> None:
        """Forward again, after :meth:`stop`."""
        self._refused.resume()


def _fork(deferred: Deferred[Any]) -> Deferred[None]:
    """Return a Deferred that fires with `deferred`, and does not take its result."""
    forked: Deferred[None] = Deferred()

    def settled(result: Any) -> Any:
        forked.callback(None)
        return result

    deferred.addBoth(settled)
    return forked
