"""The queues of a service that a migration replaces, and how each is declared anew. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from rpc.cli.copies import CopyOf, copy_as_it_is, copy_with_count
from rpc.cli.queue_detour import Detour, Names
from rpc.topology import DEAD, DeadLetterKind, Declaration, ServiceTopology

Step: TypeAlias = Callable[[Detour], list[Declaration]]


@attrs.frozen
class Replacement:
    """One queue, and how it is to be declared.

    :ivar exchange: the exchange that it is bound to; ``None``: messages are sent to its name.
    :ivar copy_of: makes the properties of a message that is moved out of it.
    """

    declaration: Declaration
    exchange: str | None
    routing_key: str
    copy_of: CopyOf

    @property
    def queue(self) -> str:
        """Its name."""
        name: str = self.declaration.arguments["queue"]
        return name

    @property
    def store(self) -> Declaration:
        """The queue that has the messages meanwhile. It has no bound: each message must fit."""
        queue_type = {"x-queue-type": self.declaration.arguments["arguments"]["x-queue-type"]}
        return Declaration(
            "queue_declare", {"queue": Names(self.queue).store, "durable": True, "arguments": queue_type}
        )

    def detour(self, *steps: Step) -> list[Declaration]:
        """Return the declarations of some steps; none for a queue that is not bound."""
        if self.exchange is None:
            return []
        detour = Detour(self.queue, self.exchange, self.routing_key)
        return [declaration for step in steps for declaration in step(detour)]


def replacements(topology: ServiceTopology) -> list[Replacement]:
    """Return the queues of a service, the request queue last: when it is there, new workers may begin."""
    (quarantine,) = topology.quarantine()
    request_queue = topology.request_queue()
    return [
        Replacement(quarantine, None, "", copy_with_count),
        *(_dead_letters(topology, kind) for kind in DeadLetterKind),
        Replacement(request_queue, topology.exchange, topology.service, copy_with_count),
    ]


def _dead_letters(topology: ServiceTopology, kind: DeadLetterKind) -> Replacement:
    _, queue, _ = topology.dead_letters(kind)
    return Replacement(queue, DEAD, topology.key_of_kind(kind), copy_as_it_is)
