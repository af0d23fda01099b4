"""Names of exchanges and queues, and the declarations of a service: data, no I/O.

Every declaration is valid on RabbitMQ 3.10 to 4.x: no transient queue that is not exclusive, unless a service asks for
it. Any worker of a service can repeat a declaration, since the arguments are the same.

In the normal state a service has one queue, and a worker one exclusive queue for all its services. The quarantine and
the queue of dead letters are declared when the first message needs them: with quorum queues, the empty ones of 300
services took RabbitMQ 21 CPU seconds to start.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

REQUESTS = "rpc"
"""Direct exchange of requests. The routing key is the service's name, or ``<service>@<instance>`` for one worker."""

BROADCAST = "rpc.broadcast"
"""Direct exchange that copies a message to every worker of the service that the routing key names."""

DEAD = "rpc.dead"
"""Direct exchange of dead letters. The routing key is the service's name, or ``<service>@<kind>``."""

CONSUMER_TIMEOUT = "x-consumer-timeout"
"""Argument of a queue: RabbitMQ's delivery acknowledgement timeout for it, in milliseconds (RabbitMQ documentation,
"Consumers").
"""

NESTED = "/nested"
"""Ending of the routing key by which a worker reaches itself, for the calls of its own handlers."""

DEAD_LETTERS_KEPT = 10_000
"""Dead letters of a kind. Beyond it the broker drops the oldest, so that an unread queue cannot fill its disk."""

DEAD_LETTER_BYTES = 256 * 1024 * 1024
"""The same bound for the bytes of their bodies."""


class DeadLetterKind(enum.Enum):
    """Why a request became a dead letter.

    Each kind has a queue with bounds of its own. So letters that any caller can make push out only their like, and none
    of those that a crash has left. The words are those of ``thrift-rpc dead --kind``, in the order of its list.
    """

    UNFINISHED = "unfinished"
    """Workers began it and did not finish it, more often than the service allows. Each letter has cost workers."""

    UNSERVED = "unserved"
    """It can be read, but a worker did not run it, and the sender could not be told."""

    INVALID = "invalid"
    """No worker of this service can read it, or the service does not accept it as it is."""


@attrs.frozen
class Declaration:
    """One method to invoke on a channel, by txAMQP's name of it."""

    method: str
    arguments: Mapping[str, Any]

    @property
    def is_exchange(self) -> bool:
        """Whether it declares an exchange."""
        return self.method == "exchange_declare"


@attrs.frozen
class ServiceTopology:
    """Names and declarations of one service.

    :ivar queue_type: ``"classic"`` or ``"quorum"`` (RabbitMQ's ``x-queue-type``).
    :ivar backlog: most ready requests; the broker rejects more (``x-max-length`` with ``reject-publish``).
    :ivar consumer_timeout: seconds that a worker may keep a request unacked (``x-consumer-timeout``); ``None``: the
        broker's default.
    :ivar max_priority: the highest priority of a request (``x-max-priority``); ``None``: there are no priorities.
    :ivar queue_arguments: further arguments of the request queue.
    :ivar declare_queue: whether the request queue is declared. ``False``: it is used as it is, and must exist.
    :ivar durable: ``False``: an exchange of the service's own and the request queue are declared as
        ``txamqp.contrib.thrift`` does: neither is durable, and the queue is deleted with its last consumer.
    """

    service: str
    exchange: str = REQUESTS
    queue: str = attrs.field()
    queue_type: str = "classic"
    backlog: int | None = None
    consumer_timeout: float | None = None
    max_priority: int | None = None
    queue_arguments: Mapping[str, Any] = attrs.field(factory=dict)
    declare_queue: bool = True
    durable: bool = True

    @queue.default
    def _default_queue(self) -> str:
        return f"rpc.{self.service}"

    @property
    def dead_queue(self) -> str:
        """The queue of the unfinished dead letters; the names of the other kinds' queues begin with it."""
        return f"{self.queue}.dead"

    def queue_of_kind(self, kind: DeadLetterKind) -> str:
        """Return the queue of the dead letters of one kind."""
        return self.dead_queue if kind is DeadLetterKind.UNFINISHED else f"{self.dead_queue}.{kind.value}"

    def key_of_kind(self, kind: DeadLetterKind) -> str:
        """Return the routing key of the dead letters of one kind. A service's name has no ``@``."""
        return self.service if kind is DeadLetterKind.UNFINISHED else f"{self.service}@{kind.value}"

    @property
    def quarantine_queue(self) -> str:
        """The queue of requests that may have ended several workers."""
        return f"{self.queue}.quarantine"

    def instance_key(self, instance: str) -> str:
        """The routing key of one worker."""
        return instance_key(self.service, instance)

    def nested_key(self, instance: str) -> str:
        """The routing key by which one worker sends requests to itself."""
        return f"{self.service}@{instance}{NESTED}"

    def requests(self) -> list[Declaration]:
        """The exchange, the request queue and its binding, the same for every worker of the service."""
        exchange = [] if self.exchange == REQUESTS else [direct_exchange(self.exchange, durable=self.durable)]
        return [*exchange, self.request_queue(), _bind(self.queue, self.exchange, self.service)]

    def request_queue(self) -> Declaration:
        """The request queue. One with a bound rejects what is over it: dropping would lose requests."""
        if not self.declare_queue:
            return existing_queue(self.queue)
        arguments = self._queue_arguments()
        if not self.durable:
            del arguments["x-queue-type"]  # the queue's other users give none, and RabbitMQ compares it
        if self.backlog is not None:
            arguments["x-max-length"] = self.backlog
        if self.max_priority is not None:
            arguments["x-max-priority"] = self.max_priority
        if self.backlog is not None or "x-max-length-bytes" in self.queue_arguments:
            arguments["x-overflow"] = "reject-publish"
        arguments.update(self.queue_arguments)
        return _durable_queue(self.queue, arguments) if self.durable else _transient_queue(self.queue, arguments)

    def instance_bindings(self, instance: str, queue: str, *, nested: bool) -> list[Declaration]:
        """Bindings of a worker's exclusive queue.

        :param nested: whether the worker's handlers may call this service.
        """
        keys = [self.instance_key(instance), *([self.nested_key(instance)] if nested else [])]
        return [*(_bind(queue, self.exchange, key) for key in keys), _bind(queue, BROADCAST, self.service)]

    def quarantine(self) -> list[Declaration]:
        """The quarantine queue."""
        return [_durable_queue(self.quarantine_queue, self._queue_arguments())]

    @property
    def dead_letter_queues(self) -> list[str]:
        """The queues of the dead letters, one for each kind."""
        return [self.queue_of_kind(kind) for kind in DeadLetterKind]

    @property
    def queues(self) -> list[str]:
        """The names of all durable queues of the service."""
        return [self.queue, self.quarantine_queue, *self.dead_letter_queues]

    def dead_letters(self, kind: DeadLetterKind = DeadLetterKind.UNFINISHED) -> list[Declaration]:
        """The exchange and the queue of the dead letters of one kind."""
        bounds = {"x-max-length": DEAD_LETTERS_KEPT, "x-max-length-bytes": DEAD_LETTER_BYTES}
        arguments = {"x-queue-type": self.queue_type} | bounds
        queue = self.queue_of_kind(kind)
        return [DEAD_EXCHANGE, _durable_queue(queue, arguments), _bind(queue, DEAD, self.key_of_kind(kind))]

    def _queue_arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"x-queue-type": self.queue_type}
        if self.consumer_timeout is not None:
            arguments[CONSUMER_TIMEOUT] = int(self.consumer_timeout * 1000)
        return arguments


def instance_key(service: str, instance: str) -> str:
    """Return the routing key by which one worker of a service is reached."""
    return f"{service}@{instance}"


def instance_of(key: str) -> str | None:
    """Return the instance of the worker that a routing key names; ``None``: it names a service."""
    _, at, instance = key.partition("@")
    return instance.removesuffix(NESTED) if at else None


def direct_exchange(name: str, *, durable: bool = True) -> Declaration:
    """Return the declaration of an exchange."""
    return Declaration("exchange_declare", {"exchange": name, "type": "direct", "durable": durable})


def existing_exchange(name: str) -> Declaration:
    """Return the declaration that only checks whether an exchange exists (AMQP 0-9-1, exchange.declare: *passive*)."""
    return Declaration("exchange_declare", {"exchange": name, "passive": True})


EXCHANGES = (direct_exchange(REQUESTS), direct_exchange(BROADCAST))
"""The exchanges of requests and cancellations."""

DEAD_EXCHANGE = direct_exchange(DEAD)

EXCLUSIVE_QUEUE = Declaration("queue_declare", {"queue": "", "exclusive": True, "auto_delete": True})
"""A queue that the broker names and that ends with its connection: a client's replies."""


def exclusive_queue(name: str) -> Declaration:
    """Return the declaration of a queue that ends with its connection."""
    return Declaration("queue_declare", {"queue": name, "exclusive": True, "auto_delete": True})


def existing_queue(name: str) -> Declaration:
    """Return the declaration that only checks whether a queue exists (AMQP 0-9-1, queue.declare: *passive*)."""
    return Declaration("queue_declare", {"queue": name, "passive": True})


def reply_route(queue: str, exchange: str) -> list[Declaration]:
    """Return the declarations by which replies that are published to `exchange` reach a client's queue by its name.

    The exchange is that of ``txamqp.contrib.thrift``, whose clients declare it like this.
    """
    return [direct_exchange(exchange, durable=False), _bind(queue, exchange, queue)]


def sentinel(queue: str, exchange: str) -> Declaration:
    """Return the binding by which a worker finds out that the bindings of `exchange` are gone: its own queue, bound
    with the queue's name.
    """
    return _bind(queue, exchange, queue)


def direct_bindings(service: str, instance: str, queue: str, exchanges: Iterable[str]) -> list[Declaration]:
    """Return the bindings of a service without a request queue to a worker's own queue.

    One worker is reached by its key at each of the `exchanges`, and all workers by the service's name at
    ``rpc.broadcast``.
    """
    one = [_bind(queue, exchange, instance_key(service, instance)) for exchange in exchanges]
    return [*one, _bind(queue, BROADCAST, service)]


def _durable_queue(name: str, arguments: Mapping[str, Any]) -> Declaration:
    return Declaration("queue_declare", {"queue": name, "durable": True, "arguments": arguments})


def _transient_queue(name: str, arguments: Mapping[str, Any]) -> Declaration:
    """Return a queue that does not survive the broker's restart, nor its last consumer."""
    return Declaration("queue_declare", {"queue": name, "durable": False, "auto_delete": True, "arguments": arguments})


def _bind(queue: str, exchange: str, routing_key: str) -> Declaration:
    return Declaration("queue_bind", {"queue": queue, "exchange": exchange, "routing_key": routing_key})
