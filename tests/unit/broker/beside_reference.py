"""An embedded broker with clients in memory, beside the reference of its queues (``queue_reference.py``).

Each step is played on the broker, then on the reference. Both must have the same messages at the same places.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.task import Clock
from twisted.python import log

from rpc.broker.ready import Entry
from tests.unit.broker.events import Event, events
from tests.unit.broker.peer import Client, new_broker
from tests.unit.broker.queue_reference import Reference
from tests.unit.broker.reference_parts import Channel, ChannelName, Delivery

CHANNELS: list[ChannelName] = [(0, 1), (1, 1), (1, 2), (2, 1)]


class BesideReference:
    """A broker, three clients, and the reference.

    :ivar confirmed: bodies of the messages that the broker has confirmed.
    :ivar errors: the broker's logged errors.
    """

    def __init__(self) -> None:
        self.broker = new_broker()
        clock = self.broker.clock
        assert isinstance(clock, Clock)
        self.clock = clock
        self.reference = Reference()
        self.clients = [Client(self.broker).login() for _ in range(3)]
        self.published: Counter[ChannelName] = Counter()
        self.confirmed: set[bytes] = set()
        self.bodies = 0
        self.tags = 0
        self.errors: list[Any] = []
        log.addObserver(self._observe)
        for channel in CHANNELS:
            self.open(channel)

    def _observe(self, event: dict[str, Any]) -> None:
        if event["isError"]:
            self.errors.append(event)

    # -- steps

    def open(self, channel: ChannelName) -> None:
        client = self.clients[channel[0]]
        client.channel(channel[1])
        client.call(channel[1], "confirm.select", False)
        self.reference.channels[channel] = Channel()
        self.published[channel] = 0

    def send(self, channel: ChannelName, name: str, *args: Any) -> None:
        """Send a method, and do the work of the reactor's next iteration."""
        self.clients[channel[0]].send(channel[1], name, *args)
        self.clock.advance(0)

    def look(self) -> dict[ChannelName, list[Event]]:
        """Tell the reference about all deliveries; return the other events."""
        others: dict[ChannelName, list[Event]] = {}
        for number, client in enumerate(self.clients):
            for event in events(client):
                channel = (number, event.channel)
                if event.name == "basic.deliver":
                    self.note_delivery(channel, event)
                else:
                    others.setdefault(channel, []).append(event)
                if event.name in ("basic.deliver", "basic.get-ok"):
                    self.count_tag(channel, event.args[event.name == "basic.deliver"])
        return others

    def note_delivery(self, channel: ChannelName, event: Event) -> None:
        tag, number, redelivered, *_ = event.args
        key = (self.reference.consumers[channel, tag].queue.name, event.body)
        assert key not in self.reference.delivered, f"{event.body!r} is delivered twice"
        self.reference.delivered[key] = Delivery(channel, tag, number, redelivered, event.body, event.headers)

    def count_tag(self, name: ChannelName, tag: int) -> None:
        """Delivery tags count up from 1 (AMQP 0-9-1, section 1.1, delivery-tag)."""
        channel = self.reference.channels[name]
        channel.last_tag += 1
        assert tag == channel.last_tag

    def answers(self, channel: ChannelName) -> list[Event]:
        """The frames that this channel alone has received, apart from deliveries."""
        others = self.look()
        answers = others.pop(channel, [])
        assert not others, others
        return answers

    def answer(self, channel: ChannelName, name: str) -> Event:
        """The one answer to a method."""
        (event,) = self.answers(channel)
        assert event.name == name, event
        return event

    def unacked(self, channel: ChannelName) -> list[int]:
        return [*self.reference.channels[channel].unacked]

    # -- the broker and the reference have the same

    @property
    def queues(self) -> dict[str, Any]:
        return self.broker.vhosts["/"].queues

    def entries_of_channels(self) -> dict[ChannelName, dict[int, Entry]]:
        """The broker's unacked messages."""
        channels: dict[ChannelName, Any] = {
            name: self.clients[name[0]].protocol._channels[name[1]] for name in CHANNELS
        }
        return {name: channel.unacked for name, channel in channels.items()}

    def check_messages(self) -> None:
        """In their order."""
        expected: dict[Any, Any] = {
            name: [(copy.body, copy.redelivered, copy.returns) for copy in queue.ready]
            for name, queue in self.reference.queues.items()
        }
        for name, channel in self.reference.channels.items():
            expected[name] = {tag: each.copy.body for tag, each in channel.unacked.items()}
        found: dict[Any, Any] = {
            name: [(each.message.body, each.redelivered, each.delivery_count) for each in queue.ready]
            for name, queue in self.queues.items()
        }
        for name, entries in self.entries_of_channels().items():
            found[name] = {tag: entry.message.body for tag, entry in entries.items()}
        assert found == expected

    def check_places(self) -> None:
        """Each confirmed message is in one place, or gone for a reason."""
        places = Counter(entry.message.body for queue in self.queues.values() for entry in queue.ready)
        for entries in self.entries_of_channels().values():
            places.update(entry.message.body for entry in entries.values())
        for body in self.confirmed:
            gone = self.reference.gone.get(body)
            assert places[body] == (gone is None), f"{body!r} is in {places[body]} places, and gone: {gone}"

    def end(self) -> None:
        """Clients end, queues are deleted, and the broker has no message left."""
        for client in self.clients:
            client.lose()
        for queue in [*self.queues.values()]:
            self.broker.vhosts["/"].delete_unused(queue)
        self.clock.advance(0)
        log.removeObserver(self._observe)
        assert self.broker.memory.held == 0
        assert not self.errors, self.errors
