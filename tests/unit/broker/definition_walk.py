"""The bytes of all definitions of a broker, by a plain walk over it."""

from __future__ import annotations

from typing import Any

from rpc.broker import sizes
from rpc.broker.broker import Broker
from rpc.broker.names import DEFAULT, PREDECLARED
from tests.unit.broker.durable_state import channels_of


def size_of_definitions(broker: Broker) -> int:
    """Channels and their consumers, queues, exchanges that peers have declared, and bindings."""
    size = 0
    for channel in channels_of(broker):
        size += sizes.CHANNEL + sum(map(sizes.consumer_size, channel.consumers))
    for vhost in broker.vhosts.values():
        size += sum(map(_queue, vhost.queues.values()))
        for name, exchange in vhost.exchanges.items():
            if name not in (DEFAULT, *PREDECLARED):
                size += sizes.exchange_size(name, exchange.arguments)
            size += sum(each.size for each in exchange.bindings)
    return size


def _queue(queue: Any) -> int:
    return sizes.queue_size(queue.name, queue.arguments.priorities, queue.table)
