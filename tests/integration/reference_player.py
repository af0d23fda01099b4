"""Plays a drawn sequence of operations on a broker, and on the reference of queues, which must agree at each step.

There is one consumer that may get the messages of a queue, on a channel of its own. So the reference can predict each
delivery. Nothing depends on time: the sequence has no message that expires.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from typing import Any

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel

from tests.unit.broker.queue_reference import Reference
from tests.unit.broker.reference_parts import Channel, ChannelName, Copy, Delivery, Queue

NEXT = {"a": "b", "b": "c", "c": "dead"}
PATIENCE = 10.0
GETS: ChannelName = (0, 0)
"""The channel of ``basic.get``. Those of consumers have other numbers."""


class Prediction(Reference):
    """A reference that predicts deliveries instead of being told of them.

    :ivar predicted: the deliveries to each channel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.predicted: dict[ChannelName, list[Delivery]] = {}

    def is_delivered(self, queue: Queue, copy: Copy) -> bool:
        """Whether there is a consumer for a message."""
        return any(consumer.can_take for consumer in queue.active)

    def delivery_of(self, queue: Queue, copy: Copy) -> Delivery:
        """Predict the delivery."""
        (found,) = (key for key, each in self.consumers.items() if each in queue.active)
        channel = self.channels[found[0]]
        channel.last_tag += 1
        delivery = Delivery(*found, channel.last_tag, copy.redelivered, copy.body, headers_of(copy))
        self.predicted.setdefault(found[0], []).append(delivery)
        return delivery


def headers_of(copy: Copy) -> dict[str, Any]:
    """The headers of a message, as far as the reference knows them."""
    headers: dict[str, Any] = {}
    if copy.counted is not None:
        headers["x-delivery-count"] = copy.counted
    if copy.death is not None:
        headers["x-death"] = [{"queue": copy.death[0], "reason": copy.death[1]}]
    return headers


class Player:
    """One sequence on one broker.

    :ivar played: the operations so far, for the text of an error.
    """

    def __init__(self, url: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.prefix = f"reference-{secrets.token_hex(6)}."
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.publisher = self.connection.channel()
        self.publisher.confirm_delivery()
        self.reference = Prediction()
        self.channels: dict[ChannelName, BlockingChannel] = {}
        self.deliveries: dict[ChannelName, list[Delivery]] = {}
        self.played: list[str] = []
        self.bodies = 0
        self.open(GETS)

    def open(self, name: ChannelName) -> BlockingChannel:
        channel = self.channels[name] = self.connection.channel()
        self.reference.channels[name] = Channel()
        self.deliveries[name] = []
        return channel

    def play(self, steps: int) -> None:
        """Play so many operations, and compare everything."""
        self.declare("dead", {})
        for name in NEXT:
            self.declare(name, self.arguments(name))
        operations: list[Callable[[], None]] = [
            *[self.publish] * 6,
            *[self.get] * 2,
            *[self.consume] * 2,
            *[self.settle] * 4,
            self.cancel,
            self.close_channel,
            self.purge,
            self.replace_queue,
        ]
        for _ in range(steps):
            self.random.choice(operations)()
            self.reference.finish()
            self.compare()
        self.drain()

    # -- operations

    def arguments(self, name: str) -> dict[str, Any]:
        choice = self.random.choice
        table: dict[str, Any] = {
            **choice([{}, {"x-max-length": self.random.randint(1, 3)}, {"x-max-length-bytes": 4}]),
            **choice([{}, {"x-overflow": "reject-publish"}, {"x-overflow": "reject-publish-dlx"}]),
            **choice([{}, {}, {"x-max-priority": 2}]),
            **choice([{}, {}, {"x-single-active-consumer": True}]),
        }
        where = choice([None, name, NEXT[name], NEXT[name]])
        if where is not None:
            table |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": where}
        return table

    def declare(self, name: str, table: dict[str, Any]) -> None:
        self.played.append(f"declare {name} {table}")
        own = dict(table)
        if "x-dead-letter-routing-key" in own:
            own["x-dead-letter-routing-key"] = self.prefix + own["x-dead-letter-routing-key"]
        self.publisher.queue_declare(self.prefix + name, arguments=own)
        self.reference.queues[name] = Queue(name, table)

    def publish(self) -> None:
        self.bodies += 1
        body = b"%02d" % self.bodies
        name, priority = self.random.choice(["a", "a", "b", "c"]), self.random.choice([None, 0, 1, 2, 9])
        self.played.append(f"publish {name} {body!r} {priority}")
        try:
            self.publisher.basic_publish("", self.prefix + name, body, pika.BasicProperties(priority=priority))
            taken = True
        except exceptions.NackError:
            taken = False
        self.check(self.reference.publish(name, Copy(body, priority or 0)) is taken, "the confirm")

    def get(self) -> None:
        name, no_ack = self.random.choice([*self.reference.queues]), self.random.random() < 0.5
        self.played.append(f"get {name} {no_ack}")
        method, properties, body = self.channels[GETS].basic_get(self.prefix + name, auto_ack=no_ack)
        copy = self.reference.get(GETS, name, no_ack, 0 if method is None else method.delivery_tag)
        self.check((copy is None) is (method is None), "the answer to basic.get")
        if copy is not None:
            self.delivery(GETS, "", method, properties, body).check(copy)

    def consume(self) -> None:
        free = [
            queue.name
            for queue in self.reference.queues.values()
            if not queue.consumers or queue.arguments.get("x-single-active-consumer")
        ]
        if not free:
            return
        name, prefetch = self.random.choice(free), self.random.randint(1, 3)
        key: ChannelName = (1, len(self.played))
        self.played.append(f"consume {name} {prefetch} on {key}")
        channel = self.open(key)
        channel.basic_qos(prefetch_count=prefetch)
        channel.basic_consume(
            self.prefix + name,
            lambda _, *message: self.deliveries[key].append(self.delivery(key, "tag", *message)),
            consumer_tag="tag",
        )
        self.reference.consume(key, "tag", name, False, prefetch, 0)

    def settle(self) -> None:
        busy = [name for name, channel in self.reference.channels.items() if channel.unacked]
        if not busy:
            return
        name = self.random.choice(busy)
        unacked = [*self.reference.channels[name].unacked]
        tag, multiple = self.random.choice(unacked), self.random.random() < 0.4
        how = self.random.choice(["ack", "reject", "requeue"])
        # RabbitMQ dead-letters several messages of a queue with priorities in the order of these.
        multiple = multiple and how != "reject"
        self.played.append(f"{how} {tag} on {name}, multiple: {multiple}")
        if how == "ack":
            self.channels[name].basic_ack(tag, multiple)
        else:
            self.channels[name].basic_nack(tag, multiple, how == "requeue")
        tags = [each for each in unacked if each <= tag] if multiple else [tag]
        queues = {each.queue.name for each in self.reference.channels[name].unacked.values()}
        for queue in queues & {*self.reference.queues}:  # the answer comes behind the effect
            self.channels[name].queue_declare(self.prefix + queue, passive=True)
        self.reference.settle(name, tags, how)

    def cancel(self) -> None:
        # RabbitMQ 3.10 makes the next single active consumer active, and delivers to it with the queue's next event.
        ends = [key for key, each in self.reference.consumers.items() if not each.queue.ready]
        if ends:
            name, tag = self.random.choice(ends)
            self.played.append(f"cancel {name}")
            self.reference.cancel(name, tag)
            self.channels[name].basic_cancel(tag)

    def close_channel(self) -> None:
        name = self.random.choice([*self.channels])
        self.played.append(f"close {name}")
        self.channels.pop(name).close()
        self.reference.end(name)
        if name == GETS:
            self.open(GETS)

    def purge(self) -> None:
        name = self.random.choice([*self.reference.queues])
        self.played.append(f"purge {name}")
        count = self.publisher.queue_purge(self.prefix + name).method.message_count
        self.check(count == self.reference.purge(name), "the number of purged messages")

    def replace_queue(self) -> None:
        name = self.random.choice([*NEXT])
        self.played.append(f"delete {name}")
        self.publisher.queue_delete(self.prefix + name)
        self.reference.delete(name)
        self.declare(name, self.arguments(name))

    # -- comparison

    def delivery(self, channel: ChannelName, consumer: str, method: Any, properties: Any, body: bytes) -> Delivery:
        headers = dict(properties.headers or {})
        for death in headers.get("x-death", []):
            death["queue"] = death["queue"].removeprefix(self.prefix)
        return Delivery(channel, consumer, method.delivery_tag, method.redelivered, body, headers)

    def compare(self) -> None:
        """Wait until the broker has the predicted messages: dead letters take their time."""
        expected = self.expected()
        deadline = time.monotonic() + PATIENCE
        self.connection.process_data_events(time_limit=0)
        while (found := self.found()) != expected and time.monotonic() < deadline:
            self.connection.process_data_events(time_limit=0.005)
        self.check(found == expected, f"the broker has {found}, not {expected}")

    def expected(self) -> tuple[Any, ...]:
        ready = {name: len(queue.ready) for name, queue in self.reference.queues.items()}
        deliveries = {
            name: [shown(each) for each in self.reference.predicted.get(name, [])] for name in self.deliveries
        }
        return ready, deliveries

    def found(self) -> tuple[Any, ...]:
        ready = {
            name: self.publisher.queue_declare(self.prefix + name, passive=True).method.message_count
            for name in self.reference.queues
        }
        return ready, {name: [shown(each) for each in seen] for name, seen in self.deliveries.items()}

    def drain(self) -> None:
        """All messages that are left are those of the reference, in their order."""
        for name, queue in self.reference.queues.items():
            for copy in queue.ready:
                method, properties, body = self.publisher.basic_get(self.prefix + name, auto_ack=True)
                self.check(method is not None, f"a message of {name} is missing")
                self.delivery(GETS, "", method, properties, body).check(copy)

    def check(self, right: bool, what: str) -> None:
        assert right, "\n".join([what, *self.played])

    def close(self) -> None:
        """Delete the queues."""
        with pika.BlockingConnection(self.connection._impl.params) as connection:
            if self.connection.is_open:
                self.connection.close()
            for name in (*NEXT, "dead"):
                connection.channel().queue_delete(self.prefix + name)


def shown(delivery: Delivery) -> tuple[Any, ...]:
    """A delivery, as far as it is compared."""
    deaths = delivery.headers.get("x-death") or [{}]
    return (delivery.tag, delivery.redelivered, delivery.body, deaths[0].get("queue"), deaths[0].get("reason"))
