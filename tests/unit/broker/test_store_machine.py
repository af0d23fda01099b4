"""The broker's state in any sequence of operations, failed writes, stops and kills (``broker_with_state.py``)."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

import rpc.broker.broker
import rpc.broker.store
from rpc.messages import Properties
from tests.unit.amqp.peer import method
from tests.unit.broker.broker_with_state import EXCHANGES, BrokerWithState, Written
from tests.unit.broker.durable_state import durable_state, entries_of
from tests.unit.broker.peer import publish
from tests.unit.broker.stepped_store import Moment, Outcome, SteppedPool
from tests.unit.machines import machine_settings

NEXT = {"a": "b", "b": "dead"}

queues = st.sampled_from(["a", "a", "a", "b", "dead"])
kinds = st.sampled_from(["durable", "durable", "durable", "transient", "exclusive", "auto-delete"])
outcomes = st.sampled_from([Outcome.WRITTEN] * 4 + [*Outcome])


@st.composite
def queue_arguments(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """The arguments of a queue. Most have dead letters."""
    there: dict[str, st.SearchStrategy[Any]] = {
        "x-queue-type": st.just("quorum"),
        "x-delivery-limit": st.just(1),
        "x-max-length": st.integers(1, 4),
        "x-overflow": st.sampled_from(["drop-head", "reject-publish"]),
        "x-message-ttl": st.sampled_from([400, 1300]),
        "x-max-priority": st.just(1),
    }
    chosen = draw(st.sets(st.sampled_from([*there]), max_size=2))
    table = {argument: draw(there[argument]) for argument in there if argument in chosen}
    if draw(st.sampled_from([True, True, False])):
        table |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": NEXT[name]}
    return table


def declaration(name: str, arguments: dict[str, Any], kind: str) -> bytes:
    """The declaration of a queue."""
    flags = [False, kind != "transient", kind == "exclusive", kind == "auto-delete", False]
    return method(1, "queue.declare", 0, name, *flags, arguments)


class StoreMachine(RuleBasedStateMachine):
    """A client uses queues and exchanges, transactions succeed or fail, and brokers end."""

    def __init__(self) -> None:
        super().__init__()
        self.side = BrokerWithState()

    # -- rules: definitions

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.declare_queue("dead", {})
        for name in NEXT:
            self.declare_queue(name, data.draw(queue_arguments(name)))
        self.publish("a", 4, True, 0)

    def declare_queue(self, name: str, arguments: dict[str, Any], kind: str = "durable") -> None:
        self.side.step += 1
        self.side.client.feed(declaration(name, arguments, kind))
        self.side.look()

    @rule(data=st.data(), name=st.sampled_from([*NEXT]), kind=kinds, again=st.sampled_from([True, True, True, False]))
    def replace_queue(self, data: st.DataObject, name: str, kind: str, again: bool) -> None:
        """A queue is deleted, and perhaps another one of its name is declared, in one read."""
        self.side.step += 1
        sent = method(1, "queue.delete", 0, name, False, False, False)
        if again:
            sent += declaration(name, data.draw(queue_arguments(name)), kind)
        self.side.client.feed(sent)
        self.side.look()

    @rule(name=st.sampled_from(EXCHANGES), durable=st.sampled_from([True, True, False]), auto_delete=st.booleans())
    def declare_exchange(self, name: str, durable: bool, auto_delete: bool) -> None:
        if name not in self.side.exchanges:
            self.side.send("exchange.declare", 0, name, "fanout", False, durable, auto_delete, False, False, {})

    @precondition(lambda self: self.side.exchanges)
    @rule(data=st.data(), name=queues, unbind=st.sampled_from([False, False, True]), key=st.sampled_from(["k", "l"]))
    def bind_queue(self, data: st.DataObject, name: str, unbind: bool, key: str) -> None:
        exchange = data.draw(st.sampled_from(self.side.exchanges))
        if name in self.side.broker_queues and unbind:
            self.side.send("queue.unbind", 0, name, exchange, key, {})
        elif name in self.side.broker_queues:
            self.side.send("queue.bind", 0, name, exchange, key, False, {})

    @precondition(lambda self: len(self.side.exchanges) == 2)
    @rule(delete=st.booleans())
    def bind_exchanges(self, delete: bool) -> None:
        """The second may be deleted at once; the first one with it, when it is deleted automatically."""
        self.side.send("exchange.bind", 0, "y", "x", "k", False, {})
        if delete:
            self.side.send("exchange.delete", 0, "y", False, False)

    # -- rules: messages

    @rule(
        name=st.sampled_from(["a", "a", "a", "b", "x", "y"]),
        count=st.integers(1, 5),
        persistent=st.sampled_from([True, True, True, False]),
        priority=st.integers(0, 1),
    )
    def publish(self, name: str, count: int, persistent: bool, priority: int) -> None:
        """Several messages arrive in one read. They go to a queue, or through an exchange."""
        self.side.step += 1
        to_exchange = name in EXCHANGES
        if to_exchange and name not in self.side.exchanges:
            return
        properties = Properties(delivery_mode=2 if persistent else 1, priority=priority)
        data = b""
        for _ in range(count):
            self.side.bodies += 1
            exchange, key = (name, "") if to_exchange else ("", name)
            body = b"%s %d" % (b"copied" if to_exchange else b"single", self.side.bodies)
            data += publish(1, exchange, key, body, properties=properties)
        first, self.side.published = self.side.published + 1, self.side.published + count
        self.side.client.feed(data)
        written = Written(self.side.step, durable_state(self.side.life.broker))
        self.side.after |= dict.fromkeys(range(first, self.side.published + 1), written)
        self.side.look()

    @rule(name=queues, no_ack=st.sampled_from([False, False, True]))
    def get(self, name: str, no_ack: bool) -> None:
        if name in self.side.broker_queues:
            self.side.send("basic.get", 0, name, no_ack)

    @rule(name=queues, prefetch=st.sampled_from([1, 4, 0]))
    def consume(self, name: str, prefetch: int) -> None:
        if name in self.side.broker_queues:
            self.side.send("basic.qos", 0, prefetch, False)
            self.side.send("basic.consume", 0, name, "", False, False, False, False, {})

    @precondition(lambda self: self.side.unacked)
    @rule(
        data=st.data(),
        how=st.sampled_from(["ack", "reject", "reject", "requeue"]),
        multiple=st.booleans(),
        of_all=st.booleans(),
    )
    def settle(self, data: st.DataObject, how: str, multiple: bool, of_all: bool) -> None:
        tag = self.side.unacked[-1] if of_all else data.draw(st.sampled_from(self.side.unacked))
        if how == "ack":
            self.side.send("basic.ack", tag, multiple)
        else:
            self.side.send("basic.nack", tag, multiple, how == "requeue")

    @rule(name=queues)
    def purge(self, name: str) -> None:
        if name in self.side.broker_queues:
            self.side.send("queue.purge", 0, name, False)

    @rule()
    def lose(self) -> None:
        """The client's connection is lost. Its unacked messages come back."""
        self.side.step += 1
        self.side.client.lose()
        self.side.connect()

    # -- rules: time, the file and the process

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.5, 20.0]))
    def wait(self, seconds: float) -> None:
        """Messages expire, further dead letters are published, and failed writes are repeated."""
        self.side.wait(seconds)

    @precondition(lambda self: self.side.life.reactor.waiting)
    @rule(outcome=outcomes)
    def transact(self, outcome: Outcome) -> None:
        self.side.run(outcome)

    @rule(moment=st.sampled_from(Moment))
    def kill(self, moment: Moment) -> None:
        self.side.kill(moment)

    @rule(outcome=st.sampled_from([Outcome.WRITTEN, Outcome.WRITTEN, Outcome.FULL]))
    def stop(self, outcome: Outcome) -> None:
        self.side.stop(outcome)

    @invariant()
    def nothing_is_logged(self) -> None:
        assert not self.side.errors, self.side.errors

    @invariant()
    def messages_are_in_the_order_of_their_positions(self) -> None:
        """The file has positions, and no other order."""
        for queue in self.side.broker_queues.values():
            highest = queue.arguments.priorities
            order = [(-min(entry.message.priority, highest), entry.position) for entry in queue.ready]
            assert order == sorted(set(order)), order

    @invariant()
    def a_message_to_one_queue_is_in_one_place(self) -> None:
        """Ready, unacked or a dead letter, and also after a kill between its two places."""
        places = Counter(entry.message.body for entry, _ in entries_of(self.side.life.broker))
        assert not [body for body, count in places.items() if body.startswith(b"single") and count > 1], places

    @invariant()
    def no_queue_that_drops_its_head_is_too_long(self) -> None:
        """Also when unacked messages are ready again after a kill."""
        for queue in self.side.broker_queues.values():
            if queue.table.get("x-overflow") != "reject-publish":
                assert queue.ready.count <= queue.table.get("x-max-length", queue.ready.count), queue.table

    def teardown(self) -> None:
        self.side.end()


class StoreMachineTests(SynchronousTestCase):
    """The property."""

    def test_a_broker_finds_what_its_file_had(self) -> None:
        """After any sequence of operations, failures and kills."""
        prepare(self)
        case: Any = StoreMachine.TestCase
        case.settings = machine_settings(30)
        try:
            case().runTest()
        finally:
            self.flushLoggedErrors(sqlite3.OperationalError)


def prepare(case: SynchronousTestCase) -> None:
    """Let transactions wait for the test. A pass publishes one dead letter, so that others wait for the next ones."""
    case.patch(rpc.broker.store, "ConnectionPool", SteppedPool)
    case.patch(rpc.broker.broker, "DEAD_LETTERS_PER_PASS", 1)
