"""Keeps the definitions in the state file up to date: durable exchanges, queues and bindings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rpc.broker.exchange import Destination, Exchange
from rpc.broker.queue import Queue

if TYPE_CHECKING:
    from rpc.broker.store import Store


class Definitions:
    """The definitions of one virtual host, as its state file has them. Without a file it does nothing."""

    def __init__(self, vhost: str, store: Store | None, is_publishing: Callable[[Queue], bool]) -> None:
        """:param is_publishing: returns whether dead letters of a queue are not published yet."""
        self._vhost = vhost
        self._store = store
        self._is_publishing = is_publishing
        self._deleted: dict[str, Queue] = {}

    def changed(self, thing: Destination, there: bool) -> None:
        """Note that an exchange or queue was declared or deleted.

        A deleted queue stays in the state until its dead letters are published: nothing else there has them.
        """
        if self._store is None:
            return
        if isinstance(thing, Queue):
            self._erase_deleted(thing.name)  # an older queue of this name
            if not there and self._is_publishing(thing):
                self._deleted[thing.name] = thing
                return
        self._store.definition_changed(self._vhost, thing, there)

    def binding_changed(
        self, exchange: Exchange, destination: Destination, routing_key: str, arguments: Mapping[str, Any], there: bool
    ) -> None:
        """Note that a destination was bound or unbound."""
        if self._store is not None:
            self._store.binding_changed(self._vhost, exchange, destination, routing_key, arguments, there)

    def dead_letters_published(self, queue: Queue) -> None:
        """Remove a deleted queue from the state: all its dead letters are published."""
        if self._deleted.get(queue.name) is queue:
            self._erase_deleted(queue.name)

    def _erase_deleted(self, name: str) -> None:
        queue = self._deleted.pop(name, None)
        if queue is not None and self._store is not None:
            self._store.definition_changed(self._vhost, queue, False)
