"""Every error the framework raises, with its cause and what is known of the call.

Errors of a call subclass Thrift's ``TTransportException``, so code written for any Thrift transport catches them;
each carries an :class:`Outcome`. Errors of the broker connection carry the AMQP reply code and text. Each class says
in its docstring when it is raised.
"""

from __future__ import annotations

import enum

from thrift.transport.TTransport import TTransportException


class Outcome(enum.Enum):
    """What is known of a call that failed."""

    NOT_SENT = "not sent"
    """The request never left this process: surely not executed."""

    REJECTED = "rejected"
    """The broker or the worker refused the request: surely not executed."""

    UNKNOWN = "unknown"
    """The request was sent and no answer came: it may have been executed, once or (after a redelivery) more often."""


class RPCError(TTransportException):
    """A call failed outside its service: base of all errors that are not the IDL's own.

    :ivar outcome: what is known of the call, of all its attempts together.
    :ivar attempts: how many times the request was sent: 0 when it never was. An earlier attempt's error is the
        ``__cause__`` of this one.
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
    """A reply came that is not an answer to its call: it does not decode, or names another method or seqid."""

    def __init__(self, message: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(message, outcome)


class ServiceUnavailable(RPCError):
    """The broker returned the request as unroutable (``basic.return``): no worker has ever declared the service."""

    thrift_type = TTransportException.NOT_OPEN

    def __init__(self, message: str, outcome: Outcome = Outcome.REJECTED) -> None:
        super().__init__(message, outcome)


class Overloaded(RPCError):
    """The request was refused: by the broker (``basic.nack``), since the service's backlog is full or its queue out of
    order, or by a worker that has more to do than it may.
    """

    def __init__(self, message: str, outcome: Outcome = Outcome.REJECTED) -> None:
        super().__init__(message, outcome)


class MessageTooLarge(RPCError):
    """The request is larger than the limit of this client (nothing was sent), of the service or of the broker."""

    thrift_type = TTransportException.SIZE_LIMIT

    def __init__(self, message: str, outcome: Outcome = Outcome.NOT_SENT) -> None:
        super().__init__(message, outcome)


class BrokerBlocked(RPCError):
    """The broker takes no messages just now (``connection.blocked``: a memory or disk alarm); nothing was sent."""

    def __init__(self, message: str, outcome: Outcome = Outcome.NOT_SENT) -> None:
        super().__init__(message, outcome)


class CallTimedOut(RPCError):
    """The call's deadline passed before its reply came."""

    thrift_type = TTransportException.TIMED_OUT

    def __init__(self, message: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(message, outcome)


class ConnectionLost(RPCError):
    """The connection to the broker went away, or was closed, before the call's reply came."""

    thrift_type = TTransportException.END_OF_FILE

    def __init__(self, message: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(message, outcome)


class WorkerLost(RPCError):
    """The worker that had begun the call has not been heard of for the client's ``liveness`` seconds."""

    thrift_type = TTransportException.END_OF_FILE

    def __init__(self, message: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        super().__init__(message, outcome)


class AMQPError(Exception):
    """Base of what goes wrong between this process and the broker."""


class CodecError(AMQPError, ValueError):
    """A value does not fit its AMQP type, or bytes are not what their AMQP type says."""


class FrameError(AMQPError):
    """The broker's bytes are not AMQP frames, or come in an order AMQP forbids; the connection is closed.

    :ivar code: the AMQP reply code that the specification names for it: 501 to 505, or 540 for a method nobody knows.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class ClosedByBroker(AMQPError):
    """The broker closed a channel or the connection, and said why.

    :ivar code: the AMQP reply code, such as 404 (not found) or 406 (precondition failed).
    :ivar text: the broker's own words.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class ChannelClosed(ClosedByBroker):
    """The broker closed the channel (``channel.close``); the connection and its other channels go on."""


class ConnectionClosed(ClosedByBroker):
    """The broker closed the connection (``connection.close``), or it ended otherwise (code 0)."""


class DeliveryTimedOut(ChannelClosed):
    """A delivery was unacked for longer than RabbitMQ's delivery acknowledgement timeout (406; ``consumer_timeout``,
    30 minutes by default): the broker closed the channel and requeued its deliveries.
    """


class AuthenticationFailed(ConnectionClosed):
    """The broker refused user name, password or mechanism (403)."""


class VirtualHostRefused(ConnectionClosed):
    """The virtual host does not exist, or the user may not enter it (530)."""


class HeartbeatMissed(AMQPError):
    """Nothing came from the broker for two heartbeat intervals; the connection was aborted."""


class BrokerUnreachable(AMQPError):
    """No connection to the broker came about: wrong host or port, nobody listens, TLS refused, or no answer in time."""


class ConfigurationError(Exception):
    """What the user wrote cannot be used: a URI, an option, a module. Says what, where, and what to write instead."""


class InvalidURI(ConfigurationError):
    """A broker URI cannot be understood. Never shows the password."""


class CompileError(ConfigurationError):
    """``thrift-rpc compile`` refused its input or could not run the Thrift compiler. ``str()`` is the whole message."""


class MalformedMessage(Exception):
    """Bytes that are not exactly one Thrift message of the type that was expected; says what was wrong."""


class UnknownProtocol(Exception):
    """A content type that names none of the Thrift protocols spoken here."""
