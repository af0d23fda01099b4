"""The path of a call through the gateway, counted as in ``tests/unit/test_hot_path.py``."""

from __future__ import annotations

from itertools import count, islice

from twisted.internet.defer import Deferred

from rpc.amqp.codec.properties import encode_properties
from rpc.client import caller
from rpc.envelope import CODECS
from rpc.messages import Properties
from tests.unit.amqp.peer import content, method
from tests.unit.gateway.gateway_in_memory import GatewayTestCase, framed, request, result
from tests.unit.test_hot_path import BEFORE, CALLS, count_functions, described

FUNCTIONS = 71
"""From the bytes of a framed request to the bytes of its answer. Those of a client without a gateway are 40."""


class GatewayPathTests(GatewayTestCase):
    """Framed calls in the binary protocol."""

    def incoming(self, number: int) -> bytes:
        """Return the bytes that the broker sends for a call: its confirm, and its reply."""
        properties = Properties(
            content_type=CODECS["binary"].content_type, delivery_mode=1, correlation_id=f"{number:032}"
        )
        channel = self.caller.wire.channel.id
        confirm = method(channel, "basic.ack", number, False)
        deliver = method(channel, "basic.deliver", "c1", number, False, "", "amq.gen-replies")
        body = content(channel, result(seqid=number), properties=encode_properties(properties))
        return b"".join([confirm, deliver, *body])

    def test_a_call_stays_below_the_bound_of_functions(self) -> None:
        """And has one Deferred, and one write to the client."""
        ids = map(b"\x20%032d".__mod__, count(1))
        self.patch(caller, "random_ids", lambda: [*islice(ids, CALLS)][::-1])
        protocol, transport = self.connect()
        feed = self.caller.wire.peer.connection.dataReceived
        for number in range(1, BEFORE):
            protocol.dataReceived(framed(request()))
            feed(self.incoming(number))
        transport.take()
        message, incoming = framed(request()), self.incoming(BEFORE)

        def run() -> None:
            protocol.dataReceived(message)
            feed(incoming)

        counted = count_functions(run)
        self.assertEqual(transport.take(), framed(result()))
        self.assertLessEqual(counted.total(), FUNCTIONS, described(counted))
        self.assertEqual(counted[Deferred.__init__.__code__], 1)
