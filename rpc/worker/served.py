"""The services of one worker, and the routing keys by which requests for them come to the worker's own queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from rpc.amqp.codec.fields import encode_short_string
from rpc.topology import BROADCAST, REQUESTS, Declaration, direct_bindings
from rpc.worker.consumer import Consumer
from rpc.worker.dispatcher import Dispatcher
from rpc.worker.request import Source
from rpc.worker.service import ThriftService


@attrs.frozen
class Direct:
    """A service without a request queue: all its requests come by the worker's own queue."""

    service: ThriftService
    dispatcher: Dispatcher

    def bindings(self, instance: str, queue: str, exchanges: Iterable[str]) -> list[Declaration]:
        """Return the bindings of the worker's own queue.

        :param exchanges: those at which this worker alone can be asked.
        """
        return direct_bindings(self.service.name, instance, queue, exchanges)

    def routes(self, instance: str) -> Iterator[tuple[bytes, Source]]:
        """Yield the routes of :meth:`bindings`, as deliveries have them, with the source of their requests."""
        for binding in self.bindings(instance, "", (REQUESTS, BROADCAST)):
            yield _route(binding.arguments["exchange"], binding.arguments["routing_key"]), Source.DIRECT


@attrs.frozen
class Served(Direct):
    """A service on the worker's channel, with a request queue."""

    consumer: Consumer

    def routes(self, instance: str) -> Iterator[tuple[bytes, Source]]:
        """See :meth:`Direct.routes`."""
        topology = self.service.topology()
        yield _route(topology.exchange, topology.instance_key(instance)), Source.DIRECT
        yield _route(topology.exchange, topology.nested_key(instance)), Source.NESTED
        yield _route(BROADCAST, self.service.name), Source.DIRECT


def _route(exchange: str, key: str) -> bytes:
    """Return the bytes that ``Delivery.routing`` has."""
    return encode_short_string(exchange) + encode_short_string(key)
