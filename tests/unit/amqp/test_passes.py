"""A pass over the bytes at hand: functions for its end, and its end after errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.content import Delivery
from tests.unit.amqp.peer import HEARTBEAT, Peer, delivery, method, raises


class PassTests(SynchronousTestCase):
    """Functions given to ``at_end_of_pass`` while bytes are read."""

    def setUp(self) -> None:
        self.peer = Peer().open()
        self.channel = self.peer.channel()
        self.asked: list[Callable[[], None]] = []
        self.channel.consume("q", self.ask, lambda: None)
        self.peer.feed(method(1, "basic.consume-ok", "c1"))
        self.peer.transport.clear()

    def ask(self, delivery: Delivery) -> None:
        """Give the connection the test's functions."""
        for function in self.asked:
            self.peer.connection.at_end_of_pass(function)

    def read(self) -> list[tuple[str, Any]]:
        """Let a delivery come; return name and first argument of each frame that the pass writes."""
        self.peer.feed(delivery(1, "c1", 1, b"x"))
        return [(written.name, written.args[0]) for written in self.peer.written()]

    def test_calls_functions_that_a_function_adds(self) -> None:
        """All are called in the pass, in order. No timer runs, and nothing is left."""
        ack, again = self.channel.ack, self.peer.connection.at_end_of_pass
        self.asked = [lambda: again(lambda: ack(2)), lambda: ack(1)]
        self.assertEqual(self.read(), [("basic.ack", 1), ("basic.ack", 2)])
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])
        self.peer.feed(HEARTBEAT)
        self.assertEqual(self.peer.written(), [])

    def test_logs_a_function_that_raises(self) -> None:
        """The others are called, and earlier and later output is sent."""
        self.asked = [lambda: self.channel.ack(1), raises, lambda: self.channel.ack(2)]
        self.assertEqual(self.read(), [("basic.ack", 1), ("basic.ack", 2)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_writing_works()

    def test_lets_a_system_exit_through(self) -> None:
        """SystemExit leaves the connection, which is in order."""

        def leave() -> None:
            self.channel.ack(1)
            raise SystemExit

        self.asked = [leave]
        self.assertRaises(SystemExit, self.peer.feed, delivery(1, "c1", 1, b"x"))
        self.assertEqual(self.peer.names(), ["basic.ack"])
        self.assert_writing_works()

    def assert_writing_works(self) -> None:
        """Outside of reading, output goes to the transport, and functions run in the next turn."""
        self.channel.ack(3)
        self.assertEqual(self.peer.names(), ["basic.ack"])
        self.peer.connection.at_end_of_pass(lambda: self.channel.ack(4))
        self.peer.clock.advance(0)
        self.assertEqual(self.peer.names(), ["basic.ack"])
