"""Shared by tests of queues: a broker with a client over a connection in memory, and a clock."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import decode_properties
from rpc.broker.broker import Broker
from rpc.messages import Properties
from tests.unit.broker.peer import Client, new_broker

DEAD = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
"""Arguments of a queue with dead letters."""


class QueueCase(SynchronousTestCase):
    """A broker, and a client with channel 1 open."""

    def setUp(self) -> None:
        self.broker: Broker = new_broker()
        self.client = Client(self.broker).login()
        self.client.channel()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        clock = self.broker.clock
        assert isinstance(clock, Clock)
        clock.advance(seconds)

    def deliveries(self, client: Client | None = None) -> list[tuple[Any, ...]]:
        """Deliveries: consumer tag, delivery tag, redelivered, body, headers."""
        return [(*args[:3], body, headers) for args, body, headers in self.contents("basic.deliver", client)]

    def bodies(self, client: Client | None = None) -> list[bytes]:
        """The bodies alone."""
        return [body for _, body, _ in self.contents("basic.deliver", client)]

    def contents(self, name: str, client: Client | None = None) -> list[tuple[Any, bytes, Any]]:
        """Arguments, body and headers of each message in methods of this name."""
        found: list[tuple[Any, bytes, Any]] = []
        frames = (client or self.client).written()
        for number, frame in enumerate(frames):
            if frame.name == name:
                header, body = frames[number + 1], b""
                for each in frames[number + 2 :]:
                    if each.kind != 3:
                        break
                    body += each.payload
                found.append((frame.args, body, decode_properties(header.payload[12:]).headers))
        return found

    def get(self, queue: str, *, no_ack: bool = True) -> tuple[bytes, bool, Any] | None:
        """Get a message: its body, whether it is redelivered, its headers."""
        self.client.send(1, "basic.get", 0, queue, no_ack)
        found = self.contents("basic.get-ok")
        return (found[0][1], found[0][0][1], found[0][2]) if found else None

    def count(self, queue: str) -> int:
        """The number of ready messages."""
        answer = self.client.call(1, "queue.declare", 0, queue, True, False, False, False, False, {})
        count: int = answer.args[1]
        return count

    def put(self, queue: str, *bodies: bytes, **properties: Any) -> None:
        """Publish messages to a queue."""
        for body in bodies:
            self.client.publish(1, "", queue, body, properties=Properties(**properties))
