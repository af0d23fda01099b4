"""The path of a call through the gateway, counted as in ``tests/unit/test_hot_path.py``."""

from __future__ import annotations

from itertools import count, islice
from typing import Any

from twisted.internet.defer import Deferred

from rpc.amqp.codec.properties import encode_properties
from rpc.client import caller
from rpc.envelope import CODECS
from rpc.messages import Properties
from tests.unit.amqp.peer import content, method
from tests.unit.gateway.gateway_in_memory import GatewayTestCase, framed, request, result
from tests.unit.test_hot_path import BEFORE, CALLS, count_functions, described

FUNCTIONS = 69
"""From the bytes of a framed request to the bytes of its answer. Those of a client without a gateway are 40."""

TOGETHER = 50
"""Requests that come in one read, and their replies."""

FUNCTIONS_TOGETHER = 41
"""Of each of them. Those of :meth:`rpc.client.raw.RawClient.call`, without a gateway, are 35."""


class GatewayPathTests(GatewayTestCase):
    """Framed calls in the binary protocol."""

    def incoming(self, first: int, count: int = 1) -> bytes:
        """Return the bytes that the broker sends for calls: their confirm, and their replies."""
        channel = self.caller.wire.channel.id
        parts = [method(channel, "basic.ack", first + count - 1, count > 1)]
        for number in range(first, first + count):
            properties = Properties(
                content_type=CODECS["binary"].content_type, delivery_mode=1, correlation_id=f"{number:032}"
            )
            parts.append(method(channel, "basic.deliver", "c1", number, False, "", "amq.gen-replies"))
            parts += content(channel, result(seqid=number), properties=encode_properties(properties))
        return b"".join(parts)

    def connected(self) -> tuple[Any, Any]:
        """Return a client's protocol and transport, after some calls."""
        ids = map(b"\x20%032d".__mod__, count(1))
        self.patch(caller, "random_ids", lambda: [*islice(ids, CALLS)][::-1])
        protocol, transport = self.connect()
        for number in range(1, BEFORE):
            protocol.dataReceived(framed(request()))
            self.feed(self.incoming(number))
        transport.take()
        return protocol, transport

    def feed(self, data: bytes) -> None:
        """Receive bytes of the broker."""
        self.caller.wire.peer.connection.dataReceived(data)

    def test_a_call_stays_below_the_bound_of_functions(self) -> None:
        """And has one Deferred, and one write to the client."""
        protocol, transport = self.connected()
        message, incoming = framed(request()), self.incoming(BEFORE)

        def run() -> None:
            protocol.dataReceived(message)
            self.feed(incoming)

        counted = count_functions(run)
        self.assertEqual(transport.take(), framed(result()))
        del counted[GatewayPathTests.feed.__code__]
        self.assertLessEqual(counted.total(), FUNCTIONS, described(counted))
        self.assertEqual(counted[Deferred.__init__.__code__], 1)

    def test_calls_that_come_together_cost_little_more_than_without_a_gateway(self) -> None:
        """Their answers have one write, and the connection goes on once."""
        protocol, transport = self.connected()
        messages, incoming = framed(*[request()] * TOGETHER), self.incoming(BEFORE, TOGETHER)
        written: list[bytes] = []
        self.patch(transport, "write", written.append)

        def run() -> None:
            protocol.dataReceived(messages)
            self.feed(incoming)

        counted = count_functions(run)
        self.assertEqual(written, [framed(*[result()] * TOGETHER)])
        self.assertLessEqual(counted.total() // TOGETHER, FUNCTIONS_TOGETHER, described(counted))
