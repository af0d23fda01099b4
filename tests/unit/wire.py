"""The broker's end of a channel in memory, which publishes and delivers whole messages."""

from __future__ import annotations

import struct
from typing import Any

import attrs
from twisted.python import log

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import decode_properties, encode_properties
from rpc.headers import DELIVERIES, QUARANTINE
from rpc.interfaces import IChannelUser
from rpc.messages import Properties
from tests.unit.amqp.peer import BODY, HEADER, METHOD, Peer, content, method

ANSWERS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "channel.open": ("channel.open-ok", (b"",)),
    "confirm.select": ("confirm.select-ok", ()),
    "basic.qos": ("basic.qos-ok", ()),
    "exchange.declare": ("exchange.declare-ok", ()),
    "queue.declare": ("queue.declare-ok", ("amq.gen-replies", 0, 0)),
    "queue.bind": ("queue.bind-ok", ()),
    "queue.unbind": ("queue.unbind-ok", ()),
}


@attrs.frozen
class Published:
    """A message that was published."""

    exchange: str
    routing_key: str
    mandatory: bool
    properties: Properties
    body: bytes


class Wire:
    """A connection whose broker answers every method with success, until the test has it do otherwise.

    :ivar methods: name and arguments of the methods from the client, without ``basic.publish``.
    :ivar published: the messages from the client.
    :ivar refuses_beside: whether the broker nacks the messages on channels of :meth:`open_beside`.
    :ivar holds_confirms: whether confirms on those channels wait for :meth:`confirm_held`.
    :ivar silent_methods: names of methods that are not answered.
    :ivar silent_queues: names of queues whose ``basic.consume`` is not answered.
    :ivar about_quarantine: exchange and routing key of probes and announcements of the quarantine queue, which are not
        in :attr:`published`.
    :ivar last_tag: the last delivery's.
    :ivar probes: how many messages the client has published that no queue takes. They are not in :attr:`published`.
    :ivar uncounted: how many messages on the channel the test does not count when it says which are confirmed: probes.
    """

    def __init__(self) -> None:
        self.peer = Peer().open()
        self.clock = self.peer.clock
        self.methods: list[tuple[str, tuple[Any, ...]]] = []
        self.published: list[Published] = []
        self.channel: Channel
        self.last_tag = 0
        self._confirming: dict[int, int] = {}
        self._opens_beside = False
        self.probes = self.uncounted = 0
        self.refuses_beside = False
        self.holds_confirms = False
        self.silent_methods: set[str] = set()
        self.silent_queues: set[str] = set()
        self.about_quarantine: list[tuple[str, str]] = []

    def open(self, user: Any) -> Channel:
        """Open a channel for `user`, as a link does, and answer its methods."""
        assert IChannelUser.providedBy(user)
        self.channel = self.peer.channel()
        if self._opens_beside:
            self._confirming[self.channel.id] = 0
        self.channel.on_closed = user.lost
        opened: Any = user.opened(self.channel)
        opened.addErrback(log.err)
        self.answer()
        return self.channel

    def open_beside(self, user: Any) -> Channel:
        """Open a further channel, on which the broker confirms every message."""
        kept = getattr(self, "channel", None)
        self._opens_beside = True
        channel = self.open(user)
        self._opens_beside = False
        if kept is not None:
            self.channel = kept
        return channel

    def settle(self) -> None:
        """Let everything happen that takes no time: declarations on further channels, turns of the reactor."""
        for _ in range(8):
            self.clock.advance(0)
            self.answer()

    def answer(self) -> None:
        """Answer the methods from the client, and note its messages."""
        while frames := self.peer.written():
            self.process(frames)

    def process(self, frames: list[Any]) -> None:
        """Answer the methods of these frames, and note their messages."""
        while frames:
            frame = frames.pop(0)
            assert frame.kind == METHOD, frame
            if frame.name == "basic.publish":
                self._note_published(frame.channel, frame.args, frames)
                if frame.channel in self._confirming:
                    self._confirm_beside(frame.channel)
                continue
            self.methods.append((frame.name, frame.args))
            self._agree(frame.channel, frame.name, frame.args)

    def _confirm_beside(self, channel: int) -> None:
        self._confirming[channel] += 1
        if self.holds_confirms:
            return
        if self.refuses_beside:
            self.peer.feed(method(channel, "basic.nack", self._confirming[channel], False, False))
        else:
            self.peer.feed(method(channel, "basic.ack", self._confirming[channel], False))

    def confirm_held(self) -> None:
        """Confirm all that was published on channels of :meth:`open_beside`."""
        for channel, number in self._confirming.items():
            if number:
                self.peer.feed(method(channel, "basic.ack", number, True))

    def _agree(self, channel: int, name: str, args: tuple[Any, ...]) -> None:
        if name in self.silent_methods:
            return
        if name in ANSWERS:
            ok, answer = ANSWERS[name]
            self.peer.feed(method(channel, ok, *answer))
        elif name == "basic.consume" and args[1] not in self.silent_queues:
            self.peer.feed(method(channel, "basic.consume-ok", args[2]))
        elif name == "basic.cancel":
            self.peer.feed(method(channel, "basic.cancel-ok", args[0]))
        elif name == "channel.close":
            self.peer.feed(method(channel, "channel.close-ok"))

    def _note_published(self, channel: int, args: tuple[Any, ...], frames: list[Any]) -> None:
        _, exchange, routing_key, mandatory, _ = args
        header = frames.pop(0)
        assert header.kind == HEADER
        (size,) = struct.unpack_from(">Q", header.payload, 4)
        body = b""
        while len(body) < size:
            piece = frames.pop(0)
            assert piece.kind == BODY
            body += piece.payload
        properties = decode_properties(header.payload[12:])
        if (routing_key, mandatory) == ("", False):
            if channel == self.channel.id:
                self.probes += 1
                self.uncounted += 1
            return
        if properties.type == QUARANTINE:
            self.about_quarantine.append((exchange, routing_key))
            return
        self.published.append(Published(exchange, routing_key, mandatory, properties, body))

    def take(self) -> list[Published]:
        """Return the messages published since the last call."""
        self.answer()
        published, self.published = self.published, []
        return published

    def taken(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of each method `name` since the last call."""
        self.answer()
        found = [args for called, args in self.methods if called == name]
        self.methods = [(called, args) for called, args in self.methods if called != name]
        return found

    def deliver(
        self,
        body: bytes,
        properties: Properties | bytes = b"\x00\x00",
        consumer: str = "c1",
        redelivered: bool = False,
        routing_key: str = "key",
        exchange: str | None = None,
    ) -> int:
        """Deliver a message, and return its tag.

        :param exchange: by default that of a request; or of a copy, if the headers count deliveries.
        """
        self.last_tag += 1
        if exchange is None:
            headers = properties.headers if isinstance(properties, Properties) else None
            exchange = "" if headers and DELIVERIES in headers else "rpc"
        encoded = properties if isinstance(properties, bytes) else encode_properties(properties)
        begin = method(self.channel.id, "basic.deliver", consumer, self.last_tag, redelivered, exchange, routing_key)
        self.peer.feed(begin, *content(self.channel.id, body, properties=encoded))
        return self.last_tag

    def give_back(self, published: Published) -> None:
        """Return a message as unroutable."""
        begin = method(self.channel.id, "basic.return", 312, "NO_ROUTE", published.exchange, published.routing_key)
        properties = encode_properties(published.properties)
        self.peer.feed(begin, *content(self.channel.id, published.body, properties=properties))

    def confirm(self, tag: int, multiple: bool = False, refuse: bool = False) -> None:
        """Ack or nack a message, or all up to it."""
        tag += self.uncounted if tag else 0
        if refuse:
            self.peer.feed(method(self.channel.id, "basic.nack", tag, multiple, False))
        else:
            self.peer.feed(method(self.channel.id, "basic.ack", tag, multiple))

    def close_channel(self, text: str = "PRECONDITION_FAILED") -> None:
        """Have the broker close the channel, with 406 and `text`."""
        self.peer.feed(method(self.channel.id, "channel.close", 406, text, 0, 0))
        self.peer.written()
