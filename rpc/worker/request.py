"""A request as a worker sees it: read from a delivery, answered with Thrift messages. Pure but for the decoding."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import attrs
from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import Deferred

from rpc.amqp.codec.fields import SHORT_LENGTHS, encode_short_string
from rpc.amqp.codec.properties import (
    ALL_ABSENT,
    CONTENT_TYPE,
    CORRELATION_ID,
    EXPIRATION,
    HEADERS,
    MESSAGE_ID,
    REPLY_TO,
    TYPE,
    PropertyTemplate,
    decode_headers,
    decode_text,
    split_properties,
)
from rpc.amqp.content import Delivery
from rpc.context import CallContext
from rpc.envelope import CODECS, Codec, codec_for
from rpc.errors import CodecError, MalformedMessage, UnknownProtocol
from rpc.headers import (
    ATTEMPT,
    CANCEL,
    DEAD_REASON,
    KEEPALIVE,
    LIVENESS,
    OUTCOME,
    ROUTING,
    SHORTEST_LIVENESS,
    metadata_of,
    whole,
)
from rpc.messages import Properties
from rpc.stub import StubMethod
from rpc.worker.redelivery import unfinished_deliveries

DIRECT_REPLY_TO = b"amq.rabbitmq.reply-to"
"""RabbitMQ's direct reply-to: a client's replies without a queue, by a name with an Erlang process in it. Any client
can make one up, and RabbitMQ closes the connection of whoever publishes to one it cannot use (541). So there is no
safe way to answer, and one request would end worker after worker.
"""

NO_HEADERS: Mapping[str, Any] = MappingProxyType({})

LONGEST_EXPIRATION = 2**32 - 1
"""Milliseconds: what RabbitMQ's own timers take. A peer that sends more gets a reply that expires then."""

LONGEST_CANCEL = 1024 * 1024
"""Bytes that are read of a message that calls others off: some 30,000 ids."""

LONGEST_UNKNOWN_NAME = 200
"""Characters of a name that is no method's: a refusal repeats it, and must not be larger than the broker takes."""

CANCEL_TYPE = encode_short_string(CANCEL)

BINARY = CODECS["binary"]
BINARY_CONTENT_TYPE = encode_short_string(BINARY.content_type)


class Refused(Exception):
    """A request that no handler is to see.

    :ivar answer: what its caller gets.
    :ivar poison: whether it would fare no better elsewhere, and belongs to the dead letters.
    :ivar outcome: the word for the reply's header ``rpc-outcome``.
    """

    def __init__(self, code: int, message: str, *, poison: bool = False, outcome: str | None = None) -> None:
        super().__init__(message)
        self.answer = TApplicationException(code, message)
        self.poison = poison
        self.outcome = outcome


class Request:
    """One request. What could be read is there even when the rest is malformed, so that it can be answered.

    :ivar reply_to: the queue for the reply; ``None`` when the caller named none, or one that cannot be answered.
    :ivar deadline: seconds of the clock that `now` was read from; ``None`` when the caller set none.
    :ivar headers: all that it has.
    :ivar direct: whether it was sent to this worker alone, so that no other can have it.
    :ivar settled: whether it was acked before it was begun, or refused.
    :ivar cancelled: whether its handler was cancelled, since nobody waits any more.
    :ivar handling: what the handler has returned, while it works; ``tick`` and ``sign_tick`` belong to that.
    :ivar key: by what :class:`~rpc.worker.deduplication.RecentReplies` knows it.
    """

    __slots__ = (
        "_asks_direct_reply",
        "_parts",
        "cancelled",
        "codec",
        "context",
        "deadline",
        "delivery",
        "direct",
        "handling",
        "headers",
        "key",
        "label",
        "name",
        "oneway",
        "problem",
        "reply_to",
        "seqid",
        "settled",
        "sign_tick",
        "tick",
    )

    def __init__(self, delivery: Delivery, now: float) -> None:
        """:param now: the time of its arrival, from which its deadline counts."""
        self.delivery = delivery
        self.label: str | None = None
        self.name = ""
        self.seqid = 0
        self.oneway = False
        self.codec: Codec = BINARY
        self.problem: str | None = None
        self.context: CallContext
        self.headers = NO_HEADERS
        self.direct = self.cancelled = self.settled = False
        self.handling: Deferred[Any] | None = None
        self.key: Hashable = None
        self.tick = self.sign_tick = 0
        try:
            self._parts = parts = split_properties(delivery.encoded_properties)
            headers = parts[HEADERS]
            if headers is not None:
                self.headers = decode_headers(headers)
        except CodecError as error:
            self._parts = parts = ALL_ABSENT
            self.problem = f"malformed properties: {error}"
        self.reply_to: str | None = None
        self._asks_direct_reply = False
        reply_to = parts[REPLY_TO]
        if reply_to is not None:
            self._asks_direct_reply = reply_to.startswith(DIRECT_REPLY_TO, 1)
            if not self._asks_direct_reply:
                self.reply_to = decode_text(reply_to)
        self.deadline: float | None = None
        expiration = parts[EXPIRATION]
        if expiration is not None and expiration[1:].isdigit():  # taking it that it was on its way for no time
            self.deadline = now + min(int(expiration[1:]), LONGEST_EXPIRATION) / 1000

    def read(self, service: str, methods: dict[str, StubMethod], max_message_size: int) -> tuple[StubMethod, Any]:
        """Return the method that is asked for, and the struct of its arguments.

        :raises Refused: it asks for nothing that can be run.
        """
        body = self.delivery.body
        small = len(body) <= max_message_size
        if self.problem is not None:  # nobody knows where to answer, nor in which protocol it is
            raise Refused(TApplicationException.PROTOCOL_ERROR, self.problem, poison=small)
        try:
            content_type = self._parts[CONTENT_TYPE]
            if content_type != BINARY_CONTENT_TYPE:
                self.codec = codec_for(None if content_type is None else decode_text(content_type))
            self.name, kind, self.seqid, end = self.codec.read_header(body)
            self.oneway = kind == TMessageType.ONEWAY
            method = methods.get(self.name)
            if method is None:
                self.name = self.name[:LONGEST_UNKNOWN_NAME]
            if not small:
                raise Refused(
                    TApplicationException.PROTOCOL_ERROR,
                    f"a request of {len(body)} bytes, over {service}'s max_message_size of {max_message_size}",
                    outcome="too-large",
                )
            if method is None or kind != TMessageType.CALL or self._asks_direct_reply:
                method = self._check(method, kind)
            self.label = f"{service}.{method.name}"
            arguments = self.codec.read_struct(body, end, method.arguments_class)
        except UnknownProtocol as error:
            raise Refused(TApplicationException.INVALID_PROTOCOL, str(error), poison=small) from error
        except MalformedMessage as error:
            raise Refused(TApplicationException.PROTOCOL_ERROR, str(error), poison=small) from error
        if method.check_arguments is not None:
            try:
                method.check_arguments(arguments)
            except Exception as error:
                raise Refused(TApplicationException.PROTOCOL_ERROR, f"{self.label}: {error}", poison=True) from error
        return method, arguments

    def _check(self, method: StubMethod | None, kind: int) -> StubMethod:
        if kind not in (TMessageType.CALL, TMessageType.ONEWAY):
            raise Refused(TApplicationException.INVALID_MESSAGE_TYPE, f"message type {kind} is no request", poison=True)
        if self._asks_direct_reply and not self.oneway:
            raise Refused(
                TApplicationException.PROTOCOL_ERROR,
                "direct reply-to cannot be answered safely: declare a queue for the replies",
                poison=True,
            )
        if method is None:
            raise Refused(TApplicationException.UNKNOWN_METHOD, f"Unknown function {self.name}")
        return method

    def peek(self) -> None:
        """Read what is needed to answer, and no more: what follows may be what ends workers."""
        content_type = self._parts[CONTENT_TYPE]
        try:
            self.codec = codec_for(None if content_type is None else decode_text(content_type))
            name, kind, self.seqid, _ = self.codec.read_header(self.delivery.body)
        except (UnknownProtocol, MalformedMessage):
            return
        self.name = name[:LONGEST_UNKNOWN_NAME]
        self.oneway = kind == TMessageType.ONEWAY

    @property
    def wants_reply(self) -> bool:
        """Whether somebody waits, and said where."""
        return self.reply_to is not None and not self.oneway

    def serve(self, service: str, method: StubMethod, on_waiting: Callable[[int], None]) -> None:
        """Note what the handler may know of the call.

        :param on_waiting: told 1 when the call begins to wait for calls of its own, -1 when it does not any more.
        """
        message_id = self._parts[MESSAGE_ID]
        redelivered, metadata, attempt = self.delivery.redelivered, NO_HEADERS, 1
        if self.headers:
            metadata = metadata_of(self.headers)
            redelivered = unfinished_deliveries(self.headers, redelivered) > 0
            attempt = whole(self.headers.get(ATTEMPT)) or 1
        self.context = CallContext(
            service,
            method.name,
            self.deadline,
            metadata,
            None if message_id is None else decode_text(message_id),
            redelivered,
            attempt,
            False,
            on_waiting,
        )

    @property
    def message_id(self) -> bytes | None:
        """The call's identity, as bytes."""
        part = self._parts[MESSAGE_ID]
        return None if part is None else part[1:]

    @property
    def identity(self) -> Hashable:
        """What another attempt of the call has in common with this one; ``None`` when one cannot tell."""
        message_id = self.message_id
        return None if message_id is None else (message_id, hash(self.delivery.body))

    @property
    def liveness(self) -> float | None:
        """Seconds within which the caller wants to hear of whoever works on the call."""
        milliseconds = whole(self.headers.get(LIVENESS)) if self.headers else None
        return None if milliseconds is None else max(SHORTEST_LIVENESS, milliseconds / 1000)

    @property
    def cancels(self) -> list[bytes] | None:
        """The message ids of calls that this is no request of, but calls off."""
        if self._parts[TYPE] != CANCEL_TYPE:
            return None
        return self.delivery.body[:LONGEST_CANCEL].split(b"\n")

    def sign_of_life(self, instance: str) -> bytes | None:
        """Return the encoded properties of what tells the caller that `instance` works on the call; ``None`` when it
        could not know which call that is.
        """
        correlation_id = self._parts[CORRELATION_ID]
        template = _sign_template(instance, self.context.attempt)
        return None if correlation_id is None else template.encode(correlation_id)

    def moved(self, headers: Mapping[str, Any], now: float) -> Properties:
        """Return the properties of the request put elsewhere, with further `headers`."""
        properties = self._as_it_came({**self.headers, **headers})
        if self.deadline is None:
            return properties
        return attrs.evolve(properties, expiration=str(max(1, int((self.deadline - now) * 1000))))

    def reply(self, kind: int, struct: Any) -> bytes:
        """Return the body of a reply. Raises what Thrift raises for values that do not fit the IDL."""
        return self.codec.encode(self.name, kind, self.seqid, struct)

    def reply_properties(self, now: float, outcome: str | None = None) -> bytes:
        """Return the encoded properties of the reply: what identifies the call is copied untouched."""
        correlation_id, message_id = self._parts[CORRELATION_ID], self._parts[MESSAGE_ID]
        expiration = None
        if self.deadline is not None:
            left = b"%d" % max(1, int((self.deadline - now) * 1000))
            expiration = SHORT_LENGTHS[len(left)] + left
        if correlation_id is not None and expiration is not None and message_id is not None:
            template = _reply_template(self.codec.content_type, self.label, outcome)
            return template.encode(correlation_id, expiration, message_id)
        given = {"correlation_id": correlation_id, "expiration": expiration, "message_id": message_id}
        there = {name: value for name, value in given.items() if value is not None}
        return _reply_template(self.codec.content_type, self.label, outcome, tuple(there)).encode(*there.values())

    def dead_letter(self, reason: str, with_headers: bool = True) -> Properties:
        """Return the properties of the request as a dead letter, with the reason; it must not be routed elsewhere."""
        headers = {**(self.headers if with_headers else NO_HEADERS), DEAD_REASON: reason[:1000]}
        return attrs.evolve(self._as_it_came(headers), expiration=None, delivery_mode=2, reply_to=self.reply_to)

    def _as_it_came(self, headers: Mapping[str, Any]) -> Properties:
        """Return the request's properties with these headers: none that route it elsewhere, and no user but ours."""
        properties = Properties() if self.problem is not None else self.delivery.properties
        kept = {name: value for name, value in headers.items() if name not in ROUTING}
        return attrs.evolve(properties, headers=kept, user_id=None)


@lru_cache(16)
def _sign_template(instance: str, attempt: int) -> PropertyTemplate:
    headers: dict[str, Any] = {KEEPALIVE: instance} | ({ATTEMPT: attempt} if attempt > 1 else {})
    return PropertyTemplate(Properties(headers=headers, delivery_mode=1), ("correlation_id",))


@lru_cache(1024)
def _reply_template(
    content_type: str,
    label: str | None,
    outcome: str | None,
    variable: tuple[str, ...] = ("correlation_id", "expiration", "message_id"),
) -> PropertyTemplate:
    headers = None if outcome is None else {OUTCOME: outcome}
    fixed = Properties(content_type=content_type, headers=headers, delivery_mode=1, type=label)
    return PropertyTemplate(fixed, variable)
