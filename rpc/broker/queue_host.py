"""The services that a queue needs of its virtual host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rpc.broker.memory import Memory
from rpc.broker.ready import Entry
from rpc.broker.timer import Timer
from rpc.broker.work import Work

if TYPE_CHECKING:
    from rpc.broker.queue import Queue


class QueueHost(Protocol):
    """The services of the broker that a queue uses."""

    memory: Memory
    work: Work

    def seconds(self) -> float:
        """The broker's clock."""

    def timer(self, function: Callable[[], None]) -> Timer:
        """A timer that calls `function`, and then has all output written that it caused."""

    def dead_letter(self, queue: Queue, entry: Entry, reason: str) -> None:
        """Publish a message to the queue's dead-letter exchange, if it has one, before the pass ends.

        The message is erased from the state in the same transaction that has its copies.
        """

    def delete_unused(self, queue: Queue) -> None:
        """Delete a queue that has lost its last consumer, or was unused for too long."""

    def persist(self, queue: Queue, entry: Entry) -> None:
        """Write a persistent message to the state, if there is one."""

    def recount(self, queue: Queue, entry: Entry) -> None:
        """Write the delivery count of a persistent message to the state, if there is one."""

    def erase(self, queue: Queue, entry: Entry) -> None:
        """Remove a message from the state."""
