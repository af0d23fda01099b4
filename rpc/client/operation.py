"""An operation: the common part of all calls of one method by one client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import attrs

from rpc.amqp.codec.fields import SHORT_LENGTHS
from rpc.amqp.codec.properties import PropertyTemplate, encode_properties
from rpc.client.reply_values import Reply
from rpc.envelope import Codec
from rpc.errors import MessageTooLarge
from rpc.headers import LIVENESS
from rpc.messages import Properties
from rpc.topology import instance_of

VARIABLE = ("correlation_id", "expiration", "message_id")
"""Properties that differ from call to call, in the wire's order."""

VARIABLE_ONEWAY = ("correlation_id", "message_id")
"""A oneway request does not expire: its caller was told that the broker has it."""


@attrs.define(eq=False, slots=False)
class Operation:
    """One method as one client calls it, made once. A subclass turns values into Thrift messages.

    :ivar name: the method's name.
    :ivar service: the routing key of its requests.
    :ivar timeout: seconds.
    :ivar headers: metadata of every call.
    :ivar retry: whether a call that was refused is tried again.
    :ivar idempotent: whether a call that may have been executed is made again.
    :ivar liveness: seconds within which a worker that has begun a call must send a keepalive; ``None``: the deadline
        alone ends the wait.
    :ivar workers: the instance that ``service`` names, or ``None``.
    :ivar make_reply: makes of a result and the reply's metadata the value for the caller; ``None``: it is the result.
    """

    name: str
    oneway: bool
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
    make_reply: Callable[[Any, Mapping[str, Any]], Any] | None = None
    workers: frozenset[str | None] = attrs.field(init=False)
    _template: PropertyTemplate | None = attrs.field(default=None, init=False)
    _reply_to: str | None = attrs.field(default=None, init=False)

    @workers.default
    def _workers_of_the_service(self) -> frozenset[str | None]:
        return frozenset((instance_of(self.service),))

    @property
    def label(self) -> str:
        """``<service>.<method>``, as in logs, errors and the message's type."""
        return f"{self.service}.{self.name}"

    def encode(self, seqid: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bytes:
        """Return the request's body.

        :raises TypeError: the number or the names of the arguments are not the method's.
        :raises InvalidRequest: a value does not fit its type in the IDL.
        :raises MessageTooLarge: the body is over the client's limit.
        """
        raise NotImplementedError

    def decode(self, seqid: int, body: bytes) -> tuple[Any, Exception | None]:
        """Return a reply's result and ``None``, or ``None`` and its exception: the IDL's or Thrift's.

        :raises InvalidReply: the reply does not answer this call.
        """
        raise NotImplementedError

    @cached_property
    def with_reply(self) -> Operation:
        """The same operation, whose calls give a :class:`~rpc.client.reply_values.Reply`."""
        return attrs.evolve(self, make_reply=Reply)

    def too_large(self, size: int) -> MessageTooLarge:
        """Return the error of a request body of `size` bytes."""
        return MessageTooLarge(
            f"{self.label}: a request of {size} bytes, over the client's max_message_size of {self.max_message_size}"
        )

    def properties(
        self, reply_to: str, correlation_id: bytes, expiration: bytes, message_id: bytes, inherited: Mapping[str, Any]
    ) -> bytes:
        """Return the request's encoded properties. The ids and the expiration are digits and dots.

        :raises CodecError: a header or the service's name does not fit its AMQP type.
        """
        if inherited:
            return self._with_metadata(reply_to, correlation_id, expiration, message_id, inherited)
        template = self._template
        if template is None or self._reply_to != reply_to:
            template = self._template = PropertyTemplate(self._fixed(reply_to, self.headers), self._variable)
            self._reply_to = reply_to
        correlation_id = SHORT_LENGTHS[len(correlation_id)] + correlation_id
        message_id = SHORT_LENGTHS[len(message_id)] + message_id
        if self.oneway:
            return template.encode(correlation_id, message_id)
        return template.encode(correlation_id, SHORT_LENGTHS[len(expiration)] + expiration, message_id)

    def _with_metadata(
        self, reply_to: str, correlation_id: bytes, expiration: bytes, message_id: bytes, inherited: Mapping[str, Any]
    ) -> bytes:
        values = (correlation_id, message_id) if self.oneway else (correlation_id, expiration, message_id)
        words: Any = {name: value.decode() for name, value in zip(self._variable, values, strict=True)}
        fixed = self._fixed(reply_to, {**inherited, **(self.headers or {})})
        return encode_properties(attrs.evolve(fixed, **words))

    @property
    def _variable(self) -> tuple[str, ...]:
        return VARIABLE_ONEWAY if self.oneway else VARIABLE

    def _fixed(self, reply_to: str, headers: Mapping[str, Any] | None) -> Properties:
        if self.liveness is not None and not self.oneway:
            headers = {**(headers or {}), LIVENESS: max(1, int(self.liveness * 1000))}
        return Properties(
            content_type=self.codec.content_type,
            headers=headers or None,
            delivery_mode=2 if self.oneway else 1,
            priority=self.priority,
            reply_to=None if self.oneway else reply_to,
            type=self.label,
        )
