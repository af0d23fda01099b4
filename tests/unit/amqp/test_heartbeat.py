"""The heartbeat's clock alone; with a connection around it, see test_protocol.py."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.heartbeat import FRAME, Heartbeat


class HeartbeatTests(SynchronousTestCase):
    """Heartbeat."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[bytes] = []
        self.silences: list[float] = []
        self.heartbeat = Heartbeat(self.clock, 1, self.sent.append, lambda: self.silences.append(self.clock.seconds()))

    def test_sends_the_frame_of_the_specification(self) -> None:
        """The frame is type 8 on channel 0, empty (AMQP 0-9-1, section 4.2.7)."""
        self.clock.advance(0.5)
        self.assertEqual(self.sent, [b"\x08\x00\x00\x00\x00\x00\x00\xce"])
        self.assertEqual(self.sent, [FRAME])

    def test_tells_silence_once(self) -> None:
        """After two intervals, at two and a half; then nothing is sent or watched any more."""
        self.clock.pump([0.1] * 100)
        self.assertEqual(len(self.silences), 1)
        self.assertGreater(self.silences[0], 2.0)
        self.assertLess(self.silences[0], 2.6)
        self.assertEqual((len(self.sent), self.clock.getDelayedCalls()), (4, []))

    def test_counts_silence_from_the_last_byte(self) -> None:
        """Bytes that come just before a tick give two whole intervals more."""
        for _ in range(20):
            self.clock.advance(0.5)
            self.heartbeat.silent_ticks = 0
        self.assertEqual(self.silences, [])
        self.clock.pump([0.5] * 5)
        self.assertEqual(self.silences, [12.5])

    def test_does_not_blame_the_broker_for_a_blocked_reactor(self) -> None:
        """A reactor that was blocked for long is one tick, not the broker's silence."""
        self.clock.advance(60)
        self.assertEqual((self.silences, len(self.sent)), ([], 1))

    def test_stops_without_a_timer(self) -> None:
        """A second stop does nothing."""
        self.heartbeat.stop()
        self.heartbeat.stop()
        self.clock.advance(10)
        self.assertEqual((self.sent, self.silences, self.clock.getDelayedCalls()), ([], [], []))
