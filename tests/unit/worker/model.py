"""A broker with the queues of one service, in memory, as far as the promises about redelivery depend on it.

It delivers to workers, and takes acks and copies. When a channel ends, its unacked messages are requeued, with the
flag *redelivered*. Everything a worker writes passes through real frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import attrs

from rpc.headers import MAYBE_EXECUTED, OUTCOME
from rpc.messages import Properties
from tests.unit.wire import Wire

REQUESTS, QUARANTINE, DEAD = "rpc.Calculator", "rpc.Calculator.quarantine", "dead letters"


@attrs.define(eq=False)
class Message:
    """A message in a queue, or with a worker."""

    name: str
    properties: Properties
    body: bytes
    redelivered: bool = False


class ModelBroker:
    """Three queues, and the replies that were sent.

    :ivar replied: names of the calls that were answered, in order.
    :ivar on_rejected: called with the name of a call that a worker says it has rejected and that surely was not run.
    :ivar owners: originals whose copies a worker has published, with that worker's wire, until it has acked them.
    """

    def __init__(self) -> None:
        self.queues: dict[str, deque[Message]] = {name: deque() for name in (REQUESTS, QUARANTINE, DEAD)}
        self.replied: list[str] = []
        self.on_rejected: Callable[[str], None] = lambda name: None
        self.owners: dict[Message, WorkerWire] = {}

    def publish(self, exchange: str, routing_key: str, properties: Properties, body: bytes) -> None:
        """Take a message."""
        name = str(properties.message_id)
        queue = DEAD if exchange == "rpc.dead" else routing_key
        if queue in self.queues:
            self.queues[queue].append(Message(name, properties, body))
        elif routing_key == "amq.gen-replies":
            self.replied.append(name)
            headers = properties.headers or {}
            if OUTCOME in headers and MAYBE_EXECUTED not in headers:
                self.on_rejected(name)

    def names(self, queue: str) -> list[str]:
        """Return the names of the calls in a queue."""
        return [message.name for message in self.queues[queue]]


class WorkerWire(Wire):
    """The broker's end of one worker's connection.

    :ivar unacked: messages with the worker, by delivery tag, with the consumer and the queue they came by.
    """

    def __init__(self, broker: ModelBroker) -> None:
        super().__init__()
        self.broker = broker
        self.unacked: dict[int, tuple[str, str, Message]] = {}
        self._consumers: dict[str, tuple[str, int]] = {}
        self._prefetch = 0
        self._on_publish: Callable[[Any], None] | None = None

    def open(self, user: Any) -> Any:
        self.forget()
        return super().open(user)

    def forget(self) -> None:
        """Requeue all unacked messages in their old order, because the worker's channel is gone."""
        for tag in sorted(self.unacked, reverse=True):
            _, queue, message = self.unacked[tag]
            message.redelivered = True
            self.broker.queues[queue].appendleft(message)
        self.unacked.clear()
        self._consumers.clear()
        self.last_tag = 0

    def _agree(self, channel: int, name: str, args: tuple[Any, ...]) -> None:
        if name == "basic.qos":
            self._prefetch = args[1]
        elif name == "basic.consume":
            self._consumers[args[2]] = args[1], self._prefetch
        elif name == "basic.cancel":
            self._consumers.pop(args[0], None)
        elif name in ("basic.ack", "basic.reject") and channel == self.channel.id:
            self._settle(name, *args)
        super()._agree(channel, name, args)

    def _settle(self, name: str, tag: int, flag: bool) -> None:
        tags = [each for each in self.unacked if each <= tag] if flag and name == "basic.ack" else [tag]
        for each in tags:
            _, queue, message = self.unacked.pop(each)
            if name == "basic.ack":
                self.broker.owners.pop(message, None)
            else:
                message.redelivered = True
                self.broker.queues[queue].appendleft(message)

    def _note_published(self, channel: int, args: tuple[Any, ...], frames: list[Any]) -> None:
        super()._note_published(channel, args, frames)
        published, self.published = self.published, []
        for each in published:
            if each.routing_key in (REQUESTS, QUARANTINE):
                for _, _, message in self.unacked.values():
                    if message.name == each.properties.message_id:
                        self.broker.owners.setdefault(message, self)
            self.broker.publish(each.exchange, each.routing_key, each.properties, each.body)

    def deliver_from(self, queue: str) -> bool:
        """Deliver the first message of a queue, if a consumer of it has credit; return whether it was."""
        for consumer, (consumed, prefetch) in self._consumers.items():
            busy = sum(1 for each, _, _ in self.unacked.values() if each == consumer)
            if consumed == queue and self.broker.queues[queue] and (not prefetch or busy < prefetch):
                message = self.broker.queues[queue].popleft()
                self.unacked[self.last_tag + 1] = consumer, queue, message
                self.deliver(message.body, message.properties, consumer, message.redelivered)
                return True
        return False
