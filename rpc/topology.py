"""Names of exchanges and queues, and what has to be declared for a service: data, no I/O.

Everything here is valid on RabbitMQ 3.10 to 4.x: no transient queue that is not exclusive, and a durable queue can be
declared again by any worker as long as the arguments are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

REQUESTS = "rpc"
"""Direct exchange of requests; the routing key is the service's name, or ``<service>@<instance>``."""

BROADCAST = "rpc.broadcast"
"""Direct exchange that copies a request to every worker of the service named by the routing key."""

DEAD = "rpc.dead"
"""Direct exchange of requests that no worker can run, routed by the service's name."""

NESTED = "/nested"
NESTED_KEY_ENDS = NESTED.encode()

DEAD_LETTERS_KEPT = 10_000
"""The oldest dead letters make way for new ones beyond this number: a queue nobody reads must not fill the broker."""

DEAD_LETTER_BYTES = 256 * 1024 * 1024
"""The same for the bytes of their bodies."""


@attrs.frozen
class Declaration:
    """One method to invoke on a channel, by txAMQP's name of it."""

    method: str
    arguments: Mapping[str, Any]


@attrs.frozen
class ServiceTopology:
    """What one service needs on the broker.

    :ivar queue_type: ``"classic"`` or ``"quorum"`` (RabbitMQ's ``x-queue-type``).
    :ivar backlog: most requests waiting; the broker refuses more (RabbitMQ's ``x-max-length``, ``reject-publish``).
    """

    service: str
    exchange: str = REQUESTS
    queue: str = attrs.field()
    queue_type: str = "classic"
    backlog: int | None = None

    @queue.default
    def _default_queue(self) -> str:
        return f"rpc.{self.service}"

    @property
    def dead_queue(self) -> str:
        """The queue of this service's dead letters."""
        return f"{self.queue}.dead"

    @property
    def quarantine_queue(self) -> str:
        """The queue of requests that were in the hands of workers that died, again and again."""
        return f"{self.queue}.quarantine"

    def instance_key(self, instance: str) -> str:
        """The routing key of one worker."""
        return f"{self.service}@{instance}"

    def nested_key(self, instance: str) -> str:
        """The routing key by which one worker sends itself what its handlers call."""
        return f"{self.service}@{instance}{NESTED}"

    def shared(self) -> list[Declaration]:
        """Exchanges and durable queues, the same for every worker of the service."""
        arguments: dict[str, Any] = {"x-queue-type": self.queue_type}
        if self.backlog is not None:
            arguments |= {"x-max-length": self.backlog, "x-overflow": "reject-publish"}
        bounds = {"x-max-length": DEAD_LETTERS_KEPT, "x-max-length-bytes": DEAD_LETTER_BYTES}
        return [
            *(_exchange(name) for name in (self.exchange, BROADCAST, DEAD)),
            _durable_queue(self.queue, arguments),
            _bind(self.queue, self.exchange, self.service),
            _durable_queue(self.quarantine_queue, {"x-queue-type": self.queue_type}),
            _durable_queue(self.dead_queue, {"x-queue-type": self.queue_type} | bounds),
            _bind(self.dead_queue, DEAD, self.service),
        ]

    def own(self, instance: str, queue: str) -> list[Declaration]:
        """Bindings of one worker's exclusive queue, which the broker has named."""
        return [
            _bind(queue, self.exchange, self.instance_key(instance)),
            _bind(queue, self.exchange, self.nested_key(instance)),
            _bind(queue, self.exchange, everybody_key(self.service)),
            _bind(queue, BROADCAST, self.service),
        ]


def instance_of(key: str) -> str | None:
    """Return the instance of the worker that a routing key names; ``None``: it names a service."""
    _, at, instance = key.partition("@")
    return instance.removesuffix(NESTED) if at else None


def everybody_key(service: str) -> str:
    """The routing key of what concerns every worker of a service."""
    return f"{service}@*"


def _exchange(name: str) -> Declaration:
    return Declaration("exchange_declare", {"exchange": name, "type": "direct", "durable": True})


EXCHANGES = (_exchange(REQUESTS), _exchange(BROADCAST))
"""Where every client publishes."""

DEAD_EXCHANGE = _exchange(DEAD)

EXCLUSIVE_QUEUE = Declaration("queue_declare", {"queue": "", "exclusive": True, "auto_delete": True})
"""A queue that the broker names and that goes with its connection: replies, and requests to one worker."""


def _durable_queue(name: str, arguments: Mapping[str, Any]) -> Declaration:
    return Declaration("queue_declare", {"queue": name, "durable": True, "arguments": arguments})


def _bind(queue: str, exchange: str, routing_key: str) -> Declaration:
    return Declaration("queue_bind", {"queue": queue, "exchange": exchange, "routing_key": routing_key})
