"""A plain reference of RabbitMQ's queues: lists of messages, and the rules by which these move.

It does not choose which consumer gets a message, because several choices are right. A test tells it the deliveries that
it has seen in one step (``delivered``). The reference checks that each was the first of its queue, to a consumer that
was allowed to have it, and that no consumer with credit was left without one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from itertools import count

from tests.unit.broker.reference_parts import NEVER, Channel, ChannelName, Consumer, Copy, Delivery, Queue, Unacked


class Reference:
    """Queues, channels and consumers.

    :ivar gone: messages that are not there any more, with the reason.
    :ivar dying: dead letters that are not published yet, the first one first.
    :ivar delivered: messages of this step that the reference has not explained, by queue and body.
    """

    def __init__(self) -> None:
        self.now = 0
        self.queues: dict[str, Queue] = {}
        self.channels: dict[ChannelName, Channel] = {}
        self.consumers: dict[tuple[ChannelName, str], Consumer] = {}
        self.gone: dict[bytes, str] = {}
        self.dying: deque[tuple[Queue, Copy, str]] = deque()
        self.delivered: dict[tuple[str, bytes], Delivery] = {}
        self._numbers = count(1)

    # -- messages come

    def publish(self, name: str, copy: Copy) -> bool:
        """A message is published; return whether it is confirmed."""
        if name in self.queues:
            return self.arrive(self.queues[name], copy)
        self.gone[copy.body] = "no route"
        return True

    def arrive(self, queue: Queue, copy: Copy) -> bool:
        """A message comes to a queue; return whether that takes it."""
        if not queue.drops_its_head and queue.is_over(copy):
            self.gone[copy.body] = "rejected by a full queue"
            if queue.arguments["x-overflow"] == "reject-publish-dlx":
                self.die(queue, copy, "maxlen")
            return False
        copy.number = next(self._numbers)
        times = [each for each in (queue.arguments.get("x-message-ttl"), copy.expiration) if each is not None]
        copy.expires = self.now + min(times) if times else NEVER
        if not queue.ready and self.is_delivered(queue, copy):
            self.hand_over(queue, copy)
            return True
        queue.put(copy)
        self.drop_overflow(queue)
        if times:
            self.expire(queue)
        return True

    def drop_overflow(self, queue: Queue) -> None:
        """A queue that is too long loses its first messages."""
        while queue.drops_its_head and queue.is_over() and queue.ready:
            self.die(queue, queue.ready.pop(0), "maxlen")

    # -- messages are delivered

    def serve(self, queue: Queue) -> None:
        """The broker has delivered the first messages of a queue."""
        self.expire(queue)
        while queue.ready and self.is_delivered(queue, queue.ready[0]):
            self.hand_over(queue, queue.ready.pop(0))
            self.expire(queue)

    def is_delivered(self, queue: Queue, copy: Copy) -> bool:
        """Whether the broker has delivered a message in this step."""
        return (queue.name, copy.body) in self.delivered

    def delivery_of(self, queue: Queue, copy: Copy) -> Delivery:
        """Take out the delivery of a message."""
        return self.delivered.pop((queue.name, copy.body))

    def hand_over(self, queue: Queue, copy: Copy) -> None:
        """A consumer has got a message."""
        delivery = self.delivery_of(queue, copy)
        consumer = self.consumers[delivery.channel, delivery.consumer]
        assert consumer in queue.active, f"{delivery} to a consumer that is not active"
        assert consumer.can_take, f"{delivery} to a consumer without credit"
        # RabbitMQ requeues before it counts the credit of a channel's limit, so these consumers come later.
        free = [each for each in queue.active if each.can_take and not each.channel.limit]
        better = [each for each in free if each.priority > consumer.priority]
        single = queue.arguments.get("x-single-active-consumer")
        assert single or not better, f"{delivery} passes a consumer of a higher priority"
        delivery.check(copy)
        if consumer.no_ack:
            self.gone[copy.body] = "delivered without ack"
        else:
            consumer.channel.unacked[delivery.tag] = Unacked(copy, queue, consumer)

    def get(self, channel: ChannelName, name: str, no_ack: bool, tag: int) -> Copy | None:
        """Take out the first message; it is unacked or gone."""
        queue = self.queues[name]
        if not queue.ready:
            return None
        copy = queue.ready.pop(0)
        self.expire(queue)
        if no_ack:
            self.gone[copy.body] = "delivered without ack"
        else:
            self.channels[channel].unacked[tag] = Unacked(copy, queue, None)
        return copy

    # -- messages are settled

    def settle(self, channel: ChannelName, tags: Iterable[int], how: str) -> None:
        """``how``: ``"ack"``, ``"reject"`` or ``"requeue"``."""
        unacked = self.channels[channel].unacked
        settled = [unacked.pop(tag) for tag in sorted(tags)]
        if how == "requeue":
            self.requeue(settled)
            return
        for each in settled:
            if how == "ack":
                self.gone[each.copy.body] = "acked"
            elif each.queue.deleted:
                self.gone[each.copy.body] = "its queue was deleted"
            else:
                self.die(each.queue, each.copy, "rejected")

    def requeue(self, unacked: Iterable[Unacked], inactive: Collection[Queue] = ()) -> None:
        """Messages come back to their queues.

        :param inactive: queues that have no active consumer until the end of the step.
        """
        back: dict[Queue, list[Copy]] = {}
        for each in unacked:
            copy, queue = each.copy, each.queue
            copy.redelivered = True
            copy.returns += 1
            quorum = queue.arguments.get("x-queue-type") == "quorum"
            if queue.deleted:
                self.gone[copy.body] = "its queue was deleted"
            elif quorum and copy.returns > queue.arguments.get("x-delivery-limit", NEVER):
                self.die(queue, copy, "delivery_limit")
            else:
                copy.counted = copy.returns if quorum else copy.counted
                back.setdefault(queue, []).append(copy)
        for queue, copies in back.items():
            queue.put(*copies)
            self.drop_overflow(queue)
            if queue in inactive:
                self.expire(queue)
            else:
                self.serve(queue)

    # -- messages die

    def die(self, queue: Queue, copy: Copy, reason: str) -> None:
        """A message is dropped, or will be published to the dead-letter exchange."""
        if "x-dead-letter-exchange" in queue.arguments:
            self.dying.append((queue, copy, reason))
        else:
            self.gone[copy.body] = reason

    def bury(self, queue: Queue, copy: Copy, reason: str) -> None:
        """Publish a dead letter. It is lost in a full queue, and in a cycle without a rejection."""
        name = queue.arguments.get("x-dead-letter-routing-key", queue.name)
        target = self.queues.get(name) if queue.arguments["x-dead-letter-exchange"] == "" else None
        if target is None:
            self.gone[copy.body] = f"{reason}, without a route"
        elif target.name == queue.name and reason != "rejected":
            self.gone[copy.body] = f"{reason}, in a cycle"
        else:
            self.gone.pop(copy.body, None)
            dead = Copy(copy.body, copy.priority, counted=copy.counted, death=(queue.name, reason))
            self.arrive(target, dead)

    def expire(self, queue: Queue) -> None:
        """Messages expire at the head of their queue (RabbitMQ: "Time-To-Live")."""
        while queue.ready and queue.ready[0].expires <= self.now:
            self.die(queue, queue.ready.pop(0), "expired")

    def wait(self, milliseconds: int) -> None:
        """Time passes."""
        end = self.now + milliseconds
        while True:
            heads = [queue.ready[0].expires for queue in self.queues.values() if queue.ready]
            self.now = min([*heads, end])
            self.bury_all()
            if self.now == end:
                return

    # -- queues, consumers and channels

    def purge(self, name: str, reason: str = "purged") -> int:
        """Drop the ready messages; return their number."""
        dropped, self.queues[name].ready = self.queues[name].ready, []
        self.gone |= dict.fromkeys([copy.body for copy in dropped], reason)
        return len(dropped)

    def delete(self, name: str) -> int:
        """Delete a queue; return the number of its ready messages."""
        dropped = self.purge(name, "its queue was deleted")
        queue = self.queues.pop(name)
        queue.deleted = True
        self.consumers = {key: each for key, each in self.consumers.items() if each.queue is not queue}
        return dropped

    def consume(self, channel: ChannelName, tag: str, name: str, no_ack: bool, prefetch: int, priority: int) -> None:
        """A consumer begins."""
        queue = self.queues[name]
        consumer = Consumer(queue, self.channels[channel], no_ack, prefetch, priority)
        self.consumers[channel, tag] = consumer
        queue.consumers.append(consumer)

    def cancel(self, channel: ChannelName, tag: str) -> None:
        """A consumer ends. Its unacked messages can still be settled."""
        consumer = self.consumers.pop((channel, tag))
        consumer.queue.consumers.remove(consumer)

    def end(self, *channels: ChannelName) -> None:
        """Channels end: first their consumers, then their unacked messages come back, those of one channel after those
        of another. A queue that has lost its single active consumer has the next one at the end.
        """
        ended = [self.channels[channel] for channel in channels]
        inactive = [
            queue
            for queue in self.queues.values()
            if queue.has_single_consumer and any(consumer.channel in ended for consumer in queue.active)
        ]
        for channel, tag in [*self.consumers]:
            if channel in channels:
                self.cancel(channel, tag)
        for channel in channels:
            unacked = self.channels.pop(channel).unacked
            self.requeue([unacked[tag] for tag in sorted(unacked)], inactive)

    # -- the end of a step

    def bury_all(self) -> None:
        """Publish the dead letters, and let messages expire that are due meanwhile."""
        while True:
            while self.dying:
                self.bury(*self.dying.popleft())
            for queue in self.queues.values():
                self.serve(queue)
            if not self.dying:
                return

    def finish(self) -> None:
        """Check that all deliveries were right, and that none is missing."""
        for queue in self.queues.values():
            self.serve(queue)
        self.bury_all()
        assert not self.delivered, f"delivered out of turn: {self.delivered}"
        for queue in self.queues.values():
            starving = [consumer for consumer in queue.active if consumer.can_take]
            assert not queue.ready or not starving, f"{queue.name} has messages, and a consumer with credit"
