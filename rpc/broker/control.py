"""The control methods of a channel, by their names in the specification.

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
from rpc.broker.exchange import Exchange
from rpc.broker.names import check_not_default, server_name
from rpc.broker.protocol_error import (
    ACCESS_REFUSED,
    CHANNEL_ERROR,
    NOT_ALLOWED,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    PRECONDITION_FAILED,
    ProtocolError,
)
from rpc.broker.queue import Queue
from rpc.broker.vhost import Declared

if TYPE_CHECKING:
    from rpc.broker.channel import Channel

Table: TypeAlias = Mapping[str, Any]
Method: TypeAlias = Callable[..., None]

_method_head = Struct(">BHII")
_tag_and_flags = Struct(">QB")
_count = Struct(">I")


# -- class channel


def _open(channel: Channel, _: str) -> None:
    raise ProtocolError(CHANNEL_ERROR, "second 'channel.open' seen")


def _flow(channel: Channel, active: bool) -> None:
    if not active:
        raise ProtocolError(NOT_IMPLEMENTED, "active=false")
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
    name = _without_line_ends(name)
    if passive:
        check_not_default(name)
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
    check_not_default(destination)
    check_not_default(source)
    channel.vhost.bind(source, channel.vhost.exchange(destination), key, arguments)
    _answer(channel, nowait, "exchange.bind-ok")


def _exchange_unbind(
    channel: Channel, _: int, destination: str, source: str, key: str, nowait: bool, arguments: Table
) -> None:
    check_not_default(destination)
    check_not_default(source)
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
    vhost, connection, name = channel.vhost, channel.connection, _without_line_ends(name)
    if name == REPLY_TO or name in vhost.reply_consumers:
        _answer(channel, nowait, "queue.declare-ok", name, 0, 1)
        return
    if passive or name.startswith(f"{REPLY_TO}."):
        queue = vhost.queue(name, connection)
        queue.touch()
    else:
        queue = vhost.declare_queue(name, Declared(durable, exclusive, auto_delete), arguments, connection)
    channel.last_queue = queue.name
    _answer(channel, nowait, "queue.declare-ok", queue.name, queue.ready.count, len(queue.consumers))


def _queue_bind(channel: Channel, _: int, name: str, source: str, key: str, nowait: bool, arguments: Table) -> None:
    name, key = _named(channel, name), _key(channel, name, key)
    check_not_default(source)
    channel.vhost.exchange(source)
    channel.vhost.bind(source, channel.vhost.queue(name, channel.connection), key, arguments)
    _answer(channel, nowait, "queue.bind-ok")


def _queue_unbind(channel: Channel, _: int, name: str, source: str, key: str, arguments: Table) -> None:
    name, key = _named(channel, name), _key(channel, name, key)
    check_not_default(source)
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
    queue = channel.vhost.queue(_named(channel, name), channel.connection)
    tag = tag or server_name("ctag")
    _check_tag_unused(channel, tag)
    if queue.consumers and (exclusive or queue.consumers[0].exclusive):
        raise ProtocolError(ACCESS_REFUSED, f"queue '{queue.name}' in vhost '{channel.vhost.name}' in exclusive use")
    priority = check_priority(f"'{queue.name}' in vhost '{channel.vhost.name}'", arguments)
    consumer = Consumer(
        channel, queue, tag, no_ack=no_ack, exclusive=exclusive, prefetch=channel.prefetch, priority=priority
    )
    channel.consumers[tag] = consumer
    _answer(channel, nowait, "basic.consume-ok", tag)
    queue.add_consumer(consumer)


def _consume_direct_replies(channel: Channel, tag: str, no_ack: bool, nowait: bool) -> None:
    if channel.direct_reply is not None:
        raise ProtocolError(PRECONDITION_FAILED, "reply consumer already set")
    if not no_ack:
        raise ProtocolError(PRECONDITION_FAILED, "reply consumer cannot acknowledge")
    tag = tag or server_name("ctag")
    _check_tag_unused(channel, tag)
    channel.consume_direct_replies(DirectReply(channel, tag))
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
    channel.requeue_all()


def _ignore(channel: Channel, *_: object) -> None:
    """Ignore an answer to a request that the broker has completed already."""


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
"""The function for each method."""


def _answer(channel: Channel, nowait: bool, name: str, *arguments: Any) -> None:
    if not nowait:
        channel.reply(name, *arguments)


def _without_line_ends(name: str) -> str:
    """Names are declared without line ends, as in RabbitMQ."""
    return name.replace("\r", "").replace("\n", "")


def _named(channel: Channel, name: str) -> str:
    """An empty name means the queue that the channel has declared last (AMQP 0-9-1, queue.bind)."""
    if not name and not channel.last_queue:
        raise ProtocolError(NOT_FOUND, "no previously declared queue")
    return name or channel.last_queue


def _key(channel: Channel, name: str, key: str) -> str:
    """Without a key, and of the queue that was declared last, that queue's name is meant (AMQP 0-9-1, queue.bind)."""
    return key or ("" if name else channel.last_queue)


def _unbind(channel: Channel, destination: Queue | Exchange | None, source: str, key: str, arguments: Table) -> None:
    """Remove a binding. RabbitMQ takes an unknown one for removed already."""
    if destination is not None:
        channel.vhost.unbind(source, destination, key, arguments)


def _check_tag_unused(channel: Channel, tag: str) -> None:
    reply = channel.direct_reply
    if tag in channel.consumers or (reply is not None and reply.tag == tag):
        raise ProtocolError(NOT_ALLOWED, f"attempt to reuse consumer tag '{tag}'")
