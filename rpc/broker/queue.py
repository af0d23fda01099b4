"""A queue: messages in order, consumers in round-robin, and the limits in its arguments (AMQP 0-9-1, section 3.1.1;
RabbitMQ extensions: TTL, queue length limit, dead letter exchanges, priorities).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rpc.broker.arguments import DROP_HEAD, QUORUM, REJECT, REJECT_AND_DEAD_LETTER, QueueArguments
from rpc.broker.consumer import Consumer
from rpc.broker.dead_letters import DELIVERY_LIMIT, EXPIRED, MAXLEN, REJECTED
from rpc.broker.message import Message
from rpc.broker.queue_host import QueueHost
from rpc.broker.ready import Entry, ReadyMessages
from rpc.broker.round_robin import RoundRobin
from rpc.broker.sizes import queue_size
from rpc.broker.work import STEP, Steps, in_steps
from rpc.errors import CodecError

if TYPE_CHECKING:
    from rpc.broker.connection import BrokerConnection


class Queue:
    """One queue. Its first use is its declaration: until :meth:`touch` it has no timer.

    :ivar owner: the connection of an exclusive queue.
    :ivar ready: messages that are not delivered.
    :ivar consumers: in the order of their registration.
    :ivar size: bytes that it is counted with against the broker's memory, without its messages.
    :ivar stored: whether the state file has the queue and its persistent messages.
    """

    def __init__(
        self,
        host: QueueHost,
        name: str,
        *,
        durable: bool,
        owner: BrokerConnection | None,
        auto_delete: bool,
        table: Mapping[str, Any],
        arguments: QueueArguments,
    ) -> None:
        """
        :param table: the arguments as they were declared.
        :param arguments: their values.
        """
        self.name = name
        self.durable = durable
        self.owner = owner
        self.auto_delete = auto_delete
        self.table = table
        self.arguments = arguments
        self.ready = ReadyMessages(arguments.priorities)
        self.consumers: OrderedDict[Consumer, None] = OrderedDict()
        self.size = queue_size(name, arguments.priorities, table)
        self.deleted = False
        self.stored = durable and owner is None
        self._host = host
        self._round_robin: RoundRobin[Consumer] = RoundRobin()
        self._next_position = 0
        self._head_timer = host.timer(lambda: host.work.later(self._trim()))
        self._idle_timer = host.timer(self._unused)

    def touch(self) -> None:
        """Note a use of the queue: ``x-expires`` begins anew."""
        if self.arguments.expires is not None:
            if self.consumers:
                self._idle_timer.stop()
            else:
                self._idle_timer.start(self.arguments.expires / 1000)

    # -- messages are published

    def publish(self, message: Message) -> bool:
        """Take a message, and deliver it at once when there is a consumer for it.

        :return: False when the queue is full and rejects publishes (RabbitMQ: "Queue Length Limit").
        """
        if self.arguments.bounded and self._rejects(message):
            return False
        consumer = None if self.ready.count else self._round_robin.next()
        if consumer is not None and consumer.no_ack:
            consumer.send(message, False)
            return True
        entry = Entry(self, message, self._next_position, self._expiry(message))
        self._next_position += 1
        self._host.memory.take(message.size)
        if message.persistent and self.stored:
            self._host.persist(self, entry)
        if consumer is not None:
            consumer.give(entry)
            return True
        self.ready.append(entry)
        if self.arguments.bounded:
            self._drop_overflow()
        if entry.expires is not None:  # without time to live it is gone before it is counted (RabbitMQ: "TTL")
            self._expire_head()
        self._watch_head()
        return True

    def restore(self, entry: Entry, delivery_count: int) -> None:
        """Take a message out of the state, in the order of positions."""
        entry.redelivered = True
        entry.delivery_count = delivery_count
        self._next_position = entry.position + 1
        self._host.memory.take(entry.message.size)
        if delivery_count:
            self._write_delivery_count(entry)
        self.ready.append(entry)
        if self.arguments.bounded:  # unacked messages are ready again: there may be too many
            self._head_timer.start_by(self._host.seconds())
        self._watch_head()

    def _rejects(self, message: Message) -> bool:
        how = self.arguments.overflow
        if how not in (REJECT, REJECT_AND_DEAD_LETTER) or not self._over(1, len(message.body)):
            return False
        if how == REJECT_AND_DEAD_LETTER:
            self._host.dead_letter(self, Entry(self, message, 0, None), MAXLEN)
        return True

    def _over(self, messages: int = 0, size: int = 0) -> bool:
        """Whether the queue is too long with so much more."""
        arguments, ready = self.arguments, self.ready
        return (arguments.max_length is not None and ready.count + messages > arguments.max_length) or (
            arguments.max_length_bytes is not None and ready.size + size > arguments.max_length_bytes
        )

    def _drop_overflow(self) -> None:
        """Drop the head of a queue that is too long (RabbitMQ: "Queue Length Limit", overflow behaviour drop-head).

        Queues with another overflow reject publishes instead. Their messages are confirmed, so none is dropped, also
        when requeued ones make the queue longer than its limit.

        One large message can replace very many small ones: those that are left are dropped in later turns.
        """
        if self.arguments.overflow != DROP_HEAD:
            return
        for _ in range(STEP):
            if not (self.ready.count and self._over()):
                return
            self._dead_letter(self.ready.pop(), MAXLEN)
        self._head_timer.start_by(self._host.seconds())

    def _expiry(self, message: Message) -> float | None:
        times = [time for time in (self.arguments.message_ttl, message.expiration) if time is not None]
        return self._host.seconds() + min(times) / 1000 if times else None

    # -- messages are delivered

    def deliver(self) -> None:
        """Deliver ready messages while a consumer can take them."""
        while self._expire_head():
            consumer = self._round_robin.next()
            if consumer is None:
                break
            entry = self.ready.pop()
            if consumer.no_ack:
                consumer.send(entry.message, entry.redelivered)
                self._release(entry)
            else:
                consumer.give(entry)
        self._watch_head()

    def get(self) -> Entry | None:
        """Take out the next message, for ``basic.get``. The caller settles it."""
        self.touch()
        entry = self.ready.pop() if self._expire_head() else None
        self._expire_head()  # ``basic.get-ok`` counts the messages behind it
        self._watch_head()
        return entry

    # -- messages are settled

    def settle(self, entry: Entry) -> None:
        """Drop a message that was acked."""
        self._release(entry)

    def reject(self, entry: Entry) -> None:
        """Dead-letter a message that a consumer has rejected."""
        if self.deleted:
            self._release(entry)
        else:
            self._dead_letter(entry, REJECTED)

    def requeue(self, entries: Sequence[Entry]) -> None:
        """Put messages back at their old positions, and deliver them again, also to consumers that had them."""
        consumers = dict.fromkeys(entry.consumer for entry in entries if entry.consumer is not None)
        back = []
        for entry in entries:
            entry.consumer = None
            entry.redelivered = True
            entry.delivery_count += 1
            limit = self.arguments.delivery_limit
            if self.deleted:
                self._release(entry)
            elif limit is not None and entry.delivery_count > limit and self.arguments.queue_type == QUORUM:
                self._dead_letter(entry, DELIVERY_LIMIT)
            else:
                if self.arguments.queue_type == QUORUM:
                    self._write_delivery_count(entry)
                    self._keep_delivery_count(entry)
                back.append(entry)
        self.ready.requeue(back)
        self._drop_overflow()
        for consumer in consumers:
            self._join(consumer)
        self.deliver()

    def _write_delivery_count(self, entry: Entry) -> None:
        """Write the number of returns into a message (RabbitMQ: "Quorum Queues", Poison Message Handling)."""
        try:
            counted = entry.message.changed({"x-delivery-count": entry.delivery_count})
        except CodecError:
            return  # it stays as it was: headers that cannot be decoded tell a consumer no count either
        self._host.memory.take(counted.size - entry.message.size)
        entry.message = counted

    def _keep_delivery_count(self, entry: Entry) -> None:
        if entry.message.persistent and self.stored:
            self._host.recount(self, entry)

    def _release(self, entry: Entry) -> None:
        self._host.memory.release(entry.message.size)
        if entry.message.persistent and self.stored:
            self._host.erase(self, entry)

    def _dead_letter(self, entry: Entry, reason: str) -> None:
        """Give a message to the dead-letter exchange. The host also erases it: both in one transaction."""
        self._host.memory.release(entry.message.size)
        self._host.dead_letter(self, entry, reason)

    def purge(self) -> int:
        """Drop ready messages; return their number."""
        count, dropped = self.ready.count, self.ready.clear()
        self._host.work.do(in_steps(dropped, self._release))
        return count

    def close(self) -> int:
        """End the queue; return the number of its ready messages."""
        self.deleted = True
        self.stop_timers()
        return self.purge()

    def stop_timers(self) -> None:
        """Let time pass without effect: the queue is not used any more."""
        self._head_timer.stop()
        self._idle_timer.stop()

    # -- time passes

    def _expire_head(self) -> bool:
        """Dead-letter expired messages at the head; return whether one that has not expired is there.

        Very many can expire at once. Those that are left are dead-lettered in later turns: :meth:`_watch_head`.
        """
        ready = self.ready
        first = ready.first()
        if first is None or first.expires is None:
            return first is not None
        now = self._host.seconds()
        for _ in range(STEP):
            if first is None or first.expires is None or first.expires > now:
                return first is not None
            self._dead_letter(ready.pop(), EXPIRED)
            first = ready.first()
        return first is not None and (first.expires is None or first.expires > now)

    def _watch_head(self) -> None:
        """Set the timer for the head. Messages behind it expire when they reach the head (RabbitMQ: "Time-To-Live")."""
        first = self.ready.first()
        if first is not None and first.expires is not None:
            self._head_timer.start_by(first.expires)

    def _trim(self) -> Steps:
        """Drop expired messages and those that are too many. Many queues may have to at the same time."""
        self._expire_head()
        self._drop_overflow()
        self._watch_head()
        yield

    def _unused(self) -> None:
        if not self.consumers:
            self._host.delete_unused(self)

    # -- consumers

    def add_consumer(self, consumer: Consumer) -> None:
        """Let a consumer have its share of the messages."""
        self.consumers[consumer] = None
        self.touch()
        self.activate(consumer)

    def remove_consumer(self, consumer: Consumer) -> None:
        """Remove a consumer; :meth:`activate_next` follows. An auto-delete queue is deleted with its last one."""
        del self.consumers[consumer]
        self._round_robin.remove(consumer)
        self.touch()
        if self.auto_delete and not self.consumers:
            self._host.delete_unused(self)

    def activate_next(self) -> None:
        """Deliver to the next single active consumer. The unacked messages of an ended one are requeued before."""
        if self.arguments.single_active and self.consumers:
            self.activate(self.first_consumer)

    @property
    def first_consumer(self) -> Consumer:
        """The one that was registered first; there must be one."""
        return next(iter(self.consumers))

    def activate(self, consumer: Consumer) -> None:
        """Deliver to a consumer, if it can take messages."""
        if self._join(consumer) and self.ready.count:
            self.deliver()

    def _join(self, consumer: Consumer) -> bool:
        """Put a consumer that can take messages into the rotation; return whether that is new."""
        # A consumer of a closing channel is about to be removed, as all consumers of a lost connection are.
        if consumer.in_rotation or consumer.channel.closing or not consumer.can_take():
            return False
        if consumer not in self.consumers or (self.arguments.single_active and consumer is not self.first_consumer):
            return False
        self._round_robin.add(consumer)
        return True
