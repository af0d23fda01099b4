"""The content that a broker's state file must have: a plain walk over the broker's exchanges, queues and messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from rpc.broker.broker import Broker
from rpc.broker.exchange import Exchange
from rpc.broker.names import RESERVED
from rpc.broker.queue import Queue
from rpc.broker.ready import Entry


@attrs.frozen
class Durable:
    """Durable things.

    :ivar exchanges: type, auto-delete and arguments by name.
    :ivar queues: auto-delete and arguments by name.
    :ivar bindings: source, whether the destination is a queue, its name, and the routing key.
    :ivar messages: bodies by queue, in the order of their positions; unacked ones and dead letters that are not
        published yet as well.
    :ivar dying: names of queues with such dead letters that are deleted, or have been. They may be in the file.
    """

    exchanges: dict[str, Any]
    queues: dict[str, Any]
    bindings: set[tuple[str, bool, str, str]]
    messages: dict[str, list[bytes]]
    dying: frozenset[str]

    def check_restored(self, restored: Durable) -> None:
        """Check the state of a broker that has read the file."""
        assert restored.exchanges == self.exchanges
        lasting = {name: table for name, table in restored.queues.items() if name not in self.dying - {*self.queues}}
        assert lasting == self.queues
        assert {each for each in restored.bindings if not (each[1] and each[2] in self.dying)} == {
            each for each in self.bindings if not (each[1] and each[2] in self.dying)
        }
        assert {*restored.messages} == {*self.messages}
        for name, bodies in self.messages.items():
            ordered = sorted if name in self.dying else list
            assert ordered(restored.messages[name]) == ordered(bodies), name


def durable_state(broker: Broker) -> Durable:
    """Walk over a broker."""
    vhost = broker.vhosts["/"]
    queues = {name: queue for name, queue in vhost.queues.items() if queue.stored}
    exchanges = {name: each for name, each in vhost.exchanges.items() if each.durable}
    entries: dict[str, list[Entry]] = {}
    dying: set[str] = set()
    for entry, is_dying in entries_of(broker):
        queue = entry.queue
        if not (queue.stored and entry.message.persistent) or (queue.deleted and not is_dying):
            continue
        entries.setdefault(queue.name, []).append(entry)
        if queue.deleted:
            dying.add(queue.name)
    return Durable(
        {
            name: (each.type, each.auto_delete, {**each.arguments})
            for name, each in exchanges.items()
            if name and not name.startswith(RESERVED)
        },
        {name: (queue.auto_delete, {**queue.table}) for name, queue in queues.items()},
        {binding for each in exchanges.values() for binding in _bindings(each)},
        {
            name: [each.message.body for each in sorted(found, key=lambda each: each.position)]
            for name, found in entries.items()
        },
        frozenset(dying),
    )


def entries_of(broker: Broker) -> Iterator[tuple[Entry, bool]]:
    """All messages of a broker, and whether each is a dead letter that is not published yet."""
    vhost: Any = broker.vhosts["/"]
    for queue in vhost.queues.values():
        yield from ((entry, False) for entry in queue.ready)
    for channel in channels_of(broker):
        yield from ((entry, False) for entry in channel.unacked.values())
    for pending in vhost._dead_letters._pending.values():
        yield from ((entry, True) for entry in pending)


def channels_of(broker: Broker) -> Iterator[Any]:
    """All channels that are open."""
    for connection in broker.connections:
        yield from (channel for channel in connection._channels.values() if hasattr(channel, "unacked"))


def _bindings(exchange: Exchange) -> Iterator[tuple[str, bool, str, str]]:
    for each in exchange.bindings:
        target = each.destination
        lasting = target.stored if isinstance(target, Queue) else target.durable
        if lasting:
            yield exchange.name, isinstance(target, Queue), target.name, each.routing_key
