"""The control methods of class basic: consuming, prefetch, ``basic.get``, and requeuing (AMQP 0-9-1, class basic).

Each function takes the channel, and the method's arguments in the specification's order. Errors are ``ProtocolError``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rpc.amqp.codec.frames import FRAME_END, GET_OK, METHOD, content_parts
from rpc.broker.arguments import check_priority
from rpc.broker.consumer import UNLIMITED, Consumer
from rpc.broker.direct_reply import REPLY_TO, DirectReply
from rpc.broker.names import server_name
from rpc.broker.protocol_error import ProtocolError
from rpc.reply_codes import ACCESS_REFUSED, NOT_ALLOWED, NOT_IMPLEMENTED, PRECONDITION_FAILED

if TYPE_CHECKING:
    from rpc.broker.channel import Channel

Table: TypeAlias = Mapping[str, Any]
Method: TypeAlias = Callable[..., None]

_method_head = Struct(">BHII")
_tag_and_flags = Struct(">QB")
_count = Struct(">I")


def _qos(channel: Channel, size: int, count: int, for_channel: bool) -> None:
    if size:
        raise ProtocolError(NOT_IMPLEMENTED, f"prefetch_size!=0 ({size})")
    if for_channel:
        in_hand = (channel.channel_prefetch or UNLIMITED) - channel.credit
        channel.channel_prefetch = count
        channel.credit = (count or UNLIMITED) - in_hand
    else:
        channel.prefetch = count
    channel.reply("basic.qos-ok")
    channel.deliver_ready()


def _consume(
    channel: Channel,
    _: int,
    name: str,
    tag: str,
    no_local: bool,
    no_ack: bool,
    exclusive: bool,
    nowait: bool,
    arguments: Table,
) -> None:
    if name == REPLY_TO:
        _consume_direct_replies(channel, tag, no_ack, nowait)
        return
    queue = channel.vhost.queue(channel.queue_name(name), channel.connection)
    tag = tag or server_name("ctag")
    _check_tag_unused(channel, tag)
    if queue.consumers and (exclusive or queue.first_consumer.exclusive):
        raise ProtocolError(ACCESS_REFUSED, f"queue '{queue.name}' in vhost '{channel.vhost.name}' in exclusive use")
    priority = check_priority(f"'{queue.name}' in vhost '{channel.vhost.name}'", arguments)
    consumer = Consumer(
        channel, queue, tag, no_ack=no_ack, exclusive=exclusive, prefetch=channel.prefetch, priority=priority
    )
    channel.consume(consumer)
    channel.answer(nowait, "basic.consume-ok", tag)
    queue.add_consumer(consumer)


def _consume_direct_replies(channel: Channel, tag: str, no_ack: bool, nowait: bool) -> None:
    if channel.direct_reply is not None:
        raise ProtocolError(PRECONDITION_FAILED, "reply consumer already set")
    if not no_ack:
        raise ProtocolError(PRECONDITION_FAILED, "reply consumer cannot acknowledge")
    tag = tag or server_name("ctag")
    _check_tag_unused(channel, tag)
    channel.consume_direct_replies(DirectReply(channel, tag))
    channel.answer(nowait, "basic.consume-ok", tag)


def _cancel(channel: Channel, tag: str, nowait: bool) -> None:
    channel.cancel(tag)
    channel.answer(nowait, "basic.cancel-ok", tag)


def _get(channel: Channel, _: int, name: str, no_ack: bool) -> None:
    queue = channel.vhost.queue(channel.queue_name(name), channel.connection)
    entry = queue.get()
    while entry is not None and not channel.connection.can_carry(entry.message):
        queue.settle(entry)
        entry = queue.get()
    if entry is None:
        channel.reply("basic.get-empty", "")
        return
    message = entry.message
    channel.last_tag += 1
    arguments = b"".join(
        (
            _tag_and_flags.pack(channel.last_tag, entry.redelivered),
            message.routing,
            _count.pack(queue.ready.count),
        )
    )
    head = _method_head.pack(METHOD, channel.number, len(arguments) + 4, GET_OK)
    content = content_parts(channel.number, message.properties, message.body, channel.connection.max_payload)
    channel.connection.send(b"".join((head, arguments, FRAME_END, *content)))
    if no_ack:
        queue.settle(entry)
    else:
        channel.unacked[channel.last_tag] = entry


def _recover(channel: Channel, requeue: bool) -> None:
    _recover_async(channel, requeue)
    channel.reply("basic.recover-ok")


def _recover_async(channel: Channel, requeue: bool) -> None:
    if not requeue:
        raise ProtocolError(NOT_IMPLEMENTED, "requeue=false")
    channel.broker.work.do(channel.requeue_all())


def _check_tag_unused(channel: Channel, tag: str) -> None:
    reply = channel.direct_reply
    if tag in channel.consumers or (reply is not None and reply.tag == tag):
        raise ProtocolError(NOT_ALLOWED, f"attempt to reuse consumer tag '{tag}'")


BASIC_CONTROL: Final[Mapping[str, Method]] = {
    "basic.qos": _qos,
    "basic.consume": _consume,
    "basic.cancel": _cancel,
    "basic.get": _get,
    "basic.recover": _recover,
    "basic.recover-async": _recover_async,
}
"""The function for each method."""
