"""The lines of ``thrift-rpc call --verbose``."""

from __future__ import annotations

import io
import sys

from generated.calculator import Calculator
from rpc.cli.call_trace import CallTrace
from rpc.uri import parse
from tests.unit.client.caller_in_memory import AttemptTestCase


class CallTraceTests(AttemptTestCase):
    """On a broker in memory."""

    def test_texts_of_peers_add_no_line(self) -> None:
        """A worker chooses its name."""
        written = io.StringIO()
        self.patch(sys, "stderr", written)
        trace = CallTrace(parse("amqp://me:secret@192.0.2.1"))
        call = self.caller.client(liveness=5.0, interceptors=[trace]).add(1, 2)
        request = self.request()
        self.keepalive(request, "a\nend: after 1.0 ms")
        self.caller.reply(request, Calculator.add_result(3))  # type: ignore[attr-defined]  # generated
        self.assertEqual(self.successResultOf(call), 3)
        begun = [line.partition(":")[0] for line in written.getvalue().splitlines()]
        self.assertEqual(begun, ["broker", "request", "message", "end"])
        self.assertIn(r"worker a\nend: after 1.0 ms", written.getvalue())
        self.assertNotIn("secret", written.getvalue())
