"""A request as a worker sees it: read from a delivery, answered with Thrift messages. Pure but for the decoding."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs
from thrift.Thrift import TApplicationException, TMessageType

from rpc.amqp.content import Delivery
from rpc.amqp.properties import PropertyTemplate
from rpc.context import CallContext
from rpc.envelope import CODECS, Codec, Header, codec_for
from rpc.errors import CodecError, MalformedMessage, UnknownProtocol
from rpc.messages import Properties
from rpc.policies.metadata import ROUTING, metadata_of
from rpc.stub import StubMethod

DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"
"""RabbitMQ's direct reply-to: a client's replies without a queue, by a name with an Erlang process in it. Any client
can make one up, and RabbitMQ closes the connection of whoever publishes to one it cannot use (541). So there is no
safe way to answer, and one request would end worker after worker.
"""

NO_METADATA: dict[str, Any] = {}


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
    """One request. What could be read is there even when the rest is malformed, so that it can be answered."""

    __slots__ = (
        "codec",
        "context",
        "deadline",
        "delivery",
        "label",
        "name",
        "oneway",
        "problem",
        "properties",
        "seqid",
    )

    def __init__(self, delivery: Delivery, now: float) -> None:
        """:param now: the time of its arrival, from which its deadline counts."""
        self.delivery = delivery
        self.label: str | None = None
        self.name = ""
        self.seqid = 0
        self.oneway = False
        self.codec: Codec = CODECS["binary"]
        self.problem: str | None = None
        self.context: CallContext
        try:
            self.properties = delivery.properties
        except CodecError as error:
            self.properties = Properties()
            self.problem = f"malformed properties: {error}"
        self.deadline = _deadline(self.properties.expiration, now)

    def read(self, service: str, methods: dict[str, StubMethod], max_message_size: int) -> tuple[StubMethod, Any]:
        """Return the method that is asked for, and the struct of its arguments.

        :raises Refused: it asks for nothing that can be run.
        """
        body = self.delivery.body
        small = len(body) <= max_message_size
        if self.problem is not None:  # nobody knows where to answer, nor in which protocol it is
            raise Refused(TApplicationException.PROTOCOL_ERROR, self.problem, poison=small)
        try:
            self.codec = codec_for(self.properties.content_type)
            header = self.codec.read_header(body)
            self.name, self.seqid = header.name, header.seqid
            self.oneway = header.kind == TMessageType.ONEWAY
            if not small:
                raise Refused(
                    TApplicationException.PROTOCOL_ERROR,
                    f"a request of {len(body)} bytes, over {service}'s max_message_size of {max_message_size}",
                    outcome="too-large",
                )
            method = self._find(service, header, methods)
            arguments = self.codec.read_struct(body, header.end, method.arguments_class)
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

    def _find(self, service: str, header: Header, methods: dict[str, StubMethod]) -> StubMethod:
        if header.kind not in (TMessageType.CALL, TMessageType.ONEWAY):
            raise Refused(
                TApplicationException.INVALID_MESSAGE_TYPE, f"message type {header.kind} is no request", poison=True
            )
        if not self.oneway and self._wants_direct_reply:
            raise Refused(
                TApplicationException.PROTOCOL_ERROR,
                "direct reply-to cannot be answered safely: declare a queue for the replies",
                poison=True,
            )
        method = methods.get(header.name)
        if method is None:
            raise Refused(TApplicationException.UNKNOWN_METHOD, f"Unknown function {header.name[:200]}")
        self.label = f"{service}.{method.name}"
        return method

    @property
    def wants_reply(self) -> bool:
        """Whether somebody waits, and said where."""
        return not self.oneway and self.properties.reply_to is not None and not self._wants_direct_reply

    @property
    def _wants_direct_reply(self) -> bool:
        reply_to = self.properties.reply_to
        return reply_to is not None and reply_to.startswith(DIRECT_REPLY_TO)

    def serve(self, service: str, method: StubMethod) -> None:
        """Note what the handler may know of the call."""
        properties = self.properties
        self.context = CallContext(
            service,
            method.name,
            self.deadline,
            metadata_of(properties.headers) if properties.headers else NO_METADATA,
            properties.message_id,
            self.delivery.redelivered,
        )

    def reply(self, kind: int, struct: Any) -> bytes:
        """Return the body of a reply. Raises what Thrift raises for values that do not fit the IDL."""
        return self.codec.encode(self.name, kind, self.seqid, struct)

    def reply_properties(self, now: float, outcome: str | None = None) -> bytes:
        """Return the encoded properties of the reply: what identifies the call is copied untouched."""
        properties = self.properties
        names, values = [], []
        if properties.correlation_id is not None:
            names.append("correlation_id")
            values.append(_short(properties.correlation_id))
        if self.deadline is not None:
            names.append("expiration")
            values.append(_short(str(max(1, int((self.deadline - now) * 1000)))))
        if properties.message_id is not None:
            names.append("message_id")
            values.append(_short(properties.message_id))
        return _reply_template(self.codec.content_type, self.label, outcome, *names)(*values)

    def dead_letter(self, reason: str, with_headers: bool = True) -> Properties:
        """Return the properties of the request as a dead letter, with the reason; it must not be routed elsewhere."""
        came_with = (self.properties.headers if with_headers else None) or {}
        headers = {name: value for name, value in came_with.items() if name not in ROUTING}
        headers["rpc-dead-reason"] = reason[:1000]
        reply_to = None if self._wants_direct_reply else self.properties.reply_to
        return attrs.evolve(
            self.properties, headers=headers, expiration=None, delivery_mode=2, user_id=None, reply_to=reply_to
        )


@lru_cache(1024)
def _reply_template(content_type: str, label: str | None, outcome: str | None, *variable: str) -> Callable[..., bytes]:
    headers = None if outcome is None else {"rpc-outcome": outcome}
    fixed = Properties(content_type=content_type, headers=headers, delivery_mode=1, type=label)
    return PropertyTemplate(fixed, variable).encode


def _deadline(expiration: str | None, now: float) -> float | None:
    """The time at which the caller gives up, taking it that the request was on its way for no time."""
    if expiration is None or not expiration.isdecimal():
        return None
    return now + int(expiration) / 1000


def _short(value: str) -> bytes:
    encoded = value.encode("utf-8", "surrogateescape")
    return bytes((len(encoded),)) + encoded
