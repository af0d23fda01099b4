"""What a hostile peer can make grow: each thing to a bound, and no longer than the clock says."""

from __future__ import annotations

import struct
from typing import Any

from rpc.broker.limits import OUTGOING_AT_MOST, OUTGOING_BEFORE_PAUSE, Limits
from rpc.broker.publishing import ROUTES_KEPT
from tests.unit.amqp.peer import BODY, HEADER, HEARTBEAT, frame, method
from tests.unit.broker.hostile_case import REPLY_TO, SERVICE, HostileCase, contents
from tests.unit.broker.peer import BUFFER, PROTOCOL_HEADER, Client, publish, start_ok

CHUNK = 65536
"""Bytes of one read from a socket."""


def begun(channel: int, size: int, here: int) -> bytes:
    """A content of which so much is here."""
    header = frame(HEADER, channel, struct.pack(">HHQ", 60, 0, size) + b"\x00\x00")
    return method(channel, "basic.publish", 0, "", SERVICE, False, False) + header + frame(BODY, channel, bytes(here))


class HostileGrowthTests(HostileCase):
    """Counted, not timed."""

    def new_client(self, **limits: Any) -> Client:
        """A client with channel 1."""
        client = Client(self.broker).login(**limits)
        client.channel()
        return client

    def new_slow_client(self, **limits: Any) -> Client:
        """One that does not read."""
        client = self.new_client(**limits)
        client.wire.reads = False
        return client

    def feed_until_deaf(self, client: Client, chunk: bytes, most: int) -> int:
        """Send the chunk again and again, until the broker listens no more; return how often that was."""
        for count in range(most):
            if client.wire.producerState != "producing":
                return count
            client.feed(chunk)
        self.fail("the broker goes on listening")

    # -- what is not complete

    def test_contents_on_many_channels(self) -> None:
        """A connection holds so much of contents that are not complete, and is closed for more (506)."""
        self.new_stage(limits=Limits(contents=100_000))
        hostile = self.new_client()
        for number in range(2, 200):
            hostile.channel(number)
        held = []
        for number in range(1, 200):
            hostile.feed(begun(number, 2**63, 0), frame(BODY, number, bytes(1000)))
            hostile.feed(begun(number + 200, 2000, 1000)[:1000])
            held.append(self.broker.memory.held)
        self.assertEqual(max(held), 0)
        for number in range(1, 200):
            hostile.feed(b"")
        hostile.lose()
        hostile = self.new_client()
        for number in range(2, 200):
            hostile.channel(number)
        answers: list[str] = []
        number = 0
        while not answers:
            number += 1
            hostile.feed(begun(number, 2000, 1000))
            self.assertLess(self.broker.memory.held, 102_000)
            answers = hostile.names()
        self.assertEqual((answers, number), (["connection.close"], 100))
        self.assert_nothing_left(hostile)
