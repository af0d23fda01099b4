"""The way of messages around a queue that is replaced, as declarations. Pure.

RabbitMQ cannot rename a queue or change its arguments, so a queue of the same name takes its place. Meanwhile messages
must reach exactly one queue. A queue cannot be bound and another unbound in one step, so a way of our own is laid
first::

    before     exchange ──────────────────────────────▶ queue
    entered    exchange ──▶ detour ───────────────────▶ queue
    diverted   exchange ──▶ detour ──▶ its alternate ──▶ store
    left       exchange ──────────────────────────────▶ new queue

The detour is an exchange. Messages that it can route to no queue go to its alternate exchange, and so into the store.
Each step is one change of bindings, so a message goes either the old way or the new one. Where two ways lead to one
queue, the queue gets the message once (RabbitMQ documentation, "Alternate Exchanges" and "Exchange to Exchange
Bindings"; AMQP 0-9-1, section 3.1.3.1).
"""

from __future__ import annotations

import attrs

from rpc.topology import Declaration


@attrs.frozen
class Names:
    """What is beside a queue while it is replaced.

    :ivar queue: the name of the queue itself.
    """

    queue: str

    @property
    def store(self) -> str:
        """The queue that has the messages meanwhile; the exchange of the detour has this name as well."""
        return f"{self.queue}.migrating"

    @property
    def alternate(self) -> str:
        """The alternate exchange of the detour."""
        return f"{self.store}.store"

    @property
    def trial(self) -> str:
        """A queue with which the broker checks the new arguments."""
        return f"{self.store}.trial"


@attrs.frozen
class Detour:
    """The detour of one queue that is bound to an exchange."""

    queue: str
    exchange: str
    routing_key: str

    @property
    def store(self) -> str:
        """The queue that takes the messages meanwhile."""
        return Names(self.queue).store

    @property
    def name(self) -> str:
        """The exchange beside the queue."""
        return Names(self.queue).store

    @property
    def alternate(self) -> str:
        """Its alternate exchange."""
        return Names(self.queue).alternate

    def prepare(self) -> list[Declaration]:
        """Declare both exchanges, and bind the store. No message takes this way yet."""
        internal = {"durable": True, "internal": True}
        alternate = {"alternate-exchange": self.alternate}
        return [
            Declaration("exchange_declare", {"exchange": self.alternate, "type": "fanout", **internal}),
            Declaration("queue_bind", {"queue": self.store, "exchange": self.alternate, "routing_key": ""}),
            Declaration(
                "exchange_declare", {"exchange": self.name, "type": "direct", **internal, "arguments": alternate}
            ),
        ]

    def enter(self) -> list[Declaration]:
        """Have all messages go to the queue by the detour."""
        return [self._bind("queue_bind"), self._through("exchange_bind"), self._direct("queue_unbind")]

    def divert(self) -> list[Declaration]:
        """Have all messages go into the store. Those that are being routed may still arrive in the queue."""
        return [self._bind("queue_unbind")]

    def leave(self) -> list[Declaration]:
        """Have all messages go to the queue of that name, the usual way, and delete the detour."""
        return [
            self._bind("queue_bind"),
            self._direct("queue_bind"),
            self._through("exchange_unbind"),
            Declaration("exchange_delete", {"exchange": self.name}),
            Declaration("exchange_delete", {"exchange": self.alternate}),
        ]

    def _direct(self, method: str) -> Declaration:
        """The binding of the queue to the exchange."""
        return Declaration(method, {"queue": self.queue, "exchange": self.exchange, "routing_key": self.routing_key})

    def _through(self, method: str) -> Declaration:
        """The binding of the detour to the exchange."""
        return Declaration(method, {"destination": self.name, "source": self.exchange, "routing_key": self.routing_key})

    def _bind(self, method: str) -> Declaration:
        """The binding of the queue to the detour."""
        return Declaration(method, {"queue": self.queue, "exchange": self.name, "routing_key": self.routing_key})
