"""The parts of the reference of queues (:mod:`tests.unit.broker.queue_reference`): messages, queues, consumers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

NEVER = 2**62

ChannelName: TypeAlias = "tuple[int, int]"
"""The number of a client, and that of its channel."""


@attrs.define(eq=False)
class Copy:
    """One message in one queue.

    :ivar number: its place in the queue, in the order of arrival.
    :ivar expires: milliseconds of the reference's time.
    :ivar counted: the header ``x-delivery-count``.
    :ivar death: queue and reason of its latest death.
    """

    body: bytes
    priority: int = 0
    expiration: int | None = None
    number: int = 0
    expires: int = NEVER
    redelivered: bool = False
    returns: int = 0
    counted: int | None = None
    death: tuple[str, str] | None = None


@attrs.define(eq=False)
class Delivery:
    """A delivery that a test has seen, or the answer to ``basic.get``."""

    channel: ChannelName
    consumer: str
    tag: int
    redelivered: bool
    body: bytes
    headers: Mapping[str, Any]

    def check(self, copy: Copy) -> None:
        """Check the message's flag, count and latest death."""
        deaths = self.headers.get("x-death")
        death = (deaths[0]["queue"], deaths[0]["reason"]) if deaths else None
        seen = (self.body, self.redelivered, self.headers.get("x-delivery-count"), death)
        assert seen == (copy.body, copy.redelivered, copy.counted, copy.death), (seen, copy)


@attrs.define(eq=False)
class Queue:
    """A queue. Its arguments are as they were declared."""

    name: str
    arguments: Mapping[str, Any]
    ready: list[Copy] = attrs.Factory(list)
    consumers: list[Consumer] = attrs.Factory(list)
    deleted: bool = False

    @property
    def drops_its_head(self) -> bool:
        return self.arguments.get("x-overflow") not in ("reject-publish", "reject-publish-dlx")

    def is_over(self, *more: Copy) -> bool:
        """Whether it is too long with some more messages."""
        there = [*self.ready, *more]
        length, size = (self.arguments.get(name, NEVER) for name in ("x-max-length", "x-max-length-bytes"))
        return bool(len(there) > length or sum(len(copy.body) for copy in there) > size)

    def put(self, *copies: Copy) -> None:
        """Put messages at their places: by priority, then in the order of arrival."""
        highest = self.arguments.get("x-max-priority", 0)
        self.ready = sorted([*self.ready, *copies], key=lambda each: (-min(each.priority, highest), each.number))

    @property
    def has_single_consumer(self) -> bool:
        """Whether only one consumer at a time gets messages."""
        return bool(self.arguments.get("x-single-active-consumer"))

    @property
    def active(self) -> list[Consumer]:
        """The consumers that get messages."""
        return self.consumers[:1] if self.has_single_consumer else self.consumers


@attrs.define(eq=False)
class Channel:
    """A channel: its unacked messages by delivery tag, and its prefetch (0: no limit)."""

    unacked: dict[int, Unacked] = attrs.Factory(dict)
    limit: int = 0
    last_tag: int = 0


@attrs.define(eq=False)
class Consumer:
    """A consumer."""

    queue: Queue
    channel: Channel
    no_ack: bool
    prefetch: int
    priority: int

    @property
    def can_take(self) -> bool:
        """Whether it has credit (RabbitMQ: "Consumer Prefetch")."""
        consumed = [each.consumer for each in self.channel.unacked.values() if each.consumer is not None]
        return self.no_ack or (
            consumed.count(self) < (self.prefetch or NEVER) and len(consumed) < (self.channel.limit or NEVER)
        )


@attrs.define(eq=False)
class Unacked:
    """A message that was delivered; after ``basic.get`` it has no consumer."""

    copy: Copy
    queue: Queue
    consumer: Consumer | None
