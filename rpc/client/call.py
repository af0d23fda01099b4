"""A call of a client: what it asks, and how it is settled exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from thrift.Thrift import TApplicationException, TMessageType, TType
from twisted.internet.defer import Deferred

from rpc.amqp.codec.fields import SHORT_LENGTHS
from rpc.amqp.codec.properties import PropertyTemplate, encode_properties
from rpc.context import CallContext
from rpc.envelope import Codec, read_application_exception
from rpc.errors import BrokerBlocked, InvalidReply, InvalidRequest, MalformedMessage, MessageTooLarge, Outcome, RPCError
from rpc.headers import ATTEMPT, LIVENESS
from rpc.messages import Properties
from rpc.required_fields import Check
from rpc.stub import StubMethod

VARIABLE = ("correlation_id", "expiration", "message_id")
"""Properties that differ from call to call, in the wire's order."""

VARIABLE_ONEWAY = ("correlation_id", "message_id")
"""A oneway request does not expire: nobody waits for it, and its caller was told that the broker has it."""


@attrs.define(eq=False)
class Operation:
    """A method as one client calls it: what all calls of it have in common, made once.

    :ivar timeout: seconds.
    :ivar headers: metadata of every call.
    :ivar retry: whether a refused call is tried again.
    :ivar idempotent: whether a call of which nobody knows whether it was executed may be made again.
    :ivar liveness: seconds within which a worker that has begun a call must be heard of; ``None``: until the deadline.
    """

    method: StubMethod
    service: str
    exchange: str
    codec: Codec
    timeout: float
    headers: Mapping[str, Any] | None
    priority: int | None
    max_message_size: int
    retry: bool = False
    idempotent: bool = False
    liveness: float | None = None
    _template: PropertyTemplate | None = None
    _reply_to: str | None = None

    @property
    def label(self) -> str:
        """``<service>.<method>``, as in logs, errors and the message's type."""
        return f"{self.service}.{self.method.name}"

    def encode(self, seqid: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bytes:
        """Return the request's body.

        :raises TypeError: the number or the names of the arguments are not the method's.
        :raises InvalidRequest: a value does not fit its type in the IDL.
        :raises MessageTooLarge: the body is over the client's limit.
        """
        method = self.method
        if keywords or len(arguments) != len(method.argument_names):
            arguments = self._bind(arguments, keywords)
        try:
            struct = method.arguments_class(*arguments)
            if method.check_arguments is not None:
                method.check_arguments(struct)
            kind = TMessageType.ONEWAY if method.oneway else TMessageType.CALL
            body = self.codec.encode(method.name, kind, seqid, struct)
        except Exception as error:
            why = self._misfit(arguments) or f"the arguments do not fit the IDL: {type(error).__name__}: {error}"
            raise InvalidRequest(f"{self._shown}: {why[:300]}") from error
        if len(body) > self.max_message_size:
            raise MessageTooLarge(
                f"{self.label}: a request of {len(body)} bytes, over the client's max_message_size of "
                f"{self.max_message_size}"
            )
        return body

    @property
    def _shown(self) -> str:
        return f"{self.label}({', '.join(self.method.argument_names)})"

    def _bind(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
        try:
            return self.method.signature.bind(*arguments, **keywords).args
        except TypeError as error:
            raise TypeError(f"{self._shown}: {error}") from None

    def _misfit(self, arguments: tuple[Any, ...]) -> str | None:
        """Say which argument does not fit, by encoding each alone: only done when all together have failed."""
        arguments_class: Any = self.method.arguments_class
        fields = {field[2]: field for field in arguments_class.thrift_spec if field is not None}
        for name, value in zip(self.method.argument_names, arguments, strict=True):
            try:
                struct = arguments_class(**{name: value})
                self.codec.encode(self.method.name, TMessageType.CALL, 1, struct)
            except Exception as error:
                kind, got = _kind(fields[name]), type(value).__name__
                expected = f"this {kind} does not fit" if kind == got else f"{kind} expected, got {got}"
                return f"argument {name!r}: {expected} ({type(error).__name__}: {error})"
        return None

    def properties(
        self, reply_to: str, correlation_id: bytes, expiration: bytes, message_id: bytes, inherited: Mapping[str, Any]
    ) -> bytes:
        """Return the request's encoded properties. The ids and the expiration are digits and dots."""
        if inherited:
            return self._with_metadata(reply_to, correlation_id, expiration, message_id, inherited)
        template = self._template
        if template is None or self._reply_to != reply_to:
            template = self._template = PropertyTemplate(self._fixed(reply_to, self.headers), self._variable)
            self._reply_to = reply_to
        correlation_id = SHORT_LENGTHS[len(correlation_id)] + correlation_id
        message_id = SHORT_LENGTHS[len(message_id)] + message_id
        if self.method.oneway:
            return template.encode(correlation_id, message_id)
        return template.encode(correlation_id, SHORT_LENGTHS[len(expiration)] + expiration, message_id)

    def _with_metadata(
        self, reply_to: str, correlation_id: bytes, expiration: bytes, message_id: bytes, inherited: Mapping[str, Any]
    ) -> bytes:
        values = (correlation_id, message_id) if self.method.oneway else (correlation_id, expiration, message_id)
        words: Any = {name: value.decode() for name, value in zip(self._variable, values, strict=True)}
        fixed = self._fixed(reply_to, {**inherited, **(self.headers or {})})
        return encode_properties(attrs.evolve(fixed, **words))

    @property
    def _variable(self) -> tuple[str, ...]:
        return VARIABLE_ONEWAY if self.method.oneway else VARIABLE

    def _fixed(self, reply_to: str, headers: Mapping[str, Any] | None) -> Properties:
        oneway = self.method.oneway
        if self.liveness is not None and not oneway:
            headers = {**(headers or {}), LIVENESS: max(1, int(self.liveness * 1000))}
        return Properties(
            content_type=self.codec.content_type,
            headers=headers or None,
            delivery_mode=2 if oneway else 1,
            priority=self.priority,
            reply_to=None if oneway else reply_to,
            type=self.label,
        )

    def decode(self, seqid: int, body: bytes) -> tuple[Any, Exception | None]:
        """Return what a reply's body says: a result and no exception, or the IDL's or Thrift's exception.

        :raises InvalidReply: the reply is no answer to this call.
        """
        method = self.method
        try:
            name, kind, answered, start = self.codec.read_header(body)
            if answered != seqid or kind != TMessageType.REPLY or name != method.name or method.result_class is None:
                return None, self._read_exception(seqid, body)
            result = self.codec.read_struct(body, start, method.result_class)
            if method.check_result is not None:
                _check(method.check_result, result)
        except MalformedMessage as error:
            raise InvalidReply(f"{self.label}: the reply is {error}") from error
        if method.has_result and result.success is not None:
            return result.success, None
        for name, _ in method.throws:
            exception = getattr(result, name)
            if exception is not None:
                return None, exception
        if not method.has_result:
            return None, None
        unknown = f"{method.name} failed: unknown result"
        return None, TApplicationException(TApplicationException.MISSING_RESULT, unknown)

    def _read_exception(self, seqid: int, body: bytes) -> Exception:
        """Read a reply that is no result: Thrift's exception, or something that says nothing of this call."""
        name, kind, answered, start = self.codec.read_header(body)
        if kind not in (TMessageType.REPLY, TMessageType.EXCEPTION):
            raise MalformedMessage(f"of Thrift's message type {kind}, not a REPLY or EXCEPTION")
        if answered != seqid:
            raise MalformedMessage(f"the answer to seqid {answered}, not {seqid}")
        if kind == TMessageType.EXCEPTION:
            return read_application_exception(self.codec, body, start)
        if name != self.method.name:
            raise MalformedMessage(f"the answer of {name[:80]!r}")
        raise MalformedMessage("the answer to a oneway method")


def _check(check: Check, result: object) -> None:
    try:
        check(result)
    except Exception as error:
        raise MalformedMessage(str(error)) from error


def _kind(field: tuple[Any, ...]) -> str:
    """Return the type of a field of a ``thrift_spec``, as the IDL writes it."""
    _, ttype, _, details, _ = field
    if ttype == TType.STRUCT:
        return str(details[0].__name__)
    return "binary" if details == "BINARY" else TType._VALUES_TO_NAMES[ttype].lower()


class CallTable(Protocol):
    """Where calls are until they are settled."""

    def cancel(self, call: Call) -> None:
        """Settle `call`: its caller does not want it any more."""


class Call:
    """One call on its way. In its transport's table from its beginning to its settling, and only then.

    :ivar context: the call that this one is made for.
    :ivar tick: of its deadline.
    :ivar published: the number under which the present attempt was published on the channel; 0 when it was not.
    :ivar alarm: the tick of the next attempt while there is none, or of the end of patience with a silent worker; or 0.
    :ivar attempts: how many times it was sent.
    :ivar repetitions: how many attempts were given up for another one.
    :ivar uncertain: whether an attempt that was given up may have been executed.
    :ivar problem: why the last attempt was given up.
    """

    __slots__ = (
        "alarm",
        "attempts",
        "body",
        "context",
        "deadline",
        "deferred",
        "number",
        "operation",
        "problem",
        "published",
        "repetitions",
        "table",
        "tick",
        "uncertain",
    )

    def __init__(
        self,
        table: CallTable,
        operation: Operation,
        number: int,
        body: bytes,
        deadline: float,
        context: CallContext | None,
    ) -> None:
        self.table = table
        self.operation = operation
        self.number = number
        self.body = body
        self.deadline = deadline
        self.context = context
        self.deferred: Deferred[Any] = Deferred(self.cancelled)
        self.tick = self.published = self.alarm = self.attempts = self.repetitions = 0
        self.uncertain = False
        self.problem: RPCError | None = None

    def cancelled(self, _: object) -> None:
        """Settle the call as cancelled."""
        self.table.cancel(self)

    @property
    def outcome(self) -> Outcome:
        """What is known of the call if it ends now, without an answer."""
        if self.published or self.uncertain:
            return Outcome.UNKNOWN
        return Outcome.REJECTED if self.attempts else Outcome.NOT_SENT

    def blocked(self, reason: str) -> BrokerBlocked:
        """Return the error of an attempt that was not made."""
        return BrokerBlocked(f"{self.operation.label}: the broker takes no messages just now: {reason}")

    def too_large_for(self, limit: int) -> MessageTooLarge:
        """Return the error of a request that is over the broker's limit."""
        text = f"a request of {len(self.body)} bytes, over the broker's max_message_size of {limit}"
        return MessageTooLarge(f"{self.operation.label}: {text}", Outcome.REJECTED)

    @property
    def inherited(self) -> Mapping[str, Any]:
        """The headers of the request beside those that all calls of the operation have."""
        metadata: Mapping[str, Any] = {} if self.context is None else self.context.metadata
        return {**metadata, ATTEMPT: self.attempts + 1} if self.attempts else metadata
