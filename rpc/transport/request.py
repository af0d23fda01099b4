"""A request as a worker sees it: read from a delivery, answered with Thrift messages. Pure but for the decoding."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import attrs
from thrift.Thrift import TApplicationException, TMessageType

from rpc.amqp.content import Delivery
from rpc.amqp.fields import SHORT_LENGTHS, encode_short_string
from rpc.amqp.properties import (
    CONTENT_TYPE,
    CORRELATION_ID,
    EXPIRATION,
    HEADERS,
    MESSAGE_ID,
    NO_PROPERTIES,
    REPLY_TO,
    PropertyTemplate,
    decode_headers,
    decode_text,
    split_properties,
)
from rpc.context import CallContext
from rpc.envelope import CODECS, Codec, codec_for
from rpc.errors import CodecError, MalformedMessage, UnknownProtocol
from rpc.messages import Properties
from rpc.policies.metadata import ROUTING, metadata_of
from rpc.stub import StubMethod

DIRECT_REPLY_TO = b"amq.rabbitmq.reply-to"
"""RabbitMQ's direct reply-to: a client's replies without a queue, by a name with an Erlang process in it. Any client
can make one up, and RabbitMQ closes the connection of whoever publishes to one it cannot use (541). So there is no
safe way to answer, and one request would end worker after worker.
"""

NO_METADATA: dict[str, Any] = {}

LONGEST_EXPIRATION = 2**32 - 1
"""Milliseconds: what RabbitMQ's own timers take. A peer that sends more gets a reply that expires then."""

LONGEST_UNKNOWN_NAME = 200
"""Characters of a name that is no method's: a refusal repeats it, and must not be larger than the broker takes."""

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
    """

    __slots__ = (
        "_asks_direct_reply",
        "_parts",
        "codec",
        "context",
        "deadline",
        "delivery",
        "label",
        "metadata",
        "name",
        "oneway",
        "problem",
        "reply_to",
        "seqid",
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
        self.metadata = NO_METADATA
        try:
            self._parts = parts = split_properties(delivery.encoded_properties)
            headers = parts[HEADERS]
            if headers is not None:
                self.metadata = metadata_of(decode_headers(headers))
        except CodecError as error:
            self._parts = parts = NO_PROPERTIES
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

    @property
    def wants_reply(self) -> bool:
        """Whether somebody waits, and said where."""
        return self.reply_to is not None and not self.oneway

    def serve(self, service: str, method: StubMethod) -> None:
        """Note what the handler may know of the call."""
        message_id = self._parts[MESSAGE_ID]
        self.context = CallContext(
            service,
            method.name,
            self.deadline,
            self.metadata,
            None if message_id is None else decode_text(message_id),
            self.delivery.redelivered,
        )

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
        properties = Properties() if self.problem is not None else self.delivery.properties
        came_with = (properties.headers if with_headers else None) or {}
        headers = {name: value for name, value in came_with.items() if name not in ROUTING}
        headers["rpc-dead-reason"] = reason[:1000]
        return attrs.evolve(
            properties, headers=headers, expiration=None, delivery_mode=2, user_id=None, reply_to=self.reply_to
        )


@lru_cache(1024)
def _reply_template(
    content_type: str,
    label: str | None,
    outcome: str | None,
    variable: tuple[str, ...] = ("correlation_id", "expiration", "message_id"),
) -> PropertyTemplate:
    headers = None if outcome is None else {"rpc-outcome": outcome}
    fixed = Properties(content_type=content_type, headers=headers, delivery_mode=1, type=label)
    return PropertyTemplate(fixed, variable)
