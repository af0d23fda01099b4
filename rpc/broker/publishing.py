"""The publishes of a channel: routing, returns and confirms."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from rpc.amqp.codec.fields import decode_short_string, encode_short_string
from rpc.amqp.codec.frames import ACK, END, FRAME_END, METHOD, NACK, RETURN, content_parts
from rpc.amqp.codec.properties import DELIVERY_MODE, USER_ID, join_properties, split_properties
from rpc.amqp.codec.properties import REPLY_TO as REPLY_TO_PROPERTY
from rpc.broker.dead_letters import copied_keys
from rpc.broker.direct_reply import REPLY_TO, DirectReply
from rpc.broker.exchange import Exchange
from rpc.broker.message import Message
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.queue import Queue
from rpc.errors import CodecError
from rpc.reply_codes import ACCESS_REFUSED, NOT_IMPLEMENTED, PRECONDITION_FAILED, SYNTAX_ERROR

if TYPE_CHECKING:
    from rpc.broker.channel import Channel

Target: TypeAlias = "Queue | DirectReply"
"""Where a message goes."""

MAX_ROUTES: Final = 4096

MAX_CACHED_TARGETS: Final = 64
"""Destinations of a route that is cached: all routes together take a few megabytes at most. To find more of them again
takes a small part of the time that it takes to publish to them.
"""

_MANDATORY, _IMMEDIATE = 1, 2
_DELIVERY_MODES = (None, b"\x01", b"\x02")
_NO_ROUTE = (312).to_bytes(2, "big") + encode_short_string("NO_ROUTE")
_REPLY_TO_ITSELF = encode_short_string(REPLY_TO)

_method_head = Struct(">BHII")  # frame type, channel, bytes of the payload, class and method
_confirm_frame = Struct(">BHIIQBB")


@attrs.frozen
class Route:
    """The route of a publish, found by its exchange, routing key and flags.

    :ivar names: exchange and routing key, encoded.
    :ivar targets: its destinations; ``None`` when they depend on the message's headers.
    """

    exchange: Exchange
    routing_key: str
    names: bytes
    mandatory: bool
    targets: list[Target] | None


class Publisher:
    """One channel's publishes.

    :ivar confirming: whether they are confirmed (RabbitMQ extension: publisher confirms).
    """

    __slots__ = ("_channel", "_confirmed", "_nacked", "_published", "_vhost", "confirming")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._vhost = channel.vhost
        self.confirming = False
        self._published = 0
        self._confirmed = 0
        self._nacked: list[int] = []

    def publish(self, named: bytes, properties: bytes, body: bytes) -> None:
        """Take a message (AMQP 0-9-1, basic.publish).

        :param named: exchange, routing key and flags, encoded.
        :raises ProtocolError: it cannot be routed, or one of its properties is invalid.
        """
        route = self._vhost.routes.get(named) or self._find_route(named)
        broker = self._channel.broker
        try:
            parts = split_properties(properties)
            if parts[USER_ID] is not None:
                self._check_user(parts[USER_ID])
            if parts[REPLY_TO_PROPERTY] == _REPLY_TO_ITSELF:
                parts = [*parts]
                parts[REPLY_TO_PROPERTY] = self._own_reply_address()
                properties = join_properties(parts)
            if parts[DELIVERY_MODE] not in _DELIVERY_MODES:
                self._check_delivery_mode(parts[DELIVERY_MODE])
            message = Message(route.names, properties, body, parts)
            targets = route.targets
            if targets is None or (message.headers is not None and b"CC" in message.headers):
                message, targets = self._route_by_headers(route, message)
        except CodecError as error:
            raise ProtocolError(SYNTAX_ERROR, str(error)) from None
        routed = bool(targets)
        if broker.tamper is not None:
            routed, targets = broker.tamper(message, targets)
        if route.mandatory and not routed:
            self._return(message)
        taken = True
        for target in targets:
            taken = target.publish(message) and taken
        if self.confirming:
            self._published += 1
            if not taken:
                self._nacked.append(self._published)
            broker.confirm_at_end_of_pass(self)
        if broker.memory.alarm:
            self._channel.connection.published_in_alarm()

    def _find_route(self, named: bytes) -> Route:
        try:
            exchange_name, at = decode_short_string(named, 0)
            routing_key, at = decode_short_string(named, at)
        except CodecError as error:
            raise ProtocolError(SYNTAX_ERROR, f"basic.publish: {error}") from None
        if at + 1 != len(named):
            raise ProtocolError(SYNTAX_ERROR, "basic.publish ends within or past its arguments")
        if named[at] & _IMMEDIATE:
            raise ProtocolError(NOT_IMPLEMENTED, "immediate=true")
        exchange = self._vhost.exchange(exchange_name)
        if exchange.internal:
            problem = f"cannot publish to internal exchange '{exchange_name}' in vhost '{self._vhost.name}'"
            raise ProtocolError(ACCESS_REFUSED, problem)
        targets, by_headers = self._targets(exchange, [routing_key], None)
        mandatory = named[at] & _MANDATORY != 0
        route = Route(exchange, routing_key, named[:at], mandatory, None if by_headers else targets)
        if len(targets) <= MAX_CACHED_TARGETS:
            if len(self._vhost.routes) >= MAX_ROUTES:
                self._vhost.routes.clear()
            self._vhost.routes[named] = route
        return route

    def _targets(self, exchange: Exchange, keys: list[str], message: Message | None) -> tuple[list[Target], bool]:
        if exchange.name == "" and keys[0].startswith(f"{REPLY_TO}."):
            consumer = self._vhost.reply_consumers.get(keys[0])
            return [] if consumer is None else [consumer], False
        queues, by_headers = self._vhost.route(exchange, keys, message)
        return [*queues], by_headers

    def _route_by_headers(self, route: Route, message: Message) -> tuple[Message, list[Target]]:
        headers = message.decoded_headers()
        keys = [route.routing_key, *copied_keys(headers)]
        targets, _ = self._targets(route.exchange, keys, message)
        return message.changed({}, without=["BCC"]) if "BCC" in headers else message, targets

    def _check_user(self, encoded: bytes | None) -> None:
        claimed, user = decode_short_string(encoded or b"\x00", 0)[0], self._channel.connection.user
        if claimed != user:
            problem = f"user_id property set to '{claimed}' but authenticated user was '{user}'"
            raise ProtocolError(PRECONDITION_FAILED, problem)

    def _check_delivery_mode(self, encoded: bytes | None) -> None:
        if encoded is not None and not self._channel.broker.compatibility.any_delivery_mode:
            raise ProtocolError(PRECONDITION_FAILED, f"invalid message: {{delivery_mode_unknown,{encoded[0]}}}")

    def _own_reply_address(self) -> bytes:
        reply = self._channel.direct_reply
        if reply is None:
            raise ProtocolError(PRECONDITION_FAILED, "fast reply consumer does not exist")
        return encode_short_string(reply.routing_key)

    def _return(self, message: Message) -> None:
        """Return a mandatory message that no queue takes (AMQP 0-9-1, basic.return)."""
        channel = self._channel
        if not channel.connection.can_carry(message):
            return
        arguments = _NO_ROUTE + message.routing
        head = _method_head.pack(METHOD, channel.number, len(arguments) + 4, RETURN)
        content = content_parts(channel.number, message.properties, message.body, channel.connection.max_payload)
        channel.connection.send(b"".join((head, arguments, FRAME_END, *content)))

    # -- confirms

    def take_outcome(self) -> tuple[int, list[int]]:
        """Return the number of the latest publish, and the numbers that queues have rejected since the last call."""
        rejected, self._nacked = self._nacked, []
        return self._published, rejected

    def confirm(self, published: int, rejected: list[int]) -> None:
        """Confirm all publishes up to `published`, except the rejected ones, which are nacked."""
        if self._channel.closing:
            return
        for number in rejected:
            self._confirm_up_to(number - 1)
            self._send(NACK, number, False)
            self._confirmed = number
        self._confirm_up_to(published)

    def nack_up_to(self, published: int) -> None:
        """Refuse all up to the number `published`: it could not be kept."""
        if not self._channel.closing and published > self._confirmed:
            self._send(NACK, published, True)
            self._confirmed = published

    def _confirm_up_to(self, number: int) -> None:
        if number > self._confirmed:
            self._send(ACK, number, number > self._confirmed + 1)
            self._confirmed = number

    def _send(self, key: int, number: int, multiple: bool) -> None:
        channel = self._channel
        channel.connection.send(_confirm_frame.pack(METHOD, channel.number, 13, key, number, multiple, END))
