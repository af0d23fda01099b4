"""An operation: the common part of all calls of one method by one client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

import attrs

from rpc.amqp.codec.fields import SHORT_LENGTHS
from rpc.amqp.codec.headers import encode_headers
from rpc.amqp.codec.properties import PropertyTemplate
from rpc.client.options import ClientOptions
from rpc.client.queue_states import lead_of
from rpc.client.reply_values import Reply
from rpc.envelope import CODECS, Codec
from rpc.errors import CodecError, InvalidReply, MessageTooLarge, RPCError
from rpc.headers import LIVENESS
from rpc.messages import Properties
from rpc.topology import BROADCAST, REQUESTS, ServiceTopology, instance_of

VARIABLE = ("correlation_id", "expiration", "message_id")
"""Properties that differ from call to call, in the wire's order."""

VARIABLE_ONEWAY = ("correlation_id", "message_id")
"""A oneway request does not expire: its caller was told that the broker has it."""

HEADERS = ("headers",)
"""A property that differs as well, when the call inherits metadata or interceptors have changed it."""

NO_HEADERS: Mapping[str, Any] = MappingProxyType({})


class CallObserver(Protocol):
    """Is told of the calls of clients with interceptors: :class:`rpc.client.interception.InterceptedCaller`.

    `sent` is a :class:`~rpc.client.call.Call`.
    """

    asks: bool
    """Whether an interceptor is asked before a call."""

    def begun(self, sent: Any, /) -> None:
        """A call is made, to be put into the table. Called if :attr:`asks`."""

    def not_sent(self, operation: Any, error: RPCError | TypeError, /) -> None:
        """A call has failed before it was in the table."""

    def retrying(self, sent: Any, error: RPCError, /) -> None:
        """An attempt has failed, and another one follows."""

    def settled(self, sent: Any, error: BaseException | None, /) -> None:
        """The call's Deferred is fired next."""


@attrs.define(eq=False, slots=False)
class Operation:
    """One method of one client. A subclass turns values into Thrift messages.

    :ivar name: the method's name.
    :ivar options: the client's options. The fields below are those that also depend on the method.
    :ivar service: the routing key of its requests.
    :ivar timeout: seconds.
    :ivar idempotent: whether a call that may have been executed is made again.
    :ivar queue: the service's request queue; ``None``: it is not known, or requests do not go there.
    :ivar lead: seconds before a call's deadline at which the broker is asked about the service's queue; 0: never.
    :ivar codec: of the options' protocol.
    :ivar workers: a set of the instance that ``service`` names, or of ``None``.
    :ivar observer: of its calls, when the client has interceptors.
    :ivar make_reply: makes the caller's value from a result and the reply's metadata; ``None``: the result itself.
    """

    name: str
    oneway: bool
    options: ClientOptions
    service: str
    timeout: float
    idempotent: bool = False
    make_reply: Callable[[Any, Mapping[str, Any]], Any] | None = None
    observer: CallObserver | None = None
    queue: str | None = attrs.field(init=False)
    lead: float = attrs.field(init=False)
    codec: Codec = attrs.field(init=False)
    workers: frozenset[str | None] = attrs.field(init=False)
    _template: PropertyTemplate | None = attrs.field(default=None, init=False)
    _reply_to: str | None = attrs.field(default=None, init=False)
    _headed: PropertyTemplate | None = attrs.field(default=None, init=False)
    _headed_to: str | None = attrs.field(default=None, init=False)

    @codec.default
    def _codec_of_the_protocol(self) -> Codec:
        return CODECS[self.options.protocol]

    @workers.default
    def _workers_of_the_service(self) -> frozenset[str | None]:
        return frozenset((instance_of(self.service),))

    @queue.default
    def _queue_of_the_service(self) -> str | None:
        """A named worker has its own queue, and the names of queues at other exchanges are unknown."""
        exchange = self.options.exchange
        if instance_of(self.service) is not None or exchange == BROADCAST:
            return None
        return self.options.queue or (ServiceTopology(self.service).queue if exchange == REQUESTS else None)

    @lead.default
    def _lead_of_a_queue(self) -> float:
        return 0.0 if self.queue is None or self.oneway else lead_of(self.timeout)

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

    def refusal_text(self, seqid: int, body: bytes) -> str:
        """Return the text of a worker that has rejected the request.

        :raises InvalidReply: the reply does not answer this call.
        """
        return str(self.decode(seqid, body)[1])

    @cached_property
    def with_reply(self) -> Operation:
        """The same operation, whose calls give a :class:`~rpc.client.reply_values.Reply`."""
        return attrs.evolve(self, make_reply=Reply)

    def too_large(self, size: int) -> MessageTooLarge:
        """Return the error of a request body of `size` bytes."""
        limit = self.options.max_message_size
        return MessageTooLarge(
            f"{self.label}: a request of {size} bytes, over the client's max_message_size of {limit}"
        )

    def reply_too_large(self, size: int) -> InvalidReply:
        """Return the error of a reply body of `size` bytes."""
        limit = self.options.max_message_size
        return InvalidReply(f"{self.label}: a reply of {size} bytes, over the client's max_message_size of {limit}")

    def properties(
        self,
        reply_to: str,
        call_id: bytes,
        expiration: bytes,
        inherited: Mapping[str, Any],
        user: str | None = None,
    ) -> bytes:
        """Return the request's encoded properties.

        :param reply_to: the reply queue. Each connection has another one.
        :param call_id: correlation id and message id, encoded as a short string.
        :param expiration: milliseconds, in decimal digits.
        :param user: the connection's user; ``None`` when it is not known.
        :raises CodecError: a header or the service's name does not fit its AMQP type; there are too many headers; or
            the user is not known, and the option ``user_id`` asks for it.
        """
        if inherited:
            headers = {**inherited, **(self.options.headers or {})}
            return self.properties_with(reply_to, call_id, expiration, headers, user)
        template = self._template
        if template is None or self._reply_to != reply_to:
            fixed = self._fixed(reply_to, self._with_liveness(self.options.headers), user)
            template = self._template = PropertyTemplate(fixed, self._variable)
            self._reply_to = reply_to
        if self.oneway:
            return template.encode(call_id, call_id)
        return template.encode(call_id, SHORT_LENGTHS[len(expiration)] + expiration, call_id)

    def properties_with(
        self, reply_to: str, call_id: bytes, expiration: bytes, headers: Mapping[str, Any], user: str | None
    ) -> bytes:
        """Return the same for a request with these headers. Those of the options are not added."""
        template = self._headed
        if template is None or self._headed_to != reply_to:
            template = self._headed = PropertyTemplate(self._fixed(reply_to, None, user), HEADERS + self._variable)
            self._headed_to = reply_to
        try:
            table = encode_headers(self._with_liveness(headers))
        except CodecError as error:
            raise CodecError(f"headers: {error}") from None
        if self.oneway:
            return template.encode(table, call_id, call_id)
        return template.encode(table, call_id, SHORT_LENGTHS[len(expiration)] + expiration, call_id)

    @property
    def _variable(self) -> tuple[str, ...]:
        return VARIABLE_ONEWAY if self.oneway else VARIABLE

    def _fixed(self, reply_to: str, headers: Mapping[str, Any] | None, user: str | None) -> Properties:
        options = self.options
        return Properties(
            content_type=self.codec.content_type,
            headers=headers or None,
            delivery_mode=2 if self.oneway else 1,
            priority=options.priority,
            reply_to=None if self.oneway else reply_to,
            type=self.label,
            user_id=self._user_id(user),
            app_id=options.app_id,
        )

    def _with_liveness(self, headers: Mapping[str, Any] | None) -> Mapping[str, Any]:
        liveness = self.options.liveness
        if liveness is None or self.oneway:
            return headers or NO_HEADERS
        return {**(headers or NO_HEADERS), LIVENESS: max(1, int(liveness * 1000))}

    def sender(self, user: str | None) -> str | None:
        """Return the user that a request names on a connection of `user`; ``None``: it names none."""
        option = self.options.user_id
        return user if option is True else option or None

    def _user_id(self, user: str | None) -> str | None:
        if self.options.user_id is True and user is None:
            raise CodecError(
                "user_id=True: with auth_mechanism=external, give the user's name: in the URL, or as user_id="
            )
        return self.sender(user)
