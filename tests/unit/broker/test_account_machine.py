"""The account of memory in any sequence of operations: at each step it is the sum of a plain walk over the broker."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import rpc.broker.broker
from rpc.amqp.codec.properties import encode_properties
from rpc.broker.limits import Limits
from rpc.messages import Properties
from tests.unit.amqp.peer import BODY, frame, method
from tests.unit.broker.definition_walk import size_of_definitions
from tests.unit.broker.durable_state import channels_of, entries_of
from tests.unit.broker.peer import Client, new_broker, publish
from tests.unit.broker.queue_case import DEAD
from tests.unit.machines import machine_settings

QUEUES: dict[str, dict[str, Any]] = {
    "classic": {},
    "quorum": {"x-queue-type": "quorum"},
    "limited": {"x-queue-type": "quorum", "x-delivery-limit": 1, **DEAD},
    "short": {"x-max-length": 2, **DEAD},
    "rejects": {"x-max-length": 1, "x-overflow": "reject-publish-dlx", **DEAD},
    "expires": {"x-message-ttl": 10, "x-dead-letter-exchange": "amq.fanout"},
    "one": {"x-single-active-consumer": True, "x-max-priority": 3, **DEAD},
    "dead": {},
}
LIMITS = Limits(memory=150_000)
MALFORMED = b"\x20\x00\x00\x00\x00\x03\x01a?"
"""Properties with headers of an unknown type."""

numbers = st.integers(0, 1)
names = st.sampled_from([*QUEUES])
all_properties = st.sampled_from(
    [
        b"\x00\x00",
        MALFORMED,
        encode_properties(Properties(headers={"mine": 1}, delivery_mode=2)),
        encode_properties(Properties(expiration="5", priority=2)),
    ]
)


class AccountMachine(RuleBasedStateMachine):
    """Two clients use eight queues. They may leave contents unfinished, and may not read."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = new_broker(limits=LIMITS)
        clock = self.broker.clock
        assert isinstance(clock, Clock)
        self.clock = clock
        self.clients = [self.connect(), self.connect()]
        for name in QUEUES:
            self.declare(self.clients[0], name)

    @initialize(number=numbers, name=names, prefetch=st.integers(1, 3))
    def begin(self, number: int, name: str, prefetch: int) -> None:
        self.consume(number, name, prefetch, False)
        self.clients[0].publish(1, "amq.fanout", "", b"x" * 3)

    def connect(self) -> Client:
        client = Client(self.broker).login()
        client.channel()
        client.call(1, "confirm.select", False)
        return client

    def client(self, number: int) -> Client:
        """A client, connected again when it was closed."""
        if self.clients[number].gone:
            self.clients[number] = self.connect()
        return self.clients[number]

    def declare(self, client: Client, name: str) -> None:
        client.send(1, "queue.declare", 0, name, False, True, False, False, False, QUEUES[name])
        client.send(1, "queue.bind", 0, name, "amq.fanout", "", False, {})

    # -- rules: messages

    @rule(
        number=numbers,
        to=st.sampled_from([*QUEUES, "missing", *["amq.fanout"] * 4]),
        size=st.sampled_from([3, 3, 0, 30_000]),
        count=st.integers(1, 3),
        properties=all_properties,
    )
    def publish(self, number: int, to: str, size: int, count: int, properties: bytes) -> None:
        exchange, key = (to, "") if to == "amq.fanout" else ("", to)
        message = publish(1, exchange, key, b"x" * size, properties=properties, mandatory=True)
        self.client(number).feed(message * count)

    @rule(number=numbers, name=names, count=st.integers(1, 5), no_ack=st.booleans())
    def get(self, number: int, name: str, count: int, no_ack: bool) -> None:
        self.client(number).feed(method(1, "basic.get", 0, name, no_ack) * count)

    @rule(number=numbers, name=names, prefetch=st.integers(0, 3), no_ack=st.sampled_from([False, False, True]))
    def consume(self, number: int, name: str, prefetch: int, no_ack: bool) -> None:
        self.client(number).send(1, "basic.qos", 0, prefetch, False)
        self.client(number).consume(1, name, no_ack=no_ack)

    @precondition(lambda self: any(channel.unacked for channel in channels_of(self.broker)))
    @rule(data=st.data(), how=st.sampled_from(["ack", "reject", "requeue", "requeue"]), multiple=st.booleans())
    def settle(self, data: st.DataObject, how: str, multiple: bool) -> None:
        channel = data.draw(st.sampled_from([each for each in channels_of(self.broker) if each.unacked]))
        tag = data.draw(st.sampled_from([*channel.unacked]))
        (client,) = (each for each in self.clients if each.protocol is channel.connection)
        if how == "ack":
            client.send(1, "basic.ack", tag, multiple)
        else:
            client.send(1, "basic.nack", tag, multiple, how == "requeue")

    # -- rules: rarer events

    @rule(data=st.data(), number=numbers, name=names)
    def disturb(self, data: st.DataObject, number: int, name: str) -> None:
        """One of several events. If each were a rule, there would be few messages."""
        sent = {
            "purge": [method(1, "queue.purge", 0, name, False)],
            "recover": [method(1, "basic.recover", True)],
            "close a channel": [method(1, "channel.close", 200, "", 0, 0), method(1, "channel.open", "")],
            "break a channel": [method(1, "basic.ack", 999, False), method(1, "channel.close-ok")],
            "begin a content": [publish(1, "", name, b"x" * 9000, largest=3000)[:-3008]],
            "end a content": [frame(BODY, 1, b"x" * 3000)],
        }
        client = self.client(number)
        event = data.draw(st.sampled_from([*sent, "begin a content", "lose", "replace a queue", "alarm"]))
        if event in sent:
            client.feed(*sent[event])
        elif event == "lose":
            client.lose()
        elif event == "replace a queue":
            client.send(1, "queue.delete", 0, name, False, False, False)
            self.declare(client, name)
        else:
            self.broker.set_alarm(not self.broker.memory.alarm)

    @rule(number=numbers, reads=st.booleans())
    def read_or_not(self, number: int, reads: bool) -> None:
        """A client reads, or stops reading."""
        wire = self.client(number).wire
        wire.reads = reads
        wire.drain()

    @rule(seconds=st.sampled_from([0.0, 0.006, 0.011, 31.0]))
    def wait(self, seconds: float) -> None:
        """Messages expire, further dead letters are published, and connections that do not end are aborted."""
        self.clock.advance(seconds)

    # -- the account

    @invariant()
    def the_account_is_the_sum_of_all_messages(self) -> None:
        """Ready, unacked, dead letters that are not published yet, and unfinished contents."""
        messages = sum(entry.message.size for entry, _ in entries_of(self.broker))
        unfinished = sum(connection.input.unfinished for connection in self.broker.connections)
        assert self.broker.memory.held == messages + unfinished

    @invariant()
    def the_account_of_definitions_is_the_sum_of_all(self) -> None:
        assert self.broker.memory.definitions == size_of_definitions(self.broker)

    @invariant()
    def the_alarm_is_set_above_the_limit(self) -> None:
        assert self.broker.memory.alarm or self.broker.memory.held <= LIMITS.memory

    def teardown(self) -> None:
        """Everything ends, and the account is exactly zero."""
        for client in self.clients:
            client.lose()
        for queue in [*self.broker.vhosts["/"].queues.values()]:
            self.broker.vhosts["/"].delete_unused(queue)
        while self.broker._at_end:
            self.clock.advance(0)
        assert self.broker.memory.held == 0
        assert self.broker.memory.definitions == 0


class AccountMachineTests(SynchronousTestCase):
    """The property."""

    def test_the_account_is_right_at_each_step_and_zero_in_the_end(self) -> None:
        """After any sequence of operations, with back-pressure and dead letters."""
        prepare(self)
        case: Any = AccountMachine.TestCase
        case.settings = machine_settings(40)
        case().runTest()


def prepare(case: SynchronousTestCase) -> None:
    """A pass publishes two dead letters, so that others wait for the next ones."""
    case.patch(rpc.broker.broker, "DEAD_LETTERS_PER_PASS", 2)
