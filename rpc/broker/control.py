"""The methods of a channel that are not its data plane, by their names in the specification.

Each takes the channel and the method's arguments in the specification's order. What is refused is a ``Refusal``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rpc.amqp.codec.frames import FRAME_END, GET_OK, METHOD, content_parts
from rpc.broker.arguments import check_priority
from rpc.broker.consumer import BOUNDLESS, Consumer
from rpc.broker.direct_reply import REPLY_TO, DirectReply
from rpc.broker.exchange import Exchange
from rpc.broker.queue import Queue
from rpc.broker.refusals import (
    ACCESS_REFUSED,
    CHANNEL_ERROR,
    NOT_ALLOWED,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    PRECONDITION_FAILED,
    Refusal,
)
from rpc.broker.vhost import Declared, refuse_default, server_name

if TYPE_CHECKING:
    from rpc.broker.channel import Channel

Table: TypeAlias = Mapping[str, Any]
Method: TypeAlias = Callable[..., None]

_method_head = Struct(">BHII")
_tag_and_flags = Struct(">QB")
_count = Struct(">I")


# -- class channel


def _open(channel: Channel, _: str) -> None:
    raise Refusal(CHANNEL_ERROR, "second 'channel.open' seen")


def _flow(channel: Channel, active: bool) -> None:
    if not active:
        raise Refusal(NOT_IMPLEMENTED, "active=false")
    channel.reply("channel.flow-ok", True)


def _close(channel: Channel, code: int, text: str, class_id: int, method_id: int) -> None:
    channel.end()
    channel.reply("channel.close-ok")
    channel.connection.forget(channel)


# -- class exchange


def _exchange_declare(
    channel: Channel,
    _: int,
    name: str,
    kind: str,
    passive: bool,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    nowait: bool,
    arguments: Table,
) -> None:
    name = _one_line(name)
    if passive:
        refuse_default(name)
        channel.vhost.exchange(name)
    else:
        channel.vhost.declare_exchange(name, kind, durable, auto_delete, internal, arguments)
    _answer(channel, nowait, "exchange.declare-ok")


def _exchange_delete(channel: Channel, _: int, name: str, if_unused: bool, nowait: bool) -> None:
    channel.vhost.delete_exchange(name, if_unused)
    _answer(channel, nowait, "exchange.delete-ok")


def _exchange_bind(
    channel: Channel, _: int, destination: str, source: str, key: str, nowait: bool, arguments: Table
) -> None:
    refuse_default(destination)
    refuse_default(source)
    channel.vhost.bind(source, channel.vhost.exchange(destination), key, arguments)
    _answer(channel, nowait, "exchange.bind-ok")


def _exchange_unbind(
    channel: Channel, _: int, destination: str, source: str, key: str, nowait: bool, arguments: Table
) -> None:
    refuse_default(destination)
    refuse_default(source)
    _unbind(channel, channel.vhost.exchanges.get(destination), source, key, arguments)
    _answer(channel, nowait, "exchange.unbind-ok")


# -- class queue


def _queue_declare(
    channel: Channel,
    _: int,
    name: str,
    passive: bool,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
    nowait: bool,
    arguments: Table,
) -> None:
    vhost, connection, name = channel.vhost, channel.connection, _one_line(name)
    if name == REPLY_TO or name in vhost.reply_consumers:
        _answer(channel, nowait, "queue.declare-ok", name, 0, 1)
        return
    if passive or name.startswith(f"{REPLY_TO}."):
        queue = vhost.queue(name, connection)
        queue.touch()
    else:
        queue = vhost.declare_queue(name, Declared(durable, exclusive, auto_delete), arguments, connection)
    channel.last_queue = queue.name
    _answer(channel, nowait, "queue.declare-ok", queue.name, queue.waiting.count, len(queue.consumers))


def _queue_bind(channel: Channel, _: int, name: str, source: str, key: str, nowait: bool, arguments: Table) -> None:
    name, key = _named(channel, name), _key(channel, name, key)
    refuse_default(source)
    channel.vhost.exchange(source)
    channel.vhost.bind(source, channel.vhost.queue(name, channel.connection), key, arguments)
    _answer(channel, nowait, "queue.bind-ok")


def _queue_unbind(channel: Channel, _: int, name: str, source: str, key: str, arguments: Table) -> None:
    name, key = _named(channel, name), _key(channel, name, key)
    refuse_default(source)
    _unbind(channel, channel.vhost.queues.get(name), source, key, arguments)
    channel.reply("queue.unbind-ok")


def _queue_purge(channel: Channel, _: int, name: str, nowait: bool) -> None:
    queue = channel.vhost.queue(_named(channel, name), channel.connection)
    _answer(channel, nowait, "queue.purge-ok", queue.purge())


def _queue_delete(channel: Channel, _: int, name: str, if_unused: bool, if_empty: bool, nowait: bool) -> None:
    count = channel.vhost.delete_queue(_named(channel, name), if_unused, if_empty, channel.connection)
    _answer(channel, nowait, "queue.delete-ok", count)


# -- class basic


def _qos(channel: Channel, size: int, count: int, for_channel: bool) -> None:
    if size:
        raise Refusal(NOT_IMPLEMENTED, f"prefetch_size!=0 ({size})")
    if for_channel:
        in_hand = (channel.channel_prefetch or BOUNDLESS) - channel.room
        channel.channel_prefetch = count
        channel.room = (count or BOUNDLESS) - in_hand
    else:
        channel.prefetch = count
    channel.reply("basic.qos-ok")
    channel.look_for_messages()


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
    queue = channel.vhost.queue(_named(channel, name), channel.connection)
    tag = tag or server_name("ctag")
    _refuse_tag_in_use(channel, tag)
    if queue.consumers and (exclusive or queue.consumers[0].exclusive):
        raise Refusal(ACCESS_REFUSED, f"queue '{queue.name}' in vhost '{channel.vhost.name}' in exclusive use")
    priority = check_priority(f"'{queue.name}' in vhost '{channel.vhost.name}'", arguments)
    consumer = Consumer(
        channel, queue, tag, no_ack=no_ack, exclusive=exclusive, prefetch=channel.prefetch, priority=priority
    )
    channel.consumers[tag] = consumer
    _answer(channel, nowait, "basic.consume-ok", tag)
    queue.add(consumer)


def _consume_direct_replies(channel: Channel, tag: str, no_ack: bool, nowait: bool) -> None:
    if channel.direct_reply is not None:
        raise Refusal(PRECONDITION_FAILED, "reply consumer already set")
    if not no_ack:
        raise Refusal(PRECONDITION_FAILED, "reply consumer cannot acknowledge")
    tag = tag or server_name("ctag")
    _refuse_tag_in_use(channel, tag)
    channel.take_direct_replies(DirectReply(channel, tag))
    _answer(channel, nowait, "basic.consume-ok", tag)


def _cancel(channel: Channel, tag: str, nowait: bool) -> None:
    channel.cancel(tag)
    _answer(channel, nowait, "basic.cancel-ok", tag)


def _get(channel: Channel, _: int, name: str, no_ack: bool) -> None:
    queue = channel.vhost.queue(_named(channel, name), channel.connection)
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
            _count.pack(queue.waiting.count),
        )
    )
    head = _method_head.pack(METHOD, channel.number, len(arguments) + 4, GET_OK)
    content = content_parts(channel.number, message.properties, message.body, channel.connection.max_payload)
    channel.connection.send(b"".join((head, arguments, FRAME_END, *content)))
    if no_ack:
        queue.settle(entry)
    else:
        channel.unsettled[channel.last_tag] = entry


def _recover(channel: Channel, requeue: bool) -> None:
    _recover_async(channel, requeue)
    channel.reply("basic.recover-ok")


def _recover_async(channel: Channel, requeue: bool) -> None:
    if not requeue:
        raise Refusal(NOT_IMPLEMENTED, "requeue=false")
    channel.give_back_all()


def _ignore(channel: Channel, *_: object) -> None:
    """What agrees to something that the broker has done already."""


# -- class confirm


def _confirm_select(channel: Channel, nowait: bool) -> None:
    channel.publisher.confirming = True
    _answer(channel, nowait, "confirm.select-ok")


CONTROL: Final[Mapping[str, Method]] = {
    "channel.open": _open,
    "channel.flow": _flow,
    "channel.flow-ok": _ignore,
    "channel.close": _close,
    "exchange.declare": _exchange_declare,
    "exchange.delete": _exchange_delete,
    "exchange.bind": _exchange_bind,
    "exchange.unbind": _exchange_unbind,
    "queue.declare": _queue_declare,
    "queue.bind": _queue_bind,
    "queue.unbind": _queue_unbind,
    "queue.purge": _queue_purge,
    "queue.delete": _queue_delete,
    "basic.qos": _qos,
    "basic.consume": _consume,
    "basic.cancel": _cancel,
    "basic.cancel-ok": _ignore,
    "basic.get": _get,
    "basic.recover": _recover,
    "basic.recover-async": _recover_async,
    "confirm.select": _confirm_select,
}
"""What to do for each method."""


def _answer(channel: Channel, nowait: bool, name: str, *arguments: Any) -> None:
    if not nowait:
        channel.reply(name, *arguments)


def _one_line(name: str) -> str:
    """Names are declared without line ends, as in RabbitMQ."""
    return name.replace("\r", "").replace("\n", "")


def _named(channel: Channel, name: str) -> str:
    """An empty name means the queue that the channel has declared last (AMQP 0-9-1, queue.bind)."""
    if not name and not channel.last_queue:
        raise Refusal(NOT_FOUND, "no previously declared queue")
    return name or channel.last_queue


def _key(channel: Channel, name: str, key: str) -> str:
    """Without a key, and of the queue that was declared last, that queue's name is meant (AMQP 0-9-1, queue.bind)."""
    return key or ("" if name else channel.last_queue)


def _unbind(channel: Channel, destination: Queue | Exchange | None, source: str, key: str, arguments: Table) -> None:
    """What is not there, is not bound."""
    if destination is not None:
        channel.vhost.unbind(source, destination, key, arguments)


def _refuse_tag_in_use(channel: Channel, tag: str) -> None:
    reply = channel.direct_reply
    if tag in channel.consumers or (reply is not None and reply.tag == tag):
        raise Refusal(NOT_ALLOWED, f"attempt to reuse consumer tag '{tag}'")
