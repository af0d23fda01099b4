"""A broker that does not say that a queue is consumed: its node may be busy, or its leader away."""

from __future__ import annotations

from generated.calculator import Calculator
from rpc.amqp.answer_limit import STEP, STEPS
from rpc.worker.consumer import ConsumerState
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

    def test_is_waited_for_when_bindings_are_restored_meanwhile(self) -> None:
        """The queues are bound again, and consumed once."""
        self.assertIs(self.worker.consumer.state, ConsumerState.SUBSCRIBING)
        self.wire.methods.clear()
        self.worker.consumer.restore()
        self.wire.settle()
        self.assertIn("rpc.Calculator", [args[1] for args in self.wire.taken("queue.bind")])
        self.assertEqual(self.wire.taken("basic.consume"), [])
        self.assertIs(self.worker.consumer.state, ConsumerState.SUBSCRIBING)

    def test_is_sent_again_when_the_queue_is_deleted_meanwhile(self) -> None:
        """After the queue was declared again."""
        self.wire.silent_queues.clear()
        self.wire.methods.clear()
        self.wire.peer.feed(method(self.wire.channel.id, "basic.cancel", "c2", True))
        self.wire.settle()
        self.assertIn("rpc.Calculator", [args[1] for args in self.wire.taken("queue.declare")])
        consumed = [args[1] for args in self.wire.taken("basic.consume")]
        self.assertEqual(consumed.count("rpc.Calculator"), 1)
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
