"""A channel: the control methods of ``control.py``, and a data plane without queues in between.

The frames of publishes and acks are packed here. Deliveries, returns and confirms go from the frame reader straight to
their consumer or owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from rpc import log
from rpc.amqp.codec.fields import decode_short_string, encode_short_string
from rpc.amqp.codec.frames import (
    ACK,
    BASIC,
    BODY,
    DELIVER,
    END,
    FRAME_END,
    HEADER,
    METHOD,
    NACK,
    PUBLISH,
    REJECT,
    RETURN,
    content_header,
    content_parts,
    method_frame,
    method_key,
    next_head,
)
from rpc.amqp.content import Delivery, Returned
from rpc.amqp.control import ControlChannel, shielded
from rpc.errors import AMQPError, CodecError, FrameError
from rpc.topology import Declaration

if TYPE_CHECKING:
    from rpc.amqp.protocol import AMQPConnection

ROUTES_KEPT = 1024

_tag_and_flags = Struct(">QB")
_short = Struct(">H")
_ack_frame = Struct(">BHIIQBB")  # of acks and rejects

Consumer = Callable[[Delivery], None]


class Channel(ControlChannel):
    """One AMQP channel.

    :ivar on_return: called with each :class:`~rpc.amqp.content.Returned` message.
    :ivar on_confirm: called as ``on_confirm(delivery_tag, multiple, acknowledged)`` in confirm mode.
    """

    def __init__(self, id: int, outgoing: Any, client: AMQPConnection) -> None:
        super().__init__(id, outgoing, client)
        self.on_return: Callable[[Returned], None] | None = None
        self.on_confirm: Callable[[int, bool, bool], None] | None = None
        self._consumers: dict[bytes, tuple[Consumer, Callable[[], None]]] = {}
        self._next_consumer = 1
        self._routes: dict[tuple[str, str, bool], bytes] = {}

    @property
    def consumers(self) -> int:
        """How many consumers the channel has."""
        return len(self._consumers)

    @property
    def routes(self) -> int:
        """How many encoded routes of publishes are kept."""
        return len(self._routes)

    def mark_closed(self, reason: Exception) -> None:
        """Send nothing from now on, and hand nothing to consumers and owner.

        AMQP 0-9-1, channel.close: after it, all other methods must be discarded, deliveries and returns as well.
        """
        super().mark_closed(reason)
        self._consumers.clear()
        self.on_return = self.on_confirm = None

    # -- topology and consumers

    def declare(self, declaration: Declaration) -> Deferred[Any]:
        """Invoke the method of a topology's declaration. Fires and fails as :meth:`invoke` does."""
        arguments = self.client.broker.accepted(declaration.arguments)
        declared: Deferred[Any] = getattr(self, declaration.method)(**arguments)
        return declared

    def consume(
        self,
        queue: str,
        consumer: Consumer,
        cancelled: Callable[[], None],
        *,
        no_ack: bool = False,
        exclusive: bool = False,
        tag: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> Deferred[str]:
        """Call `consumer` with each delivery of `queue`.

        :param cancelled: called when the broker ends the consumer, because the queue was deleted or its node died
            (RabbitMQ extension: consumer cancel notification).
        :param tag: the consumer tag; without it, one is made.
        :return: fires with the consumer tag. Deliveries may come before. Fails as :meth:`invoke` does. Cancelling it
            cancels the consumer at the broker as well, and requeues the deliveries that come until then.
        """
        if tag is None:
            tag = f"c{self._next_consumer}"
            self._next_consumer += 1
        key = tag.encode()
        self._consumers[key] = consumer, cancelled
        given: dict[str, Any] = {"arguments": dict(arguments)} if arguments else {}  # AMQP 0-8 has none
        sent = self.basic_consume(queue=queue, consumer_tag=tag, no_ack=no_ack, exclusive=exclusive, **given)

        def not_consuming(failure: Failure) -> Failure:
            if failure.check(CancelledError) and not self.closed:
                self._consumers[key] = _drop if no_ack else _requeue, _do_nothing
                self.cancel_consumer(tag).addErrback(lambda _: None)  # the channel is gone, and the consumer with it
            else:
                self._consumers.pop(key, None)
            return failure

        return sent.addCallbacks(lambda _: tag, not_consuming)

    def cancel_consumer(self, consumer_tag: str) -> Deferred[None]:
        """Cancel the consumer (``basic.cancel``). Deliveries come until the broker has agreed.

        :return: fires when the broker has agreed. Fails as :meth:`invoke` does. Cancelling it ends the wait only.
        """
        key = consumer_tag.encode()

        def stopped(_: object) -> None:
            self._consumers.pop(key, None)

        cancelled: Deferred[None] = self.basic_cancel(consumer_tag=consumer_tag).addCallback(stopped)
        return shielded(cancelled)

    def consumer_cancelled(self, consumer_tag: str) -> None:
        """Tell the owner of a consumer that the broker has ended it (``basic.cancel``)."""
        found = self._consumers.pop(consumer_tag.encode("utf-8", "surrogateescape"), None)
        if found is not None:
            try:
                found[1]()
            except Exception:
                log.err(None, f"while telling the owner of consumer {consumer_tag} that it was cancelled")

    def select_confirms(self) -> Deferred[Any]:
        """Have the broker confirm what is published on this channel. Nothing with a version of AMQP without confirms.

        :return: fires when publishes are confirmed from now on, if they can be. Fails as :meth:`invoke` does.
        """
        if not self.client.definition.has_confirms:
            return succeed(None)
        selected: Deferred[Any] = self.confirm_select()
        return selected

    # -- data plane, outgoing

    def publish(self, exchange: str, routing_key: str, properties: bytes, body: bytes, mandatory: bool = False) -> None:
        """Send a message (``basic.publish``), with no other frames between its own.

        :param properties: encoded by :func:`rpc.amqp.codec.properties.encode_properties` or by a ``PropertyTemplate``.
        :raises CodecError: exchange or routing key is longer than 255 bytes, or the properties are larger than a
            frame. Nothing was sent.
        :raises AMQPError: the channel is closed. RabbitMQ ends the whole connection over a publish on a closed
            channel (504, channel error).
        """
        if self.closed:
            raise self.reason or AMQPError("the channel is closed")
        route = self._routes.get((exchange, routing_key, mandatory)) or self._make_route(
            exchange, routing_key, mandatory
        )
        size = len(body)
        limit = self.client.max_body_frame
        header_size = 12 + len(properties)
        if header_size > limit:
            raise CodecError(f"the properties: {self._too_large(header_size)}")
        if size > limit:
            self.client.write_large([route, *content_parts(self.id, properties, body, limit)])
            return
        head = content_header.pack(HEADER, self.id, header_size, BASIC, 0, size)
        start = b"" if size == 0 else next_head.pack(END, BODY, self.id, size)
        self.client.write(b"".join((route, head, properties, start, body, FRAME_END)))

    def _make_route(self, exchange: str, routing_key: str, mandatory: bool) -> bytes:
        """Return the method frame of a publish. Reply queues come and go, so at most ``ROUTES_KEPT`` are kept."""
        names = encode_short_string(exchange) + encode_short_string(routing_key)
        reserved, flags = b"\x00\x00", b"\x01" if mandatory else b"\x00"
        route = method_frame(self.id, method_key.pack(PUBLISH) + reserved + names + flags)
        if len(self._routes) >= ROUTES_KEPT:
            self._routes.clear()
        self._routes[exchange, routing_key, mandatory] = route
        return route

    def ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Acknowledge a delivery, or with `multiple` all up to it (``basic.ack``).

        On a closed channel nothing is sent: the broker delivers the message again.
        """
        if not self.closed:
            self.client.write(_ack_frame.pack(METHOD, self.id, 13, ACK, delivery_tag, multiple, END))

    def reject(self, delivery_tag: int, requeue: bool) -> None:
        """Reject a delivery (``basic.reject``). On a closed channel nothing is sent."""
        if not self.closed:
            self.client.write(_ack_frame.pack(METHOD, self.id, 13, REJECT, delivery_tag, requeue, END))

    # -- data plane, incoming: called by the connection's reader

    def method_arrived(self, key: int, buffer: bytes, start: int, end: int) -> None:
        """Handle a method without content: a confirm, or a control method.

        :raises FrameError: it is malformed, unknown or unexpected.
        """
        if key not in (ACK, NACK):
            self.client.control_arrived(self, buffer[start - 4 : end])
            return
        if end - start != 9:
            raise FrameError(502, "a confirm that is not nine bytes")
        delivery_tag, flags = _tag_and_flags.unpack_from(buffer, start)
        if self.on_confirm is not None:
            try:
                self.on_confirm(delivery_tag, flags & 1 == 1, key == ACK)
            except Exception:
                log.err(None, f"while handling a confirm on channel {self.id}")

    def content_arrived(
        self, key: int, buffer: bytes, start: int, end: int, encoded_properties: bytes, body: bytes
    ) -> None:
        """Hand a delivery to its consumer, or a return to the owner.

        :raises FrameError: the method's arguments end too early, or it is not for a client.
        """
        content: Any
        if key == DELIVER:
            tag_end = start + 1 + buffer[start] if start < end else end
            if tag_end + 9 > end:
                raise FrameError(502, "basic.deliver ends within its arguments")
            found = self._consumers.get(buffer[start + 1 : tag_end])
            if found is None:
                return  # its consumer was cancelled; the broker requeues it when the channel closes
            delivery_tag, redelivered = _tag_and_flags.unpack_from(buffer, tag_end)
            content = Delivery(
                self, delivery_tag, redelivered != 0, buffer[tag_end + 9 : end], encoded_properties, body
            )
            take: Callable[[Any], None] | None = found[0]
        elif key == RETURN:
            arguments = buffer[start:end]
            try:
                text, text_end = decode_short_string(arguments, 2)
            except CodecError:
                raise FrameError(502, "basic.return ends within its arguments") from None
            code = _short.unpack_from(arguments)[0]
            content = Returned(code, text, arguments[text_end:], encoded_properties, body)
            take = self.on_return
        else:
            raise FrameError(540, f"a content of method {key >> 16}.{key & 0xFFFF}, which no client takes")
        if take is not None:
            try:
                take(content)
            except Exception:
                # A consumer's error must not end the connection of all others.
                log.err(None, f"while handling a message on channel {self.id}")


def _requeue(delivery: Delivery) -> None:
    delivery.channel.reject(delivery.delivery_tag, requeue=True)


def _drop(delivery: Delivery) -> None:
    """The broker has forgotten a ``no_ack`` delivery when it is sent."""


def _do_nothing() -> None:
    """The owner has cancelled the consumer, and is not told when the broker does."""


def then_declare(_: object, channel: Channel, declaration: Declaration) -> Deferred[Any]:
    """Declare, as the next callback of a chain. Fires and fails as :meth:`~ControlChannel.invoke` does."""
    return channel.declare(declaration)
