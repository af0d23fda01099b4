"""Consumers: how messages are delivered, and to how many a consumer has credit."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from rpc.amqp.codec.fields import encode_short_string
from rpc.amqp.codec.frames import DELIVER, FRAME_END, METHOD, content_parts
from rpc.broker.message import Message
from rpc.broker.ready import Entry

if TYPE_CHECKING:
    from rpc.broker.channel import Channel
    from rpc.broker.queue import Queue

UNLIMITED: Final = 2**62
"""Credit without a prefetch."""

_method_head = Struct(">BHII")  # frame type, channel, bytes of the payload, class and method
_tag_and_flags = Struct(">QB")


class Outlet:
    """Where messages leave on one channel, under one consumer tag."""

    __slots__ = ("_encoded_tag", "channel", "connection", "tag")

    def __init__(self, channel: Channel, tag: str) -> None:
        self.channel = channel
        self.connection = channel.connection
        self.tag = tag
        self._encoded_tag = encode_short_string(tag)

    def send(self, message: Message, redelivered: bool) -> None:
        """Write ``basic.deliver``; drop a message whose properties do not fit a frame (AMQP 0-9-1, basic.deliver)."""
        if self.connection.can_carry(message):
            self._write(message, redelivered)

    def _write(self, message: Message, redelivered: bool) -> None:
        channel, tag, routing = self.channel, self._encoded_tag, message.routing
        channel.last_tag += 1
        head = _method_head.pack(METHOD, channel.number, len(tag) + len(routing) + 13, DELIVER)
        flags = _tag_and_flags.pack(channel.last_tag, redelivered)
        content = content_parts(channel.number, message.properties, message.body, self.connection.max_payload)
        self.connection.send(b"".join((head, tag, flags, routing, FRAME_END, *content)))


class Consumer(Outlet):
    """One ``basic.consume``.

    :ivar credit: further deliveries that its own prefetch allows.
    :ivar priority: consumers of a higher one come first (RabbitMQ extension: consumer priorities).
    :ivar in_rotation: whether it is in its queue's :class:`~rpc.broker.round_robin.RoundRobin`.
    """

    __slots__ = ("credit", "exclusive", "in_rotation", "no_ack", "priority", "queue")

    def __init__(
        self, channel: Channel, queue: Queue, tag: str, *, no_ack: bool, exclusive: bool, prefetch: int, priority: int
    ) -> None:
        """:param prefetch: 0 is no limit. Consumers without acks have none (AMQP 0-9-1, basic.qos)."""
        super().__init__(channel, tag)
        self.queue = queue
        self.no_ack = no_ack
        self.exclusive = exclusive
        self.credit = prefetch if prefetch and not no_ack else UNLIMITED
        self.priority = priority
        self.in_rotation = False

    def can_take(self) -> bool:
        """Whether it can be given another message now."""
        return (
            self.credit > 0 and not self.connection.back_pressure.congested and (self.no_ack or self.channel.credit > 0)
        )

    def give(self, entry: Entry) -> None:
        """Deliver a message that is to be acked; drop one whose properties do not fit a frame."""
        if not self.connection.can_carry(entry.message):
            self.queue.settle(entry)
            return
        entry.consumer = self
        self.credit -= 1
        channel = self.channel
        channel.credit -= 1
        channel.unacked[channel.last_tag + 1] = entry
        self._write(entry.message, entry.redelivered)

    def deliver_ready(self) -> None:
        """Deliver ready messages, when it has credit again."""
        if not self.in_rotation:
            self.queue.activate(self)
