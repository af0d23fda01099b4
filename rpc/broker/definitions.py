"""Keeps the definitions in the state file up to date: durable exchanges, queues and bindings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from rpc.broker.exchange import Destination, Exchange
from rpc.broker.queue import Queue
from rpc.broker.ready import Entry

if TYPE_CHECKING:
    from rpc.broker.store import Store


class Definitions:
    """The definitions of one virtual host, as its state file has them. Without a file it does nothing."""

    def __init__(self, vhost: str, store: Store | None, dying: Callable[[str], Collection[Entry]]) -> None:
        """:param dying: returns the dead letters of a queue's name that are not published yet."""
        self._vhost = vhost
        self._store = store
        self._dying = dying
        self._deleted: dict[str, Queue] = {}

    def changed(self, thing: Destination, there: bool) -> None:
        """Note that an exchange or queue was declared or deleted.

        A deleted queue stays in the state with its dead letters, until they are published: nothing else there has them.
        A new queue of its name takes them over.
        """
        if self._store is None:
            return
        if isinstance(thing, Queue) and thing.stored:
            self._erase_deleted(thing.name)  # an older queue of this name
            dying = self._dying(thing.name)
            if not there and dying:
                self._store.erase_all(thing, dying)
                self._deleted[thing.name] = thing
                return
        self._store.definition_changed(self._vhost, thing, there)

    def binding_changed(
        self, exchange: Exchange, destination: Destination, routing_key: str, arguments: Mapping[str, Any], there: bool
    ) -> None:
        """Note that a destination was bound or unbound."""
        if self._store is not None:
            self._store.binding_changed(self._vhost, exchange, destination, routing_key, arguments, there)

    def dead_letters_published(self, name: str) -> None:
        """Remove a deleted queue from the state: all its dead letters are published."""
        self._erase_deleted(name)

    def _erase_deleted(self, name: str) -> None:
        queue = self._deleted.pop(name, None)
        if queue is not None and self._store is not None:
            self._store.definition_changed(self._vhost, queue, False, keep=self._dying(name))
