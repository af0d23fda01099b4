"""A request as a worker sees it: read from a delivery, answered with Thrift messages. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType

from rpc.amqp.codec.fields import encode_short_string
from rpc.amqp.codec.headers import decode_headers
from rpc.amqp.codec.properties import (
    ALL_ABSENT,
    APP_ID,
    CONTENT_TYPE,
    CORRELATION_ID,
    EXPIRATION,
    HEADERS,
    MESSAGE_ID,
    REPLY_TO,
    USER_ID,
    decode_text,
    split_properties,
)
from rpc.amqp.content import Delivery
from rpc.context import CallContext
from rpc.envelope import CODECS, Codec, codec_for
from rpc.errors import CodecError, MalformedMessage, UnknownProtocol
from rpc.headers import (
    ATTEMPT,
    DELIVERIES,
    LIVENESS,
    RENEWALS,
    SHORTEST_LIVENESS,
    metadata_of,
    whole,
)
from rpc.signing import Signed
from rpc.stub import StubMethod
from rpc.worker.begins import believed, possible_begins
from rpc.worker.delivery_state import DeliveryState
from rpc.worker.rejection import Rejection
from rpc.worker.reply_address import DEFAULT_BEGINNINGS, DIRECT_REPLY_TO, is_safe, why_unsafe
from rpc.worker.sender import sender_of

NO_HEADERS: Mapping[str, Any] = MappingProxyType({})

LONGEST_EXPIRATION = 2**32 - 1
"""Milliseconds: the most that RabbitMQ's timers take. A longer expiration of a peer is cut to this."""

LONGEST_UNKNOWN_NAME = 200
"""Characters of a name that is no method's. The rejection repeats the name, and must fit into the broker's limits."""

BINARY = CODECS["binary"]
BINARY_CONTENT_TYPE = encode_short_string(BINARY.content_type)

RECEIVED, HELD, ACKING, RUNNING = (
    DeliveryState.RECEIVED,
    DeliveryState.HELD,
    DeliveryState.ACKING,
    DeliveryState.RUNNING,
)
CANCELLING, JOINED, REPUBLISHING, SETTLED, LOST = (
    DeliveryState.CANCELLING,
    DeliveryState.JOINED,
    DeliveryState.REPUBLISHING,
    DeliveryState.SETTLED,
    DeliveryState.LOST,
)
# Module names, because every call reads them: an attribute of an enum costs one more lookup.


class Source(enum.Enum):
    """The queue that a request came from."""

    SHARED = "the request queue of the service"
    QUARANTINE = "the quarantine of the service"
    DIRECT = "the worker's own queue"
    NESTED = "the worker's own queue, from a handler of this worker"


SHARED = Source.SHARED
OWN_QUEUE = frozenset((Source.DIRECT, Source.NESTED))


class Request:
    """One delivery of a request. The readable parts are set even when the rest is malformed: it can be answered.

    :ivar state: see :class:`~rpc.worker.delivery_state.DeliveryState`; changed by the methods below alone.
    :ivar acked: whether the ack was given. It is given before the run with ``acknowledge="before"``, else after it.
    :ivar parts: the encoded value of each property, by its place in the wire's order.
    :ivar reply_to: the queue for the reply; ``None`` when the caller named none, or one that cannot be answered.
    :ivar deadline: seconds of the clock that `now` was read from; ``None`` when the caller set none.
    :ivar headers: all headers of the message; none when they cannot be read, or are too many.
    :ivar problem: why its properties cannot be read; ``None`` when they can. When only the headers cannot, it is
        answered.
    :ivar signed: its signature, when it was verified and found right.
    :ivar source: the queue that it came from.
    :ivar arrived: seconds of the clock.
    :ivar began: seconds of the clock at which its handler was called.
    """

    __slots__ = (
        "_is_reply_unsafe",
        "acked",
        "arrived",
        "began",
        "codec",
        "context",
        "deadline",
        "delivery",
        "headers",
        "label",
        "name",
        "oneway",
        "parts",
        "problem",
        "reply_to",
        "seqid",
        "signed",
        "source",
        "state",
    )

    def __init__(
        self,
        delivery: Delivery,
        now: float,
        source: Source = SHARED,
        reply_queues: tuple[bytes, ...] = DEFAULT_BEGINNINGS,
    ) -> None:
        """
        :param now: the time of its arrival, from which its deadline counts.
        :param reply_queues: the beginnings of the names of queues that a reply may be sent to.
        """
        self.delivery = delivery
        self.arrived = now
        self.state = RECEIVED
        self.acked = False
        self.source = source
        self.label: str | None = None
        self.name = ""
        self.seqid = 0
        self.oneway = False
        self.codec: Codec = BINARY
        self.problem: str | None = None
        self.signed: Signed | None = None
        self.context: CallContext
        self.headers = NO_HEADERS
        parts = ALL_ABSENT
        try:
            parts = split_properties(delivery.encoded_properties)
            headers = parts[HEADERS]
            if headers is not None:
                self.headers = decode_headers(headers)
                if DELIVERIES in self.headers:
                    self.headers = believed(self.headers, delivery.exchange)
        except CodecError as error:
            self.problem = f"malformed properties: {error}"
        self.parts = parts
        self.reply_to: str | None = None
        self._is_reply_unsafe = False
        reply_to = parts[REPLY_TO]
        if reply_to is not None:
            usual = reply_to.startswith(reply_queues, 1) and not reply_to.startswith(DIRECT_REPLY_TO, 1)
            if usual or is_safe(reply_to, delivery.channel):
                self.reply_to = decode_text(reply_to) or None
            else:
                self._is_reply_unsafe = True
        self.deadline: float | None = None
        expiration = parts[EXPIRATION]
        if expiration is not None and expiration[1:].isdigit():  # RabbitMQ does not tell how long it was queued
            self.deadline = now + min(int(expiration[1:]), LONGEST_EXPIRATION) / 1000

    # -- reading

    def read_head(self, service: str, methods: Mapping[str, StubMethod]) -> tuple[StubMethod, int]:
        """Return the method that is asked for, and where the struct of its arguments begins in the body.

        :raises Rejection: the head is malformed, or there is no such method.
        """
        if self.problem is not None:
            self.peek(service)
            raise Rejection(TApplicationException.PROTOCOL_ERROR, self.problem, poison=True)
        try:
            content_type = self.parts[CONTENT_TYPE]
            body = self.delivery.body
            if content_type != BINARY_CONTENT_TYPE:
                self.codec = codec_for(None if content_type is None else decode_text(content_type), body)
            self.name, kind, self.seqid, start = self.codec.read_header(body)
        except UnknownProtocol as error:
            raise Rejection(TApplicationException.INVALID_PROTOCOL, str(error), poison=True) from error
        except MalformedMessage as error:
            raise Rejection(TApplicationException.PROTOCOL_ERROR, str(error), poison=True) from error
        self.oneway = kind == TMessageType.ONEWAY
        method = methods.get(self.name)
        if method is None or kind != TMessageType.CALL or self._is_reply_unsafe:
            method = self._check(method, kind)
        self.label = f"{service}.{method.name}"
        return method, start

    def _check(self, method: StubMethod | None, kind: int) -> StubMethod:
        self.name = self.name[:LONGEST_UNKNOWN_NAME]
        if kind not in (TMessageType.CALL, TMessageType.ONEWAY):
            text = f"message type {kind} is no request"
            raise Rejection(TApplicationException.INVALID_MESSAGE_TYPE, text, poison=True)
        if self._is_reply_unsafe and not self.oneway:
            raise Rejection(TApplicationException.PROTOCOL_ERROR, why_unsafe(self.parts[REPLY_TO] or b""), poison=True)
        if method is None:
            raise Rejection(TApplicationException.UNKNOWN_METHOD, f"Unknown function {self.name}")
        return method

    def peek(self, service: str) -> None:
        """Read the name and the seqid for an answer. The arguments are not read: decoding them may crash the worker."""
        content_type = self.parts[CONTENT_TYPE]
        try:
            body = self.delivery.body
            self.codec = codec_for(None if content_type is None else decode_text(content_type), body)
            name, kind, self.seqid, _ = self.codec.read_header(body)
        except (UnknownProtocol, MalformedMessage):
            return
        self.name = name[:LONGEST_UNKNOWN_NAME]
        self.label = f"{service}.{self.name}"
        self.oneway = kind == TMessageType.ONEWAY

    @property
    def wants_reply(self) -> bool:
        """Whether the caller waits for a reply, and named a queue for it."""
        return self.reply_to is not None and not self.oneway

    @property
    def size(self) -> int:
        """Bytes of its body and its properties."""
        return len(self.delivery.body) + len(self.delivery.encoded_properties)

    @property
    def direct(self) -> bool:
        """Whether it was sent to this worker alone, so no other worker can run it."""
        return self.source in OWN_QUEUE

    @property
    def reply_address(self) -> tuple[bytes | None, bytes | None]:
        """Where its reply goes, and the correlation id that tells the caller which call it answers."""
        return self.parts[REPLY_TO], self.parts[CORRELATION_ID]

    @property
    def may_be_a_copy(self) -> bool:
        """Whether an earlier delivery of this message, or the message that it is a copy of, may have begun."""
        return self.delivery.redelivered or DELIVERIES in self.headers

    @property
    def counted(self) -> bool:
        """Whether a worker has counted how often it may have begun."""
        return DELIVERIES in self.headers

    @property
    def maybe_executed(self) -> bool:
        """Whether another delivery or attempt of the call may have been run."""
        return self.may_be_a_copy or ATTEMPT in self.headers

    @property
    def message_id(self) -> bytes | None:
        """The call's identity, as bytes."""
        part = self.parts[MESSAGE_ID]
        return None if part is None else part[1:]

    @property
    def user_id(self) -> str | None:
        """The user that sent the request, verified by the broker; ``None`` when it names none."""
        part = self.parts[USER_ID]
        return None if part is None else sender_of(decode_text(part), self.headers, self.own_user)

    @property
    def own_user(self) -> str | None:
        """The user of this worker's connection."""
        user: str | None = self.delivery.channel.client.credentials.user
        return user

    @property
    def app_id(self) -> str | None:
        """The name that the caller's program gives itself."""
        part = self.parts[APP_ID]
        return None if part is None else decode_text(part)

    @property
    def identity(self) -> tuple[bytes, int] | None:
        """The same for all deliveries and attempts of one call; ``None`` without a message id."""
        part = self.parts[MESSAGE_ID]
        return None if part is None else (part, hash(self.delivery.body))

    @property
    def message_key(self) -> Hashable:
        """The same for all deliveries of one message at the broker, and another one for a copy of it.

        The headers are left out but for our own: a quorum queue adds ``x-delivery-count`` when it delivers again.
        """
        parts, headers = self.parts, self.headers
        own = headers.get(DELIVERIES), headers.get(RENEWALS), headers.get(ATTEMPT)
        return *parts[:HEADERS], *parts[HEADERS + 1 :], *own, hash(self.delivery.body)

    @property
    def liveness(self) -> float | None:
        """Seconds within which the caller expects a keepalive; ``None`` when it expects none."""
        milliseconds = whole(self.headers.get(LIVENESS)) if self.headers else None
        return None if milliseconds is None else max(SHORTEST_LIVENESS, milliseconds / 1000)

    def reply(self, kind: int, struct: Any) -> bytes:
        """Return the body of a reply. Raises the errors of Thrift for values that do not fit the IDL."""
        return self.codec.encode(self.name, kind, self.seqid, struct)

    # -- states

    def take_ack(self) -> bool:
        """Note that the ack is given; return whether it was not before."""
        was_acked, self.acked = self.acked, True
        return not was_acked

    def hold(self) -> None:
        """Let it wait for a free slot."""
        self.state = HELD

    def await_ack(self) -> None:
        """Let it wait until the broker has taken its ack."""
        self.state = ACKING

    def serve(self, service: str, method: StubMethod, now: float, on_waiting: Callable[[int], None]) -> CallContext:
        """Note that its handler begins.

        :param on_waiting: called with 1 when the call begins to wait for nested calls, with -1 when it waits no more.
        :return: the context for the handler.
        """
        self.state = RUNNING
        self.began = now
        parts = self.parts
        message_id = parts[MESSAGE_ID]
        redelivered, metadata, attempt = self.delivery.redelivered, NO_HEADERS, 1
        if self.headers:
            metadata = metadata_of(self.headers)
            redelivered = possible_begins(self.headers, redelivered) > 0
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
            None if parts[USER_ID] is None else self.user_id,
            None if parts[APP_ID] is None else self.app_id,
            None if self.signed is None else self.signed.key.name,
        )
        return self.context

    def cancel(self) -> None:
        """Note that its handler was cancelled."""
        self.state = CANCELLING

    def join(self, run: Request) -> None:
        """Note that it is settled with `run`, an earlier delivery of the same call, which has been read."""
        self.state = JOINED
        self.codec, self.name, self.seqid = run.codec, run.name, run.seqid
        self.label, self.oneway = run.label, run.oneway

    def finish(self) -> None:
        """Note that its run has ended, so nothing inherits from its call any more."""
        self.state = SETTLED
        self.context.answered = True

    def republish(self) -> None:
        """Note that a copy of it is being published."""
        self.state = REPUBLISHING

    def settle(self) -> None:
        """Note that it was acked or requeued."""
        self.state = SETTLED

    def lose(self) -> None:
        """Note that its channel is gone."""
        self.state = LOST
