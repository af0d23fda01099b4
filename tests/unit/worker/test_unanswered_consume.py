"""A broker that does not say that a queue is consumed: its node may be busy, or its leader away."""

from __future__ import annotations

from generated.calculator import Calculator
from rpc.amqp.answer_limit import STEP, STEPS
from rpc.worker.service import ThriftService
from tests.unit.amqp.peer import method
from tests.unit.logs import log_lines
from tests.unit.wire import Wire
from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.served import WorkerInMemory
from tests.unit.worker.test_server import Handler


class UnansweredConsumeTests(AgainTestCase):
    """The request queue of a service."""

    def setUp(self) -> None:
        self.wire, self.handler = Wire(), Handler()
        self.wire.silent_queues.add("rpc.Calculator")
        self.worker = WorkerInMemory(self.wire, ThriftService(Calculator, self.handler), self.handler)
        self.said = log_lines(self)

    def let_the_limit_pass(self) -> None:
        """Let the time pass that the broker has for an answer."""
        for _ in range(STEPS):
            self.wire.clock.advance(STEP)
            self.wire.settle()

    def test_is_told_after_half_a_minute_and_harms_no_other_service(self) -> None:
        """The channel is also that of other services. The answer still counts when it comes."""
        self.assertEqual(self.said, [])
        self.let_the_limit_pass()
        (line,) = self.said
        self.assertIn("Calculator: the broker has not answered basic.consume of rpc.Calculator for 30 s", line)
        self.assertEqual((self.worker.consuming, self.wire.channel.closed), (False, False))
        self.wire.peer.feed(method(self.wire.channel.id, "basic.consume-ok", "c2"))
        self.assertTrue(self.worker.consuming)

    def test_leaves_no_timer_when_the_channel_is_lost(self) -> None:
        """Nor when the answer comes in time."""
        self.wire.close_channel()
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])
        self.wire.silent_queues.clear()
        self.worker.open()
        self.assertTrue(self.worker.consuming)
        self.worker.server.watch.stop()
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])
