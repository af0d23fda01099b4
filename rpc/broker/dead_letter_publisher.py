"""Publishes the dead letters of a virtual host to the exchanges of their queues (RabbitMQ: "Dead Letter Exchanges")."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from rpc.broker.dead_letters import REJECTED, dead_letter, queues_of_cycle
from rpc.broker.exchange import Exchange
from rpc.broker.message import Message
from rpc.broker.names import DEFAULT
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.queue import Queue
from rpc.broker.ready import Entry
from rpc.errors import CodecError
from rpc.printable import printable

if TYPE_CHECKING:
    from rpc.broker.vhost import VirtualHost


class DeadLetterPublisher:
    """The dead letters of one virtual host, from their death to their publication."""

    def __init__(self, vhost: VirtualHost, published: Callable[[str], None]) -> None:
        """:param published: called with the name of a queue when all its dead letters are published."""
        self._vhost = vhost
        self._broker = vhost.broker
        self._memory = vhost.memory
        self._published = published
        self._pending: dict[str, dict[Entry, None]] = {}

    def pending(self, queue: str) -> Collection[Entry]:
        """Return the dead letters that are not published yet, of all queues that have had this name."""
        return self._pending.get(queue, {})

    def publish(self, queue: Queue, entry: Entry, reason: str) -> None:
        """Publish a message to the queue's dead-letter exchange, if it has one, before the pass ends.

        A pass publishes a limited number, and a process may end between two. So the message stays in the state until
        its copies are written there: then both changes are in one transaction.
        """
        if queue.arguments.dead_letter_exchange is None or self._memory.exhausted:
            self._vhost.erase(queue, entry)
            return
        self._memory.take(entry.message.size)
        self._pending.setdefault(queue.name, {})[entry] = None
        self._broker.at_end_of_pass(lambda: self._publish(queue, entry, reason))

    def _publish(self, queue: Queue, entry: Entry, reason: str) -> None:
        self._memory.release(entry.message.size)
        exchange = self._vhost.exchanges.get(queue.arguments.dead_letter_exchange or DEFAULT)
        if exchange is not None:  # else the message is lost (RabbitMQ: "Dead Letter Exchanges", Routing)
            self._route(queue, entry.message, reason, exchange)
        self._vhost.erase(queue, entry)
        pending = self._pending[queue.name]
        del pending[entry]
        if not pending:
            del self._pending[queue.name]
            self._published(queue.name)

    def _route(self, queue: Queue, message: Message, reason: str, exchange: Exchange) -> None:
        key, now = queue.arguments.dead_letter_routing_key, self._vhost.wall_seconds()
        try:
            dead, keys = dead_letter(message, queue.name, reason, now, exchange.name, key, self._broker.compatibility)
            targets, _ = self._vhost.route(exchange, keys, dead)
            if reason != REJECTED:
                cycle = queues_of_cycle(dead)  # once: the history of a peer may take long to decode
                targets = [target for target in targets if target.name not in cycle]
        except CodecError as error:
            self._log_loss(queue, f"its headers are malformed: {error}")
            return
        except ProtocolError as error:
            self._log_loss(queue, str(error))
            return
        for target in targets:
            target.publish(dead)

    def _log_loss(self, queue: Queue, problem: str) -> None:
        """Log that a message is lost. A peer can have very many of them lost."""
        self._broker.losses.note(lambda: printable(f"a message of queue '{queue.name}' is lost: {problem}"))
