"""Puts together the parts that serve one service on a worker's channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rpc.errors import ConfigurationError
from rpc.link import Link
from rpc.worker.consumer import Consumer
from rpc.worker.dispatcher import Dispatcher
from rpc.worker.reactor_watch import ReactorWatch
from rpc.worker.republisher import Republisher
from rpc.worker.request import Source
from rpc.worker.served import Direct, Served
from rpc.worker.server import Server
from rpc.worker.service import ThriftService


class Assembly:
    """Makes the parts, which share the worker's link, channel and watch."""

    def __init__(
        self,
        link: Link,
        server: Server,
        republisher: Republisher,
        clock: Any,
        watch: ReactorWatch,
        interceptors: tuple[Any, ...],
        on_consuming: Callable[[], None],
    ) -> None:
        """
        :param interceptors: of the worker.
        :param on_consuming: called whenever the request queue of a service is consumed.
        """
        self._link = link
        self._server = server
        self._republisher = republisher
        self._clock = clock
        self._watch = watch
        self._interceptors = interceptors
        self._on_consuming = on_consuming

    def serve(self, service: ThriftService, handler: Any, *, nested: bool) -> Served:
        """Serve a service from its queues.

        :param nested: whether handlers of this worker may call the service.
        :raises ConfigurationError: the service needs a feature that the version of AMQP lacks.
        """
        if not self._link.definition.has_confirms:
            _refuse_bounds(service, self._link.definition.name)
        self._link.allow(service.max_message_size)
        server, republisher = self._server, self._republisher
        quarantined = partial(server.consume_quarantine, service.name)
        dispatcher = Dispatcher(
            service, handler, server, republisher, self._clock, self._watch, quarantined, self._interceptors
        )
        consumer = Consumer(
            service,
            self._link,
            republisher,
            dispatcher.deliver,
            partial(dispatcher.deliver, source=Source.QUARANTINE),
            server,
            self._on_consuming,
            nested,
        )
        served = Served(service, dispatcher, consumer)
        server.add(served)
        return served

    def serve_direct(self, service: ThriftService) -> Direct:
        """Serve a service without a request queue, from the worker's own queue alone. The worker's interceptors do not
        see its requests, and none of them becomes a dead letter, for which a queue would be declared.
        """
        dispatcher = Dispatcher(
            service,
            service.handler,
            self._server,
            self._republisher,
            self._clock,
            self._watch,
            lambda: None,
            keeps_dead_letters=False,
        )
        direct = Direct(service, dispatcher)
        self._server.add_direct(direct)
        return direct


def _refuse_bounds(service: ThriftService, version: str) -> None:
    """Refuse a bound of a queue: without confirms, the broker drops a worker's copy of a request silently."""
    if "x-overflow" in service.topology().request_queue().arguments.get("arguments", {}):
        raise ConfigurationError(
            f"service {service.name}: backlog= and x-max-length-bytes need publisher confirms, which {version} lacks: "
            "leave spec= out, or the bounds"
        )


def refuse_doubles(services: Iterable[ThriftService]) -> None:
    """Check that services can be served by one worker.

    :raises ConfigurationError: there are none, or two have one name or a queue in common.
    """
    services = list(services)
    names = [service.name for service in services]
    if not names:
        raise ConfigurationError("a worker needs at least one service")
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two services are named {name!r}: give one of them another with name=")
    topologies = [service.topology() for service in services]
    taken: set[str] = set()
    for queue in (queue for each in topologies for queue in each.queues):
        if queue in taken:
            raise ConfigurationError(f"two services use the queue {queue!r}: give one of them another with queue=")
        taken.add(queue)
