"""A channel: control methods as txAMQP has them, and a data plane without queues in between.

The methods of the specification (``channel.queue_declare(...)``) come from txAMQP, which makes them of the XML; they
end in :meth:`Channel.invoke`. Publishing, delivering, returning and acknowledging do not: their frames are packed here,
and what ``frames.py`` has unpacked goes straight to the consumer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from struct import Struct
from typing import TYPE_CHECKING, Any

import txamqp.protocol
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python import log
from txamqp.message import Message

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
from rpc.amqp.codec.methods import encode_arguments
from rpc.amqp.content import Delivery, Returned
from rpc.errors import AMQPError, CodecError, FrameError
from rpc.topology import Declaration

if TYPE_CHECKING:
    from txamqp.content import Content as TxContent
    from txamqp.spec import Method

    from rpc.amqp.protocol import AMQPConnection

ROUTES_KEPT = 1024

_tag_and_flags = Struct(">QB")
_short = Struct(">H")
_ack_frame = Struct(">BHIIQBB")  # and that of a reject

Consumer = Callable[[Delivery], None]


class Channel(txamqp.protocol.AMQChannel):
    """One AMQP channel.

    :ivar on_return: called with each :class:`~rpc.amqp.content.Returned` message.
    :ivar on_confirm: called as ``on_confirm(delivery_tag, multiple, acknowledged)`` in confirm mode.
    :ivar on_closed: called once with the reason when the channel ends otherwise than by :meth:`close`.
    :ivar reason: why the channel is closed.
    """

    client: AMQPConnection

    def __init__(self, id: int, outgoing: Any, client: AMQPConnection) -> None:
        # txAMQP's own __init__ makes the queues of a data plane that is not used here
        self.id = id
        self.client = client
        self.closed = False
        self.reason: Exception | None = None
        self.on_return: Callable[[Returned], None] | None = None
        self.on_confirm: Callable[[int, bool, bool], None] | None = None
        self.on_closed: Callable[[Exception], None] | None = None
        self._answers: deque[tuple[Method, Deferred[Message]]] = deque()
        self._consumers: dict[bytes, tuple[Consumer, Callable[[], None]]] = {}
        self._next_consumer = 1
        self._routes: dict[tuple[str, str, bool], bytes] = {}

    # -- control methods

    def invoke(self, method: Method, args: tuple[Any, ...], content: TxContent | None = None) -> Deferred[Any]:
        """Send `method`; what every generated method of the channel ends in.

        :return: fires with the broker's answer, a ``txamqp.message.Message``, or with ``None`` for a method without
            one. Fails with the reason when the channel is or gets closed, and with
            :class:`~rpc.errors.CodecError` for an argument that does not fit; then nothing was sent. A cancelled one
            still takes its own answer, so that the next method does not get it.
        """
        if self.closed:
            return fail(self.reason or AMQPError("the channel is closed"))
        if method.content or any(answer.content for answer in method.responses):
            return fail(AMQPError(f"{method.klass.name}.{method.name} is not for here: use publish() and consume()"))
        try:
            payload = encode_arguments(method, args)
        except Exception as error:
            return fail(error)
        if len(payload) > self.client.max_body_frame:
            return fail(CodecError(f"{method.klass.name}.{method.name}: {self._too_large(len(payload))}"))
        return self._send(method, payload, not method.responses or _is_nowait(method, args))

    def _send(self, method: Method, payload: bytes, unanswered: bool) -> Deferred[Any]:
        self.client.send_method(self.id, payload)
        if unanswered:
            return succeed(None)
        answer: Deferred[Message] = Deferred()
        self._answers.append((method, answer))
        return answer

    def answered(self, message: Message) -> None:
        """Hand the broker's answer to the method that waits for it.

        :raises FrameError: 503, nobody waits, or for another answer. The specification answers methods in order.
        """
        if self.closed and message.method.name != "close-ok":
            return  # after a close, AMQP has us discard what was under way
        if not self._answers or message.method not in self._answers[0][0].responses:
            raise FrameError(503, f"unexpected {message.method.klass.name}.{message.method.name}")
        self._answers.popleft()[1].callback(message)

    def close(self, reason: object = None) -> Deferred[None]:
        """Close the channel. Fires when the broker has agreed, or the connection is gone; never fails.

        :param reason: unused; it is in the signature of txAMQP's method.
        """
        self.on_closed = None
        return self.abandon(AMQPError("the channel was closed by this client"))

    def abandon(self, reason: Exception) -> Deferred[None]:
        """Give the channel up for `reason`, which its owner and all that waits are told at once.

        :return: fires when the broker has agreed, or the connection is gone; never fails.
        """
        if self.closed:
            return succeed(None)
        self.do_close(reason)
        if self.client.closed:  # whoever was told just now has closed it
            return succeed(None)
        method = self.client.spec.classes.byname["channel"].methods.byname["close"]
        agreed = self._send(method, encode_arguments(method, (200, "closed by the client", 0, 0)), False)
        return agreed.addBoth(lambda _: self.client.forget_channel(self))

    def do_close(self, reason: Exception) -> None:
        """Fail what waits for an answer, and tell the owner. The owner is told once."""
        answers, self._answers = self._answers, deque()
        if self.closed:
            for _, answer in answers:  # the close itself
                answer.errback(reason)
            return
        self.closed = True
        self.reason = reason
        # What is still under way finds nobody: after a close, AMQP has us discard it.
        self._consumers.clear()
        self.on_return = self.on_confirm = None
        for _, answer in answers:
            answer.errback(reason)
        on_closed, self.on_closed = self.on_closed, None
        if on_closed is not None:
            try:
                on_closed(reason)
            except Exception:
                log.err(None, "while telling the owner of a channel that it is closed")

    def declare(self, declaration: Declaration) -> Deferred[Any]:
        """Invoke the method of a topology's declaration. Fires and fails as :meth:`invoke` does."""
        declared: Deferred[Any] = getattr(self, declaration.method)(**declaration.arguments)
        return declared

    def consume(
        self,
        queue: str,
        consumer: Consumer,
        cancelled: Callable[[], None],
        *,
        no_ack: bool = False,
        exclusive: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> Deferred[str]:
        """Let `consumer` be called with each delivery of `queue`.

        :param cancelled: called when the broker ends the consumer, since the queue was deleted or its node died
            (RabbitMQ extension: consumer cancel notification).
        :return: fires with the consumer tag. Deliveries may come before. Fails as :meth:`invoke` does.
        """
        tag = f"c{self._next_consumer}"
        self._next_consumer += 1
        key = tag.encode()
        self._consumers[key] = consumer, cancelled
        sent = self.basic_consume(
            queue=queue, consumer_tag=tag, no_ack=no_ack, exclusive=exclusive, arguments=dict(arguments or {})
        )

        def refused(failure: Any) -> Any:
            self._consumers.pop(key, None)
            return failure

        return sent.addCallbacks(lambda _: tag, refused)

    def cancel_consumer(self, consumer_tag: str) -> Deferred[None]:
        """Take no more deliveries for `consumer_tag`. Fires when the broker has stopped sending them."""
        key = consumer_tag.encode()

        def stopped(_: object) -> None:
            self._consumers.pop(key, None)

        return self.basic_cancel(consumer_tag=consumer_tag).addCallback(stopped)

    def consumer_cancelled(self, consumer_tag: str) -> None:
        """The broker has ended a consumer (``basic.cancel``)."""
        found = self._consumers.pop(consumer_tag.encode("utf-8", "surrogateescape"), None)
        if found is not None:
            try:
                found[1]()
            except Exception:
                log.err(None, f"while telling the owner of consumer {consumer_tag} that it was cancelled")

    # -- data plane, outgoing

    def publish(self, exchange: str, routing_key: str, properties: bytes, body: bytes, mandatory: bool = False) -> None:
        """Send a message (``basic.publish``): its frames without others between.

        :param properties: as :func:`rpc.amqp.codec.properties.encode_properties` or a ``PropertyTemplate`` makes them.
        :raises CodecError: exchange or routing key is longer than 255 bytes, or the properties are larger than a
            frame; nothing was sent.
        :raises AMQPError: the channel is closed. (RabbitMQ would end the connection, and with it all other channels.)
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

    def _too_large(self, size: int) -> str:
        return f"a frame of {size} bytes, over the {self.client.max_body_frame} that the broker takes (frame_max)"

    def _make_route(self, exchange: str, routing_key: str, mandatory: bool) -> bytes:
        """The method frame of a publish. Reply queues come and go, so only so many are kept."""
        names = encode_short_string(exchange) + encode_short_string(routing_key)
        reserved, flags = b"\x00\x00", b"\x01" if mandatory else b"\x00"
        route = method_frame(self.id, method_key.pack(PUBLISH) + reserved + names + flags)
        if len(self._routes) >= ROUTES_KEPT:
            self._routes.clear()
        self._routes[exchange, routing_key, mandatory] = route
        return route

    def ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Acknowledge a delivery, or with `multiple` all up to it (``basic.ack``). Nothing, on a closed channel: there
        the broker delivers it again.
        """
        if not self.closed:
            self.client.write(_ack_frame.pack(METHOD, self.id, 13, ACK, delivery_tag, multiple, END))

    def reject(self, delivery_tag: int, requeue: bool) -> None:
        """Refuse a delivery (``basic.reject``). Nothing, on a closed channel."""
        if not self.closed:
            self.client.write(_ack_frame.pack(METHOD, self.id, 13, REJECT, delivery_tag, requeue, END))

    # -- data plane, incoming: called by the connection's reader

    def method_arrived(self, key: int, buffer: bytes, start: int, end: int) -> None:
        """Take a method without content: a confirm, or one of the control plane.

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
        """Take a delivery or a return, and hand it to its consumer.

        :raises FrameError: the method's arguments end too early, or it is not for a client.
        """
        content: Any
        if key == DELIVER:
            tag_end = start + 1 + buffer[start] if start < end else end
            if tag_end + 9 > end:
                raise FrameError(502, "basic.deliver ends within its arguments")
            found = self._consumers.get(buffer[start + 1 : tag_end])
            if found is None:
                return  # cancelled just now; the broker takes it back when the channel closes
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
            raise FrameError(540, f"a content of method {key >> 16}.{key & 0xFFFF}, which nobody asked for")
        if take is not None:
            try:
                take(content)
            except Exception:
                # a consumer is no reason to lose the connection of all others
                log.err(None, f"while handling a message on channel {self.id}")


def then_declare(_: object, channel: Channel, declaration: Declaration) -> Deferred[Any]:
    """Declare, as the next callback of a chain. Fires and fails as :meth:`Channel.invoke` does."""
    return channel.declare(declaration)


def _is_nowait(method: Method, args: tuple[Any, ...]) -> bool:
    field = method.fields.byname.get("nowait")
    return field is not None and bool(args[method.fields.index(field)])
