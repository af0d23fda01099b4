"""The control methods of a channel, by their names in the specification.

Each function takes the channel, and the method's arguments in the specification's order. Errors are ``ProtocolError``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rpc.broker.basic_control import BASIC_CONTROL, Method
from rpc.broker.direct_reply import REPLY_TO
from rpc.broker.equivalence import Declared
from rpc.broker.exchange import Exchange
from rpc.broker.names import check_not_default
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.queue import Queue
from rpc.reply_codes import CHANNEL_ERROR, NOT_IMPLEMENTED

if TYPE_CHECKING:
    from rpc.broker.channel import Channel

Table: TypeAlias = Mapping[str, Any]


# -- class channel


def _ignore(channel: Channel, *_: object) -> None:
    """Ignore an answer to a request that the broker has completed already."""


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
    channel.answer(nowait, "exchange.declare-ok")


def _exchange_delete(channel: Channel, _: int, name: str, if_unused: bool, nowait: bool) -> None:
    channel.vhost.delete_exchange(name, if_unused)
    channel.answer(nowait, "exchange.delete-ok")


def _exchange_bind(
    channel: Channel, _: int, destination: str, source: str, key: str, nowait: bool, arguments: Table
) -> None:
    check_not_default(destination)
    check_not_default(source)
    channel.vhost.bind(source, channel.vhost.exchange(destination), key, arguments)
    channel.answer(nowait, "exchange.bind-ok")


def _exchange_unbind(
    channel: Channel, _: int, destination: str, source: str, key: str, nowait: bool, arguments: Table
) -> None:
    check_not_default(destination)
    check_not_default(source)
    _unbind(channel, channel.vhost.exchanges.get(destination), source, key, arguments)
    channel.answer(nowait, "exchange.unbind-ok")


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
        channel.answer(nowait, "queue.declare-ok", name, 0, 1)
        return
    if passive or name.startswith(f"{REPLY_TO}."):
        queue = vhost.queue(name, connection)
        queue.touch()
    else:
        queue = vhost.declare_queue(name, Declared(durable, exclusive, auto_delete), arguments, connection)
    channel.last_queue = queue.name
    channel.answer(nowait, "queue.declare-ok", queue.name, queue.ready.count, len(queue.consumers))


def _queue_bind(channel: Channel, _: int, name: str, source: str, key: str, nowait: bool, arguments: Table) -> None:
    name, key = channel.queue_name(name), _key(channel, name, key)
    check_not_default(source)
    channel.vhost.exchange(source)
    channel.vhost.bind(source, channel.vhost.queue(name, channel.connection), key, arguments)
    channel.answer(nowait, "queue.bind-ok")


def _queue_unbind(channel: Channel, _: int, name: str, source: str, key: str, arguments: Table) -> None:
    name, key = channel.queue_name(name), _key(channel, name, key)
    check_not_default(source)
    _unbind(channel, channel.vhost.queues.get(name), source, key, arguments)
    channel.reply("queue.unbind-ok")


def _queue_purge(channel: Channel, _: int, name: str, nowait: bool) -> None:
    queue = channel.vhost.queue(channel.queue_name(name), channel.connection)
    channel.answer(nowait, "queue.purge-ok", queue.purge())


def _queue_delete(channel: Channel, _: int, name: str, if_unused: bool, if_empty: bool, nowait: bool) -> None:
    count = channel.vhost.delete_queue(channel.queue_name(name), if_unused, if_empty, channel.connection)
    channel.answer(nowait, "queue.delete-ok", count)


# -- class confirm


def _confirm_select(channel: Channel, nowait: bool) -> None:
    channel.publisher.confirming = True
    channel.answer(nowait, "confirm.select-ok")


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
    "confirm.select": _confirm_select,
    "basic.cancel-ok": _ignore,
    **BASIC_CONTROL,
}
"""The function for each method."""


def _without_line_ends(name: str) -> str:
    """Names are declared without line ends, as in RabbitMQ."""
    return name.replace("\r", "").replace("\n", "")


def _key(channel: Channel, name: str, key: str) -> str:
    """Without a key, and of the queue that was declared last, that queue's name is meant (AMQP 0-9-1, queue.bind)."""
    return key or ("" if name else channel.last_queue)


def _unbind(channel: Channel, destination: Queue | Exchange | None, source: str, key: str, arguments: Table) -> None:
    """Remove a binding. RabbitMQ takes an unknown one for removed already."""
    if destination is not None:
        channel.vhost.unbind(source, destination, key, arguments)
