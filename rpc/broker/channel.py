"""A channel: its input, its unacked messages, and its end."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any

from rpc.amqp.codec.frames import ACK, NACK, PUBLISH, REJECT, method_frame
from rpc.amqp.codec.methods import decode_method, encode_arguments
from rpc.amqp.codec.spec import load_spec
from rpc.broker.back_pressure import PauseReason
from rpc.broker.consumer import UNLIMITED, Consumer
from rpc.broker.control import CONTROL
from rpc.broker.direct_reply import DirectReply
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.publishing import Publisher
from rpc.broker.queue import Queue
from rpc.broker.ready import Entry
from rpc.broker.round_robin import rotate_past
from rpc.broker.sizes import consumer_size
from rpc.broker.work import STEP, Steps, in_steps
from rpc.errors import FrameError
from rpc.reply_codes import COMMAND_INVALID, NOT_FOUND, NOT_IMPLEMENTED, PRECONDITION_FAILED, SYNTAX_ERROR

if TYPE_CHECKING:
    from rpc.broker.connection import BrokerConnection

_tag_and_flags = Struct(">QB")
_position = attrgetter("position")
_priority = attrgetter("priority")
_CLOSE, _CLOSE_OK, _GET = 20 << 16 | 40, 20 << 16 | 41, 60 << 16 | 70


class Channel:
    """One channel of one connection, from ``channel.open`` until its number is free again.

    :ivar unacked: delivered messages that are not settled yet, by delivery tag, in the tags' order.
    :ivar last_tag: the latest delivery tag.
    :ivar prefetch: the prefetch of consumers that are added from now on.
    :ivar channel_prefetch: the prefetch of all consumers together (RabbitMQ: ``basic.qos`` with global).
    :ivar credit: deliveries that are left of it.
    :ivar last_queue: the queue declared last, which an empty name means (AMQP 0-9-1, queue.bind).
    :ivar closing: whether the channel has ended. Mostly the broker has closed it and expects ``channel.close-ok``.
    """

    def __init__(self, connection: BrokerConnection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.vhost = connection.vhost
        self.broker = connection.broker
        self.publisher = Publisher(self)
        self.consumers: dict[str, Consumer] = {}
        self.direct_reply: DirectReply | None = None
        self.unacked: dict[int, Entry] = {}
        self.last_tag = 0
        self.prefetch = 0
        self.channel_prefetch = 0
        self.credit = UNLIMITED
        self.last_queue = ""
        self.closing = False
        self._input = connection.input

    # -- input: called by the connection's reader

    def method_arrived(self, key: int, buffer: bytes, start: int, end: int) -> None:
        """Take a method without content."""
        if self.closing:
            if key in (_CLOSE, _CLOSE_OK):
                if key == _CLOSE:
                    self.reply("channel.close-ok")
                self.connection.forget(self)
            return
        try:
            if key in (ACK, REJECT, NACK):
                if end - start != 9:
                    raise ProtocolError(SYNTAX_ERROR, "an ack, nack or reject is not nine bytes long")
                self._settle(key, *_tag_and_flags.unpack_from(buffer, start))
            else:
                self._control(buffer[start - 4 : end])
                if key == _GET and self.connection.back_pressure.congested:
                    self._input.postpone(PauseReason.POSTPONED)  # few bytes can ask for many large messages
        except ProtocolError as error:
            self._fail(error, key)
        except FrameError as error:
            self._fail(ProtocolError(error.code, error.text, ends_connection=True), key)
        self._input.end_slice_if_over()

    def content_arrived(
        self, key: int, buffer: bytes, start: int, end: int, encoded_properties: bytes, body: bytes
    ) -> None:
        """Take a message that is published."""
        if self.closing:
            return
        try:
            if key != PUBLISH:
                raise ProtocolError(COMMAND_INVALID, "content of a method that only a broker sends")
            self.publisher.publish(buffer[start + 2 : end], encoded_properties, body)
        except ProtocolError as error:
            self._fail(error, key)
        self._input.end_slice_if_over()

    def content_too_large(self, size: int) -> None:
        """Close the channel for a message whose body was skipped (RabbitMQ: ``max_message_size``)."""
        if not self.closing:
            most = self.broker.limits.message
            problem = f"message size {size} is larger than configured max size {most}"
            self._fail(ProtocolError(PRECONDITION_FAILED, problem), PUBLISH)

    def _control(self, payload: bytes) -> None:
        method, arguments = decode_method(load_spec(), payload)
        name = f"{method.klass.name}.{method.name}"
        control = CONTROL.get(name)
        if control is None:
            if method.klass.name == "tx":
                raise ProtocolError(NOT_IMPLEMENTED, "the embedded broker has no transactions")
            raise ProtocolError(COMMAND_INVALID, "unimplemented method")
        control(self, *arguments)

    def reply(self, name: str, *arguments: Any) -> None:
        """Write a method of the specification, such as ``"queue.declare-ok"``."""
        payload = encode_arguments(load_spec().parse_method(name), arguments)
        self.connection.send(method_frame(self.number, payload))

    def answer(self, nowait: bool, name: str, *arguments: Any) -> None:
        """Write the answer to a method, unless its sender wants none (AMQP 0-9-1: ``no-wait``)."""
        if not nowait:
            self.reply(name, *arguments)

    def queue_name(self, name: str) -> str:
        """Return the name of a queue. An empty one means the queue that was declared last (AMQP 0-9-1, queue.bind).

        :raises ProtocolError: 404, none was declared.
        """
        if not name and not self.last_queue:
            raise ProtocolError(NOT_FOUND, "no previously declared queue")
        return name or self.last_queue

    # -- settling

    def _settle(self, key: int, tag: int, flags: int) -> None:
        """Take ``basic.ack``, ``basic.reject`` or ``basic.nack``: the first flag means multiple, but in a reject."""
        multiple = key != REJECT and flags & 1 == 1
        entries = self._up_to(tag) if multiple else [self._one(tag)]
        was_full = self.credit <= 0
        consumers = self._restore_credit(entries)
        if key != ACK and flags & (1 if key == REJECT else 2):
            self.broker.work.do(requeue(entries))
        elif multiple:
            self.broker.work.do(in_steps(entries, _ack if key == ACK else _reject))
        else:
            (_ack if key == ACK else _reject)(entries[0])
        if was_full and self.credit > 0:
            self.deliver_ready()
        else:
            for consumer in sorted(consumers, key=_priority, reverse=True):
                consumer.deliver_ready()

    def _restore_credit(self, entries: Iterable[Entry]) -> list[Consumer]:
        """Return the credit of these deliveries to their consumers, and return those."""
        consumers = [entry.consumer for entry in entries if entry.consumer is not None]
        for consumer in consumers:
            consumer.credit += 1
        self.credit += len(consumers)
        return [*dict.fromkeys(consumers)]

    def _one(self, tag: int) -> Entry:
        entry = self.unacked.pop(tag, None)
        if entry is None:
            raise ProtocolError(PRECONDITION_FAILED, f"unknown delivery tag {tag}")
        return entry

    def _up_to(self, tag: int) -> list[Entry]:
        """Take out all up to `tag`, or all (0)."""
        if tag and tag not in self.unacked:
            raise ProtocolError(PRECONDITION_FAILED, f"unknown delivery tag {tag}")
        tags = []
        for each in self.unacked:
            if tag and each > tag:
                break
            tags.append(each)
        return [self.unacked.pop(each) for each in tags]

    def deliver_ready(self) -> None:
        """Deliver to the consumers that can take messages again, those of the highest priority first.

        The first one that takes some comes last the next time. Otherwise it would take all credit that the channel's
        prefetch allows, or all that a slow connection takes, each time (RabbitMQ's limiter varies the order as well).
        """
        taker = None
        for consumer in sorted(self.consumers.values(), key=_priority, reverse=True):
            before = self.last_tag
            consumer.deliver_ready()
            if taker is None and self.last_tag != before:
                taker = consumer.tag
        if taker is not None:
            rotate_past(self.consumers, taker)

    # -- consumers

    def cancel(self, tag: str) -> None:
        """End a consumer, if there is one. Its unacked messages can still be settled."""
        if tag in self.consumers:
            self._remove_consumer(tag).activate_next()
        elif self.direct_reply is not None and self.direct_reply.tag == tag:
            self._end_direct_reply(self.direct_reply)

    def consumer_ended(self, consumer: Consumer) -> None:
        """Cancel a consumer whose queue was deleted (RabbitMQ extension: consumer cancel notification)."""
        if self.consumers.get(consumer.tag) is not consumer:
            return  # the client has cancelled it meanwhile
        self._forget_consumer(consumer.tag)
        if self.connection.wants_cancels and not self.closing:
            self.reply("basic.cancel", consumer.tag, True)

    def consume(self, consumer: Consumer) -> None:
        """Begin a consumer.

        :raises ProtocolError: 406, there are too many definitions.
        """
        self.broker.memory.define(f"consume from queue '{consumer.queue.name}'", consumer_size(consumer.tag))
        self.consumers[consumer.tag] = consumer

    def _forget_consumer(self, tag: str) -> Consumer:
        self.broker.memory.forget_definition(consumer_size(tag))
        return self.consumers.pop(tag)

    def _remove_consumer(self, tag: str) -> Queue:
        consumer = self._forget_consumer(tag)
        consumer.queue.remove_consumer(consumer)
        return consumer.queue

    def consume_direct_replies(self, reply: DirectReply) -> None:
        """Deliver direct replies on this channel."""
        self.direct_reply = reply
        self.vhost.reply_consumers[reply.routing_key] = reply

    def _end_direct_reply(self, reply: DirectReply) -> None:
        self.direct_reply = None
        del self.vhost.reply_consumers[reply.routing_key]
        self.vhost.routes.clear()

    # -- the end

    def _fail(self, error: ProtocolError, key: int) -> None:
        """Close the channel for a soft error (AMQP 0-9-1, section 1.2), the connection for a hard one."""
        error.key = key
        if error.ends_connection:
            self.connection.close_with_error(error)
            return
        self.end()
        self.reply("channel.close", error.code, error.reply_text, key >> 16, key & 0xFFFF)

    def end(self) -> None:
        """End the channel: remove its consumers, and requeue its unacked messages."""
        self.broker.work.do(self._end(self.stop_consumers()))

    def _end(self, queues: Iterable[Queue]) -> Steps:
        yield from self.requeue_all()
        for queue in queues:
            queue.activate_next()

    def stop_deliveries(self) -> None:
        """Deliver and confirm nothing more. The consumers are still registered."""
        self.closing = True

    def stop_consumers(self) -> list[Queue]:
        """Remove the consumers, and return their queues. The next consumers of those are not active yet.

        Nothing is delivered or confirmed behind a close, where the channel is not open.
        """
        self.closing = True
        queues = [*dict.fromkeys(self._remove_consumer(tag) for tag in [*self.consumers])]
        if self.direct_reply is not None:
            self._end_direct_reply(self.direct_reply)
        return queues

    def requeue_all(self) -> Steps:
        """Requeue all unacked messages."""
        entries = [*self.unacked.values()]
        self.unacked = {}
        self._restore_credit(entries)
        yield from requeue(entries)
        self.deliver_ready()


def _ack(entry: Entry) -> None:
    entry.queue.settle(entry)


def _reject(entry: Entry) -> None:
    entry.queue.reject(entry)


def requeue(entries: Iterable[Entry]) -> Steps:
    """Requeue messages, each in its queue."""
    by_queue: dict[Queue, list[Entry]] = {}
    for entry in entries:
        by_queue.setdefault(entry.queue, []).append(entry)
    for queue, back in by_queue.items():
        if len(back) > STEP:
            back.sort(key=_position)  # so that the first step has those that are delivered first
        for start in range(0, len(back), STEP):
            queue.requeue(back[start : start + STEP])
            yield
