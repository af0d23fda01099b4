"""The errors of the framework, each with its cause.

Errors of a call subclass Thrift's ``TTransportException``, so code for any Thrift transport catches them. Each has an
:class:`Outcome`. Errors of the broker connection have the AMQP reply code and text (AMQP 0-9-1 reference, "Constants").
"""

from __future__ import annotations

import enum

from thrift.transport.TTransport import TTransportException


class Outcome(enum.Enum):
    """Whether a call that failed was executed."""

    NOT_SENT = "not sent"
    """The request never left this process: not executed."""

    REJECTED = "rejected"
    """The broker or the worker rejected the request: not executed."""

    UNKNOWN = "unknown"
    """The request was sent and no reply came: maybe executed, once or (after a redelivery) more often."""

    @property
    def in_words(self) -> str:
        """Whether the call was executed, in the words of messages about it."""
        return "may have been executed" if self is Outcome.UNKNOWN else "not executed"


class RPCError(TTransportException):
    """A call failed outside its service: base of all errors of calls that are not exceptions of the IDL.

    :ivar outcome: whether the call was executed; of all its attempts together.
    :ivar attempts: how many times the request was sent. An earlier attempt's error is the ``__cause__`` of this one.
    """

    thrift_type = TTransportException.UNKNOWN
    attempts = 0

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(type=self.thrift_type, message=message)
        self.outcome = outcome

    def __reduce__(self) -> tuple[type[RPCError], tuple[str | None, Outcome], dict[str, int]]:
        return type(self), (self.message, self.outcome), {"attempts": self.attempts}


class InvalidRequest(RPCError):
    """The arguments do not fit the method's signature in the IDL; nothing was sent."""

    def __init__(self, message: str, outcome: Outcome = Outcome.NOT_SENT) -> None:
        super().__init__(message, outcome)


class InvalidReply(RPCError):
    """The reply does not belong to its call: it does not decode, names another method or seqid, or is not signed as a
    client with keys demands.
    """

    def __init__(self, message: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(message, outcome)


class ServiceUnavailable(RPCError):
    """No worker has declared the service, or the named worker is gone: the broker returned the request
    (``basic.return``). Or the named worker is stopping, or the broker refuses this client (nothing was sent).
    """

    thrift_type = TTransportException.NOT_OPEN

    def __init__(self, message: str, outcome: Outcome = Outcome.REJECTED) -> None:
        super().__init__(message, outcome)


class Overloaded(RPCError):
    """The request was rejected, because there is no capacity for it.

    The broker rejected it (``basic.nack``): the service's queue is full or unavailable. Or the worker rejected it: too
    many requests wait there for a slot, or its caller is over the service's ``limits``.
    """

    def __init__(self, message: str, outcome: Outcome = Outcome.REJECTED) -> None:
        super().__init__(message, outcome)


class AccessDenied(RPCError):
    """The worker did not run the call. Its service does not allow it to this user (the option ``allow``), or takes
    signed requests only (``require_signature``), or the signature of the request is not valid.
    """

    def __init__(self, message: str, outcome: Outcome = Outcome.REJECTED) -> None:
        super().__init__(message, outcome)


class MessageTooLarge(RPCError):
    """The request is over the size limit of this client (nothing was sent), of the service or of the broker."""

    thrift_type = TTransportException.SIZE_LIMIT

    def __init__(self, message: str, outcome: Outcome = Outcome.NOT_SENT) -> None:
        super().__init__(message, outcome)


class BrokerBlocked(RPCError):
    """The broker has blocked publishers (``connection.blocked``: a memory or disk alarm); nothing was sent."""

    def __init__(self, message: str, outcome: Outcome = Outcome.NOT_SENT) -> None:
        super().__init__(message, outcome)


class CallTimedOut(RPCError):
    """The call's deadline passed before its reply came."""

    thrift_type = TTransportException.TIMED_OUT

    def __init__(self, message: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(message, outcome)


class ConnectionLost(RPCError):
    """The connection to the broker was lost or closed before the call's reply came."""

    thrift_type = TTransportException.END_OF_FILE

    def __init__(self, message: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(message, outcome)


class WorkerLost(RPCError):
    """The worker that runs the call has sent no keepalive for the client's ``liveness`` seconds."""

    thrift_type = TTransportException.END_OF_FILE

    def __init__(self, message: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(message, outcome)


class AMQPError(Exception):
    """Base of errors between this process and the broker."""


class CodecError(AMQPError, ValueError):
    """A value does not fit its AMQP type, or bytes are not a value of it."""


class FrameError(AMQPError):
    """The broker's bytes are not AMQP frames, or come in an order that AMQP forbids; the connection is closed.

    :ivar code: the AMQP reply code (AMQP 0-9-1 reference, "Constants"): 501 to 505, or 540 for an unknown method.
    :ivar text: the reason.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}" if self.code else self.text


class VersionRefused(FrameError):
    """The broker speaks AMQP, but not the version that the option ``spec`` names."""


class ClosedByBroker(AMQPError):
    """The broker closed a channel or the connection, with a reason.

    :ivar code: the AMQP reply code, such as 404 (not found) or 406 (precondition failed).
    :ivar text: the broker's own words.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}" if self.code else self.text


class ChannelClosed(ClosedByBroker):
    """The broker closed the channel (``channel.close``); the connection and its other channels stay open."""


class DeclarationRefused(ChannelClosed):
    """The broker refused to declare a queue or an exchange. It exists with other arguments, or one of the arguments has
    a wrong value (406); or it was to exist, and does not (404). A queue whose node is down and a limit of queues
    have the same codes, and are a :class:`ChannelClosed`.
    """


class ConnectionClosed(ClosedByBroker):
    """The broker closed the connection (``connection.close``), or it ended otherwise (code 0)."""


class UnusableExchange(AMQPError):
    """An exchange does not exist, or the user may not publish to it. The text says which. It becomes the
    :class:`ServiceUnavailable` of calls.
    """


class DeliveryTimedOut(ChannelClosed):
    """A delivery was unacked for longer than RabbitMQ's delivery acknowledgement timeout (406; ``consumer_timeout``,
    30 minutes by default): the broker closed the channel and requeued its deliveries.
    """


class AuthenticationFailed(ConnectionClosed):
    """The broker rejected user name, password or mechanism (403)."""


class VirtualHostRefused(ConnectionClosed):
    """The virtual host does not exist, or the user has no permission for it (530)."""


class HeartbeatMissed(AMQPError):
    """The broker sent nothing for two heartbeat intervals (AMQP 0-9-1, section 4.2.7); the connection was aborted."""


class BrokerUnreachable(AMQPError):
    """No connection to the broker was made: wrong host or port, no listener, TLS rejected, or no answer in time."""


class ConfigurationError(Exception):
    """A URI, an option or a module of the user cannot be used. The text names it, its place, and allowed values."""


class InvalidURI(ConfigurationError):
    """A broker URI is malformed. The text does not contain the password."""


class CompileError(ConfigurationError):
    """``thrift-rpc compile`` rejected the IDL, or could not run Thrift's compiler. ``str()`` is the whole message."""


class MalformedMessage(Exception):
    """Bytes are not exactly one Thrift message of the expected type. The text has the reason."""


class TooManyElements(MalformedMessage):
    """Decoding a message would take too much time or memory: it is over the option ``max_elements``.

    :ivar most: the limit.
    """

    def __init__(self, most: int) -> None:
        super().__init__(f"over max_elements of {most}")
        self.most = most


class UnknownProtocol(Exception):
    """A content type is none of the three Thrift protocols."""
