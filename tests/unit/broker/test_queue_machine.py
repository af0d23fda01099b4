"""Queues, consumers and clients in any order, beside a plain reference (:mod:`tests.unit.broker.queue_reference`).

Three clients, one of them with two channels, use three queues with drawn arguments. The dead letters of ``a`` may go to
``b``, those of ``b`` to ``c``, and those of ``c`` to ``dead``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from rpc.messages import Properties
from tests.unit.broker.beside_reference import CHANNELS, BesideReference
from tests.unit.broker.peer import Client, publish
from tests.unit.broker.reference_parts import ChannelName, Copy, Delivery, Queue
from tests.unit.machines import machine_settings

NEXT = {"a": "b", "b": "c", "c": "dead"}
TIMES = {"a": 1001, "b": 1003, "c": 1009}
EXPIRATIONS = {"a": 511, "b": 517, "c": 523, "missing": 1}
"""Milliseconds to live. Steps end at multiples of 50 ms, and no sum of these is one. No two queues have messages that
expire in one moment, so there is one right order of their dead letters."""

channels = st.sampled_from(CHANNELS)
names = st.sampled_from(["a", "a", "a", "b", "b", "c", "dead"])
few = st.integers(1, 3)
sizes = st.lists(few, min_size=1, max_size=4)


@st.composite
def queue_arguments(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """The arguments of a queue. Most queues have few of them."""
    there: dict[str, st.SearchStrategy[Any]] = {
        "x-queue-type": st.just("quorum"),
        "x-delivery-limit": st.integers(0, 2),
        "x-max-length": st.sampled_from([4, 3, 2, 1, 0]),
        "x-max-length-bytes": st.sampled_from([12, 9, 6, 3, 0]),
        "x-overflow": st.sampled_from(["drop-head", "reject-publish", "reject-publish-dlx"]),
        "x-message-ttl": st.sampled_from([TIMES[name], TIMES[name], 0]),
        "x-max-priority": st.just(2),
    }
    chosen = draw(st.sets(st.sampled_from([*there]), max_size=3))
    table = {argument: draw(there[argument]) for argument in there if argument in chosen}
    dead_letters: list[dict[str, Any]] = [
        {},
        {"x-dead-letter-exchange": ""},
        {"x-dead-letter-exchange": "missing"},
        {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": NEXT[name]},
        {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": NEXT[name]},
    ]
    if draw(st.sampled_from([False, False, True])):
        table["x-single-active-consumer"] = True
    return {**table, **draw(st.sampled_from(dead_letters))}


class QueueMachine(RuleBasedStateMachine):
    """The broker and the reference take the same steps."""

    def __init__(self) -> None:
        super().__init__()
        self.side = BesideReference()
        self.reference = self.side.reference

    def draw(self, data: st.DataObject, among: Callable[[ChannelName], Any]) -> ChannelName:
        """Draw a channel that has something."""
        return data.draw(st.sampled_from([each for each in CHANNELS if among(each)]))

    # -- rules

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.declare("dead", {})
        for name in NEXT:
            self.declare(name, data.draw(queue_arguments(name)))
        common = data.draw(names)
        for channel in data.draw(st.permutations(CHANNELS))[:2]:
            self.limit(channel, data.draw(st.sampled_from([0, 0, 1, 2])))
            for name in (common, data.draw(names)):
                self.consume(channel, name, False, data.draw(few), 0)
                self.publish(channel, name, data.draw(sizes), None, False, False)

    def declare(self, name: str, arguments: dict[str, Any]) -> None:
        self.side.send((0, 1), "queue.declare", 0, name, False, True, False, False, False, arguments)
        self.reference.queues[name] = Queue(name, arguments)
        assert self.side.answer((0, 1), "queue.declare-ok").args == (name, 0, 0)
        self.reference.finish()

    @rule(
        channel=channels,
        name=st.sampled_from(["a", "a", "a", "b", "b", "c", "missing"]),
        sizes=sizes,
        priority=st.sampled_from([None, 0, 1, 2, 9]),
        expires=st.sampled_from([False, False, True]),
        mandatory=st.booleans(),
    )
    def publish(
        self, channel: ChannelName, name: str, sizes: list[int], priority: int | None, expires: bool, mandatory: bool
    ) -> None:
        """A few messages, one after the other."""
        for size in sizes:
            self.publish_one(channel, name, size, priority, expires, mandatory)

    def publish_one(
        self, channel: ChannelName, name: str, size: int, priority: int | None, expires: bool, mandatory: bool
    ) -> None:
        """Each body is unique, and has two to four bytes."""
        self.side.bodies += 1
        body = bytes([self.side.bodies >> 8, self.side.bodies & 255]) + b"." * (size - 1)
        expiration = EXPIRATIONS[name] if expires else None
        properties = Properties(priority=priority, expiration=str(expiration) if expires else None)
        routed = name in self.reference.queues
        data = publish(channel[1], "", name, body, properties=properties, mandatory=mandatory)
        self.side.clients[channel[0]].feed(data)
        self.side.clock.advance(0)
        *returned, confirm = self.side.answers(channel)
        taken = self.reference.publish(name, Copy(body, priority or 0, expiration))
        self.side.published[channel] += 1
        assert [event.name for event in returned] == ["basic.return"] * (mandatory and not routed)
        assert (confirm.name, confirm.args[0]) == ("basic.ack" if taken else "basic.nack", self.side.published[channel])
        if taken:
            self.side.confirmed.add(body)
        self.reference.finish()

    @rule(
        channel=channels,
        name=names,
        no_ack=st.sampled_from([False, False, True]),
        prefetch=st.integers(0, 3),
        priority=st.sampled_from([0, 0, 1]),
    )
    def consume(self, channel: ChannelName, name: str, no_ack: bool, prefetch: int, priority: int) -> None:
        self.side.send(channel, "basic.qos", 0, prefetch, False)
        self.side.answer(channel, "basic.qos-ok")
        self.side.tags += 1
        tag = f"consumer {self.side.tags}"
        self.side.send(channel, "basic.consume", 0, name, tag, False, no_ack, False, False, {"x-priority": priority})
        self.reference.consume(channel, tag, name, no_ack, prefetch, priority)
        self.side.answer(channel, "basic.consume-ok")
        self.reference.finish()

    @rule(channel=channels, limit=st.integers(0, 3))
    def limit(self, channel: ChannelName, limit: int) -> None:
        """A prefetch of all consumers of a channel together."""
        self.side.send(channel, "basic.qos", 0, limit, True)
        self.reference.channels[channel].limit = limit
        self.side.answer(channel, "basic.qos-ok")
        self.reference.finish()

    @rule(channel=channels, name=names, no_ack=st.booleans())
    def get(self, channel: ChannelName, name: str, no_ack: bool) -> None:
        self.side.send(channel, "basic.get", 0, name, no_ack)
        (event,) = self.side.answers(channel)
        copy = self.reference.get(channel, name, no_ack, event.args[0])
        if copy is None:
            assert event.name == "basic.get-empty"
        else:
            assert (event.name, event.args[4]) == ("basic.get-ok", len(self.reference.queues[name].ready))
            Delivery(channel, "", event.args[0], event.args[1], event.body, event.headers).check(copy)
        self.reference.finish()

    @precondition(lambda self: any(map(self.side.unacked, CHANNELS)))
    @rule(
        data=st.data(),
        how=st.sampled_from(["ack", "reject", "requeue"]),
        by=st.sampled_from(["one", "one", "multiple", "all"]),
    )
    def settle(self, data: st.DataObject, how: str, by: str) -> None:
        channel = self.draw(data, self.side.unacked)
        unacked = self.side.unacked(channel)
        tag = data.draw(st.sampled_from(unacked))
        tags = {"one": [tag], "multiple": [each for each in unacked if each <= tag], "all": unacked}[by]
        sent, multiple = 0 if by == "all" else tag, by != "one"
        if how == "ack":
            self.side.send(channel, "basic.ack", sent, multiple)
        elif multiple:
            self.side.send(channel, "basic.nack", sent, True, how == "requeue")
        else:
            self.side.send(channel, "basic.reject", sent, how == "requeue")
        assert not self.side.answers(channel)
        self.reference.settle(channel, tags, how)
        self.reference.finish()

    @precondition(lambda self: self.reference.consumers)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        channel, tag = data.draw(st.sampled_from([*self.reference.consumers]))
        self.side.send(channel, "basic.cancel", tag, False)
        self.reference.cancel(channel, tag)
        self.side.answer(channel, "basic.cancel-ok")
        self.reference.finish()

    @rule(data=st.data(), channel=channels)
    def disturb(self, data: st.DataObject, channel: ChannelName) -> None:
        """Rarer events. If each were a rule, there would be few messages."""
        events = (self.recover, self.close_channel, self.break_channel, self.lose, self.purge, self.replace_queue)
        data.draw(st.sampled_from(events))(data, channel)

    def recover(self, data: st.DataObject, channel: ChannelName) -> None:
        self.side.send(channel, "basic.recover", True)
        self.side.answer(channel, "basic.recover-ok")
        self.reference.settle(channel, self.side.unacked(channel), "requeue")
        self.reference.finish()

    def close_channel(self, data: st.DataObject, channel: ChannelName) -> None:
        self.side.send(channel, "channel.close", 200, "", 0, 0)
        self.ended(channel, "channel.close-ok")
        self.side.open(channel)

    def break_channel(self, data: st.DataObject, channel: ChannelName) -> None:
        """The broker closes a channel for an unknown delivery tag."""
        self.side.send(channel, "basic.ack", 999, False)
        self.ended(channel, "channel.close")
        self.side.send(channel, "channel.close-ok")
        self.side.open(channel)

    def ended(self, channel: ChannelName, answer: str) -> None:
        self.side.answer(channel, answer)
        self.reference.end(channel)
        self.reference.finish()

    def lose(self, data: st.DataObject, channel: ChannelName) -> None:
        """A connection is lost, with its channels."""
        number = channel[0]
        ended = [each for each in self.reference.channels if each[0] == number]
        self.side.clients[number].lose()
        self.side.clients[number] = Client(self.side.broker).login()
        self.side.clock.advance(0)
        assert not self.side.look()
        self.reference.end(*ended)
        self.reference.finish()
        for each in CHANNELS:
            if each[0] == number:
                self.side.open(each)

    def purge(self, data: st.DataObject, channel: ChannelName) -> None:
        name = data.draw(names)
        self.side.send(channel, "queue.purge", 0, name, False)
        assert self.side.answer(channel, "queue.purge-ok").args == (self.reference.purge(name),)
        self.reference.finish()

    def replace_queue(self, data: st.DataObject, channel: ChannelName) -> None:
        """A queue is deleted: its consumers are cancelled, and its unacked messages can still be settled.

        Another one of the same name is declared.
        """
        name = data.draw(st.sampled_from([*NEXT]))
        cancelled = sorted(key for key, each in self.reference.consumers.items() if each.queue.name == name)
        self.side.send(channel, "queue.delete", 0, name, False, False, False)
        others = self.side.look()
        answer = others[channel].pop()
        assert (answer.name, answer.args) == ("queue.delete-ok", (self.reference.delete(name),))
        told = [(channel, event.args[0]) for channel, each in others.items() for event in each]
        assert sorted(told) == cancelled
        self.reference.finish()
        self.declare(name, data.draw(queue_arguments(name)))

    @rule(milliseconds=st.sampled_from([50, 500, 500, 1000]))
    def wait(self, milliseconds: int) -> None:
        """Time passes, from one timer to the next."""
        end = (self.reference.now + milliseconds) / 1000
        calls = self.side.clock.getDelayedCalls
        while (due := min([call.getTime() for call in calls()] + [end])) < end:
            self.side.clock.rightNow = due
            self.side.clock.advance(0)
        self.side.clock.rightNow = end
        self.side.clock.advance(0)
        assert not self.side.look()
        self.reference.wait(milliseconds)
        self.reference.finish()

    @invariant()
    def messages_are_where_the_reference_has_them(self) -> None:
        self.side.check_messages()
        self.side.check_places()

    def teardown(self) -> None:
        self.side.end()


class QueueMachineTests(SynchronousTestCase):
    """The property."""

    def test_messages_are_where_the_reference_has_them(self) -> None:
        """After any sequence of operations."""
        case: Any = QueueMachine.TestCase
        case.settings = machine_settings(40)
        case().runTest()
