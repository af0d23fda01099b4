"""Cancellations: messages of type ``rpc.cancel``, by which a client tells workers to cancel calls.

The body has the message ids of the calls, one a line. A worker that has such a call cancels its handler, or does not
begin it. Calls at a known worker are cancelled there, with one message for all of them. A call that may be at any
worker of its service is cancelled by a broadcast, which every worker of the service reads. Calls that have timed out
are not broadcast, since they may be thousands: their requests expire, and workers know the deadline themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.client.call import Call
from rpc.errors import AMQPError
from rpc.headers import CANCEL
from rpc.messages import Properties
from rpc.topology import BROADCAST

Route = tuple[str, str]
"""Exchange and routing key."""

_properties = encode_properties(Properties(type=CANCEL))


def cancellation_routes(calls: Iterable[Call], *, broadcast: bool) -> dict[Route, list[int]]:
    """Return the routes for the cancellation of `calls`, and the numbers of the calls for each route.

    :param broadcast: whether a call that may be at an unknown worker is cancelled at every worker of its service.
    """
    routes: dict[Route, list[int]] = {}
    for call in calls:
        if call.operation.oneway:  # a oneway request runs, once the broker has it
            continue
        for route in _routes_of(call, broadcast):
            routes.setdefault(route, []).append(call.number)
    return routes


def _routes_of(call: Call, broadcast: bool) -> list[Route]:
    operation = call.operation
    service = operation.service.partition("@")[0]
    workers = call.possible_workers
    if operation.options.exchange == BROADCAST and workers:  # each worker of the service has a copy
        workers = frozenset((None,))
    if None in workers and broadcast:
        return [(BROADCAST, service)]
    return [(operation.options.exchange, f"{service}@{worker}") for worker in sorted(filter(None, workers))]


def publish_cancellations(channel: Channel, identity: bytes, routes: dict[Route, list[int]]) -> int:
    """Publish a message for each route.

    :param identity: the beginning of the calls' message ids.
    :return: how many messages were published.
    """
    published = 0
    for (exchange, key), numbers in routes.items():
        body = b"\n".join(identity + b"%d" % number for number in numbers)
        try:
            channel.publish(exchange, key, _properties, body)
        except AMQPError:  # the channel has just ended, or the name with the instance is too long
            continue
        published += 1
    return published
