"""Other users of txAMQP in the process: untouched, and working."""

from __future__ import annotations

from typing import Any

import txamqp.client
import txamqp.codec
import txamqp.connection
import txamqp.content
import txamqp.protocol
import txamqp.spec
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.spec import load_spec
from tests.unit.amqp.peer import (
    OPEN_OK,
    START,
    Peer,
    delivery,
    method,
    returned,
    tune,
)


class NeighbourTests(SynchronousTestCase):
    """Other users of txAMQP in the process notice nothing of us."""

    def test_txamqp_is_untouched_by_a_connections_life(self) -> None:
        """Its decoders and classes are the same objects before and after a connection of ours has lived."""

        def state() -> dict[str, Any]:
            parts: list[Any] = [txamqp.codec.Codec, txamqp.content.Content, txamqp.spec.Method, txamqp.client]
            parts += [txamqp.protocol.AMQClient, txamqp.protocol.AMQChannel, txamqp.protocol.FrameReceiver]
            found = {f"{part.__name__}.{name}": value for part in parts for name, value in vars(part).items()}
            return {**found, **txamqp.connection.Frame.DECODERS}

        before = state()
        peer = Peer(heartbeat=10).open()
        channel = peer.channel()
        channel.consume("q", lambda delivery: None, lambda: None).addErrback(lambda failure: None)
        peer.feed(method(1, "basic.consume-ok", "c1"), delivery(1, "c1", 1, b"x"), returned(1, b"y"))
        channel.publish("", "q", b"\x00\x00", b"x")
        peer.lose()
        after = state()
        self.assertEqual(before.keys(), after.keys())
        self.assertEqual([name for name in before if before[name] is not after[name]], [])

    def test_a_plain_client_of_txamqp_works_beside_ours(self) -> None:
        """A plain AMQClient logs in, opens a channel and decodes a delivery, while ours has one too."""
        peer = Peer().open()
        ours: list[bytes] = []
        peer.channel().consume("q", lambda delivery: ours.append(delivery.body), lambda: None)
        delegate = txamqp.client.TwistedDelegate()
        client = txamqp.protocol.AMQClient(delegate, "/", load_spec(), clock=Clock())
        transport = StringTransport()
        client.makeConnection(transport)
        self.assertEqual(transport.value(), b"AMQP\x01\x01\x00\x09")
        started = client.authenticate("guest", "guest", "PLAIN")
        client.dataReceived(START + tune())
        self.flushWarnings()
        client.dataReceived(OPEN_OK)
        self.successResultOf(started)
        channel = self.successResultOf(client.channel(1))
        opened = channel.channel_open()
        client.dataReceived(method(1, "channel.open-ok", b""))
        self.assertEqual(self.successResultOf(opened).method.name, "open-ok")
        peer.feed(method(1, "basic.consume-ok", "c1"), delivery(1, "c1", 1, b"\xff ours"))
        client.dataReceived(delivery(1, "theirs", 1, b"text"))
        queue = self.successResultOf(client.queue("theirs"))
        self.assertEqual(self.successResultOf(queue.get()).content.body, "text")
        self.assertEqual(ours, [b"\xff ours"])
        self.flushWarnings()
