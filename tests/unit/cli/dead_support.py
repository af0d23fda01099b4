"""For tests of dead letters: letters as a broker delivers them, and the queue that has them."""

from __future__ import annotations

from typing import Any

from rpc.amqp.channel import Channel
from rpc.amqp.codec.fields import encode_short_string
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery
from rpc.cli.dead_letters import Letter
from rpc.messages import Properties
from rpc.topology import DeadLetterKind
from tests.unit.amqp.peer import METHOD, Peer, delivery, method

NOWHERE: Any = None
"""The channel of letters that nothing is done to."""

QUEUE = "rpc.Calculator.dead"


def letter(
    number: int = 1,
    properties: Properties | bytes = b"\x00\x00",
    body: bytes = b"",
    channel: Channel = NOWHERE,
    kind: DeadLetterKind = DeadLetterKind.UNFINISHED,
) -> Letter:
    """Return the letter of this number, which is also its delivery tag."""
    encoded = properties if isinstance(properties, bytes) else encode_properties(properties)
    routing = encode_short_string("rpc.dead") + encode_short_string("Calculator")
    return Letter.of(number, kind, Delivery(channel, number, False, routing, encoded, body))


class DeadQueue:
    """The queue of dead letters, played for the channels of one client.

    :ivar ready: the sizes of the letters that are ready, oldest first.
    :ivar counted: how many ready letters it counts; ``None``: those that there are.
    :ivar others: how many consumers other programs have.
    :ivar unacked: sizes by delivery tag.
    :ivar acks: the arguments of all acks.
    :ivar rounds: the prefetch of each consumer so far.
    :ivar running: the tags of the consumers.
    :ivar properties: encoded, of every letter.
    :ivar published: how many messages were published.
    :ivar slow: whether requeued letters come back when the test says so.
    """

    def __init__(self, peer: Peer, *ready: int) -> None:
        self._peer = peer
        self._prefetch = self._credit = self._tag = 0
        self._channel = self._consuming = 1
        self.ready = list(ready)
        self.counted: int | None = None
        self.others = 0
        self.unacked: dict[int, int] = {}
        self.acks: list[tuple[int, bool]] = []
        self.rounds: list[int] = []
        self.tags: list[str] = []
        self.running: list[str] = []
        self.properties = b"\x00\x00"
        self.published = 0
        self.slow = False

    def serve(self) -> None:
        """Answer the client's methods, until it sends nothing more."""
        while frames := self._peer.written():
            for frame in frames:
                if frame.kind != METHOD:
                    continue
                self._channel = frame.channel
                getattr(self, "_" + frame.name.replace(".", "_").replace("-", "_"))(*frame.args)

    def deliver(self) -> None:
        """Deliver letters, as far as the last consumer has credit."""
        while self.ready and self._credit and self.running:
            self._tag, self._credit = self._tag + 1, self._credit - 1
            self.unacked[self._tag] = size = self.ready.pop(0)
            letter = delivery(self._consuming, self.running[-1], self._tag, b"x" * size, properties=self.properties)
            self._peer.feed(letter)

    def take_back(self) -> None:
        """Requeue the letters of the channel that has ended."""
        self.ready = [*self.unacked.values(), *self.ready]
        self.unacked.clear()

    def _answer(self, name: str, *args: Any) -> None:
        self._peer.feed(method(self._channel, name, *args))

    def _channel_open(self, _: str) -> None:
        self._answer("channel.open-ok", b"")

    def _channel_close_ok(self) -> None:
        """The client agrees."""

    def _channel_close(self, *_: Any) -> None:
        self.running.clear()
        if not self.slow:
            self.take_back()
        self._answer("channel.close-ok")

    def _confirm_select(self, _: bool) -> None:
        self._answer("confirm.select-ok")

    def _basic_publish(self, *_: Any) -> None:
        self.published += 1

    def _basic_qos(self, _: int, prefetch: int, __: bool) -> None:
        self._prefetch = prefetch
        self._answer("basic.qos-ok")

    def _basic_consume(self, _: int, __: str, tag: str, *___: Any) -> None:
        self.rounds.append(self._prefetch)
        self.running.append(tag)
        self.tags.append(tag)
        self._credit, self._consuming = self._prefetch, self._channel
        self._answer("basic.consume-ok", tag)
        self.deliver()

    def _basic_cancel(self, tag: str, _: bool) -> None:
        self.running.remove(tag)
        self._answer("basic.cancel-ok", tag)

    def _queue_declare(self, *_: Any) -> None:
        count = len(self.ready) if self.counted is None else self.counted
        self._answer("queue.declare-ok", QUEUE, count, len(self.running) + self.others)

    def _basic_ack(self, last: int, multiple: bool) -> None:
        self.acks.append((last, multiple))
        tags = [tag for tag in self.unacked if tag == last or (multiple and tag < last)]
        assert tags, "406: an unknown delivery tag"
        for tag in tags:
            del self.unacked[tag]
            self._credit += 1
        self.deliver()
