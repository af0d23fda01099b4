"""Telling workers that nobody waits for a call any more: cancelled, or past its deadline.

A message of type ``rpc.cancel`` goes to the own queues of all workers of the service, for the caller does not know
which of them has the request. Its body is the calls' message ids, a line each. Who has a call of that id cancels its
handler, or does not begin it.
"""

from __future__ import annotations

from collections.abc import Iterable

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.client.call import Call
from rpc.errors import AMQPError
from rpc.headers import CANCEL
from rpc.messages import Properties
from rpc.topology import BROADCAST, everybody_key

_properties = encode_properties(Properties(type=CANCEL))


def cancel_calls(channel: Channel, identity: bytes, calls: Iterable[Call]) -> int:
    """Tell the workers of `calls`, whose message ids begin with `identity`.

    :return: how many messages were published.
    """
    routes: dict[tuple[str, str], list[bytes]] = {}
    for call in calls:
        operation = call.operation
        if not operation.method.oneway:
            one = "@" in operation.service or operation.exchange == BROADCAST
            key = operation.service if one else everybody_key(operation.service)
            routes.setdefault((operation.exchange, key), []).append(identity + b"%d" % call.number)
    published = 0
    for (exchange, key), ids in routes.items():
        try:
            channel.publish(exchange, key, _properties, b"\n".join(ids))
        except AMQPError:  # the channel has just ended, or the name with its suffix is too long
            continue
        published += 1
    return published
