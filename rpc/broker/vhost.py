"""A virtual host: its exchanges and queues, the operations on them, and routing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rpc.broker.arguments import (
    QueueArguments,
    check_alternate,
    check_match,
    read_queue_arguments,
)
from rpc.broker.bindings import Bindings
from rpc.broker.dead_letter_publisher import DeadLetterPublisher
from rpc.broker.definitions import Definitions
from rpc.broker.equivalence import Declared, check_exchange, check_queue, locked
from rpc.broker.exchange import DIRECT, HEADERS, MATCHES, TYPES, Destination, Exchange
from rpc.broker.message import Message
from rpc.broker.names import DEFAULT, PREDECLARED, RESERVED, check_not_default, check_not_reserved, server_name
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.queue import Queue
from rpc.broker.ready import Entry
from rpc.broker.routing import route
from rpc.broker.timer import Timer
from rpc.broker.work import in_steps
from rpc.monotonic import wall_seconds
from rpc.reply_codes import ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED

if TYPE_CHECKING:
    from rpc.broker.broker import Broker
    from rpc.broker.connection import BrokerConnection
    from rpc.broker.store import Store


class VirtualHost:
    """Exchanges and queues of one name space.

    :ivar routes: routes that channels have found, by the bytes that name exchange and key. They are dropped when
        anything is declared, bound or deleted.
    :ivar reply_consumers: consumers of direct replies, by routing key.
    """

    def __init__(self, broker: Broker, name: str, store: Store | None = None) -> None:
        self.name = name
        self.broker = broker
        self.memory = broker.memory
        self.work = broker.work
        self.exchanges = {DEFAULT: Exchange(DEFAULT, DIRECT, True, False, False, {})}
        for exchange, kind in PREDECLARED.items():
            self.exchanges[exchange] = Exchange(exchange, kind, True, False, exchange == "amq.rabbitmq.trace", {})
        self.queues: dict[str, Queue] = {}
        self.reply_consumers: dict[str, Any] = {}
        self.routes: dict[bytes, Any] = {}
        self._bindings = Bindings(broker.memory)
        self._store = store
        self._dead_letters = DeadLetterPublisher(self, self._dead_letters_published)
        self._definitions = Definitions(name, store, self._dead_letters.pending)

    # -- services of a queue: see rpc.broker.queue_host

    def seconds(self) -> float:
        """The broker's clock."""
        return self.broker.clock.seconds()

    def wall_seconds(self) -> float:
        """The wall clock, for times that clients and a later broker read."""
        return wall_seconds(self.broker.clock)

    def timer(self, function: Callable[[], None]) -> Timer:
        """Return a timer whose function runs in a pass of the broker."""
        return Timer(self.broker.clock, lambda: self.broker.run_pass(function))

    def dead_letter(self, queue: Queue, entry: Entry, reason: str) -> None:
        """Publish a message to the queue's dead-letter exchange, if it has one, before the pass ends."""
        self._dead_letters.publish(queue, entry, reason)

    def delete_unused(self, queue: Queue) -> None:
        """Delete a queue that is used no more."""
        if not queue.deleted:
            self._remove_queue(queue)

    def persist(self, queue: Queue, entry: Entry) -> None:
        """Write a persistent message to the state."""
        if self._store is not None:
            self._store.persist(self.name, queue.name, entry)

    def recount(self, queue: Queue, entry: Entry) -> None:
        """Write the delivery count of a persistent message to the state."""
        if self._store is not None:
            self._store.recount(entry)

    def erase(self, queue: Queue, entry: Entry) -> None:
        """Remove a message from the state."""
        if self._store is not None:
            self._store.erase(entry)

    def restore_exchange(
        self, name: str, kind: str, auto_delete: bool, internal: bool, table: Mapping[str, Any]
    ) -> None:
        """Make a durable exchange that the state has."""
        exchange = self.exchanges[name] = Exchange(name, kind, True, auto_delete, internal, table)
        self.memory.restore_definition(exchange.size)

    def restore_queue(self, name: str, auto_delete: bool, table: Mapping[str, Any]) -> None:
        """Make a durable queue that the state has."""
        arguments = self._read(name, table)
        queue = Queue(self, name, durable=True, owner=None, auto_delete=auto_delete, table=table, arguments=arguments)
        self.memory.restore_definition(queue.size)
        self.queues[name] = queue
        queue.touch()

    def restore_binding(self, source: str, destination: Destination, key: str, table: Mapping[str, Any]) -> None:
        """Make a binding that the state has."""
        self._bindings.restore(self.exchanges[source], destination, key, table)

    # -- exchanges

    def exchange(self, name: str) -> Exchange:
        """Return the exchange of this name.

        :raises ProtocolError: 404, there is none.
        """
        found = self.exchanges.get(name)
        if found is None:
            raise ProtocolError(NOT_FOUND, f"no exchange '{name}' in vhost '{self.name}'")
        return found

    def declare_exchange(
        self, name: str, kind: str, durable: bool, auto_delete: bool, internal: bool, table: Mapping[str, Any]
    ) -> None:
        """Make an exchange, or check that the existing one is equivalent.

        :raises ProtocolError: 403, the name is reserved; 406, a property differs, or there are too many definitions;
            406 or 503, unknown type.
        """
        if kind not in TYPES:
            problem = "unknown" if kind else "invalid"
            raise ProtocolError(self.broker.compatibility.unknown_type, f"{problem} exchange type '{kind}'")
        check_not_default(name)
        there = self.exchanges.get(name)
        if there is None:
            check_not_reserved("exchange", name)
            check_alternate(f"'{name}' in vhost '{self.name}'", table)
            exchange = Exchange(name, kind, durable, auto_delete, internal, table)
            self.memory.define(f"declare exchange '{name}' in vhost '{self.name}'", exchange.size)
            self.exchanges[name] = exchange
            self._changed(exchange, True)
            return
        check_exchange(there, self.name, (kind, durable, auto_delete, internal), table)

    def delete_exchange(self, name: str, if_unused: bool) -> None:
        """Delete an exchange and its bindings; do nothing when it does not exist.

        :raises ProtocolError: 403, it is one of the broker's own; 406, it is in use.
        """
        check_not_default(name)
        if name.startswith(RESERVED):
            problem = f"deletion of system exchange '{name}' in vhost '{self.name}' not allowed"
            raise ProtocolError(ACCESS_REFUSED, problem)
        exchange = self.exchanges.get(name)
        if exchange is not None:
            if if_unused and exchange.in_use:
                raise ProtocolError(PRECONDITION_FAILED, f"exchange '{name}' in vhost '{self.name}' in use")
            self._remove_exchange(exchange)

    def _remove_exchange(self, exchange: Exchange) -> None:
        removed = [exchange]
        for each in removed:  # grows meanwhile: auto-delete exchanges may be bound in a chain of any length
            if self.exchanges.pop(each.name, None) is not None:
                self.memory.forget_definition(each.size)
                self._changed(each, False)
                self._bindings.source_deleted(each)
                removed += self._bindings.destination_deleted(each)

    # -- queues

    def queue(self, name: str, connection: BrokerConnection | None) -> Queue:
        """Return the queue of this name.

        :param connection: the connection that uses it; ``None``: any.
        :raises ProtocolError: 404, it does not exist; 405, another connection owns it.
        """
        queue = self.queues.get(name)
        if queue is None:
            raise ProtocolError(NOT_FOUND, f"no queue '{name}' in vhost '{self.name}'")
        if connection is not None and queue.owner not in (None, connection):
            raise locked(name, self.name)
        return queue

    def declare_queue(
        self, name: str, declared: Declared, table: Mapping[str, Any], connection: BrokerConnection
    ) -> Queue:
        """Return a new queue, or the existing one when it is equivalent. An empty name is replaced by a new one.

        :param connection: the owner of an exclusive queue.
        :raises ProtocolError: 403, the name is reserved; 405, another connection owns the queue; 406, a property or
            argument differs from the queue's, or has an invalid value, or there are too many definitions.
        """
        if not name:
            name = server_name("gen")
        else:
            check_not_reserved("queue", name)
        owner = connection if declared.exclusive else None
        queue = self.queues.get(name)
        if queue is not None:
            if queue.owner is not owner:
                raise locked(name, self.name)
            check_queue(queue, self.name, declared, table)
            queue.touch()
            return queue
        queue = Queue(
            self,
            name,
            durable=declared.durable,
            owner=owner,
            auto_delete=declared.auto_delete,
            table=table,
            arguments=self._read(name, table),
        )
        self.memory.define(f"declare queue '{name}' in vhost '{self.name}'", queue.size)
        self.queues[name] = queue
        queue.touch()
        if declared.exclusive:
            connection.exclusive_queues.add(queue)
        self._changed(queue, True)
        return queue

    def _read(self, name: str, table: Mapping[str, Any]) -> QueueArguments:
        return read_queue_arguments(f"'{name}' in vhost '{self.name}'", table, self.broker.compatibility)

    def delete_queue(self, name: str, if_unused: bool, if_empty: bool, connection: BrokerConnection) -> int:
        """Delete a queue; return the number of its ready messages: 0 when it does not exist.

        :raises ProtocolError: 405, another connection owns it; 406, it is used, or not empty.
        """
        if name not in self.queues:
            return 0
        queue = self.queue(name, connection)
        if if_unused and queue.consumers:
            raise ProtocolError(PRECONDITION_FAILED, f"queue '{name}' in vhost '{self.name}' in use")
        if if_empty and queue.ready.count:
            raise ProtocolError(PRECONDITION_FAILED, f"queue '{name}' in vhost '{self.name}' not empty")
        return self._remove_queue(queue)

    def _remove_queue(self, queue: Queue) -> int:
        del self.queues[queue.name]
        self.memory.forget_definition(queue.size)
        if queue.owner is not None:
            queue.owner.exclusive_queues.discard(queue)
        count = queue.close()
        self.work.do(in_steps([*queue.consumers], lambda consumer: consumer.channel.consumer_ended(consumer)))
        self._changed(queue, False)
        for exchange in self._bindings.destination_deleted(queue):
            self._remove_exchange(exchange)
        return count

    # -- bindings

    def bind(self, source: str, destination: Destination, routing_key: str, arguments: Mapping[str, Any]) -> None:
        """Bind a queue or exchange to an exchange. An existing binding is left as it is.

        :raises ProtocolError: 403, `source` is the default exchange; 404, it does not exist; 406, unknown ``x-match``,
            or there are too many definitions.
        """
        check_not_default(source)
        exchange = self.exchange(source)
        if exchange.type == HEADERS:
            check_match(arguments, MATCHES)
        if self._bindings.bind(exchange, destination, routing_key, arguments, self.name):
            self.routes.clear()
            self._definitions.binding_changed(exchange, destination, routing_key, arguments, True)

    def unbind(self, source: str, destination: Destination, routing_key: str, arguments: Mapping[str, Any]) -> None:
        """Remove a binding, if it exists. An auto-delete exchange is deleted with its last one.

        :raises ProtocolError: 403, `source` is the default exchange.
        """
        check_not_default(source)
        exchange = self.exchanges.get(source)
        if exchange is None:
            return
        binding = self._bindings.unbind(exchange, destination, routing_key, arguments)
        if binding is not None:
            self.routes.clear()
            self._definitions.binding_changed(exchange, destination, routing_key, binding.arguments, False)
            if exchange.auto_delete and not exchange.in_use:
                self._remove_exchange(exchange)

    def _changed(self, thing: Destination, there: bool) -> None:
        """Note that an exchange or queue was declared or deleted."""
        self.routes.clear()
        self._definitions.changed(thing, there)

    def _dead_letters_published(self, queue: str) -> None:
        self._definitions.dead_letters_published(queue)

    # -- routing

    def route(
        self, exchange: Exchange, routing_keys: Iterable[str], message: Message | None
    ) -> tuple[list[Queue], bool]:
        """Return the queues that a message is routed to (:func:`rpc.broker.routing.route`)."""
        return route(self.exchanges, self.queues, exchange, routing_keys, message)
