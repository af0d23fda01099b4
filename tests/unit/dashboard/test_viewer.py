"""Streams of viewers: slow ones, silent ones, and those that leave."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyChannel, DummyRequest

from rpc.dashboard.viewer import LONGEST_PAUSE, State, Viewer


class Connection(DummyChannel):
    """The connection of a viewer."""

    is_aborted = False
    is_bounded = True

    def abort(self) -> None:
        """Note it."""
        self.is_aborted = True

    def outlive(self) -> None:
        """Note it."""
        self.is_bounded = False


class ViewerTests(SynchronousTestCase):
    """One viewer."""

    def setUp(self) -> None:
        self.clock = Clock()
        request: Any = DummyRequest([])
        self.request = request
        self.request.channel = self.connection = Connection()
        self.closed: list[Viewer] = []
        self.present = 0
        # The stand-in for a request would pull from its producer at once.
        self.request.registerProducer = lambda producer, streaming: None
        self.request.unregisterProducer = lambda: None
        self.viewer = Viewer(self.request, self.clock, None, self.tell)
        self.viewer.begin(self.closed.append)

    def tell(self, viewer: Viewer) -> bytes:
        """Return the present state."""
        self.present += 1
        return b"full %d." % self.present

    def sent(self) -> bytes:
        """Return the bytes that were sent since the last call."""
        sent = b"".join(self.request.written)
        self.request.written.clear()
        return sent

    def test_begins_with_the_present_state(self) -> None:
        """And gets all events from then on."""
        self.viewer.send(b"one.")
        self.assertEqual(self.sent(), b"full 1.one.")
        self.assertFalse(self.connection.is_bounded)  # it lasts as long as the page is open

    def test_a_slow_viewer_misses_events(self) -> None:
        """Nothing is kept for it. When it has read the sent bytes, it gets the present state."""
        self.sent()
        self.viewer.pauseProducing()
        for _ in range(1000):
            self.viewer.send(b"delta.")
        self.assertEqual(self.sent(), b"")
        self.assertIs(self.viewer.state, State.BEHIND)
        self.viewer.resumeProducing()
        self.viewer.send(b"next.")
        self.assertEqual(self.sent(), b"full 2.next.")

    def test_a_full_transport_alone_is_no_loss(self) -> None:
        """An event of more than the transport's buffer pauses each time: it is not sent again and again."""
        for _ in range(3):
            self.viewer.pauseProducing()
            self.assertIs(self.viewer.state, State.FULL)
            self.viewer.resumeProducing()
        self.assertEqual(self.sent(), b"full 1.")

    def test_a_viewer_that_never_reads_is_closed(self) -> None:
        """After some time, without an orderly end: it would wait for the browser to read."""
        self.viewer.pauseProducing()
        self.clock.advance(LONGEST_PAUSE - 1)
        self.assertFalse(self.connection.is_aborted)
        self.clock.advance(1)
        self.assertTrue(self.connection.is_aborted)

    def test_reading_in_time_ends_the_wait(self) -> None:
        """A viewer may be slow for ever."""
        for _ in range(5):
            self.viewer.pauseProducing()
            self.clock.advance(LONGEST_PAUSE - 1)
            self.viewer.resumeProducing()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.connection.is_aborted)

    def test_a_viewer_that_leaves_leaves_nothing(self) -> None:
        """In each state. No timer is left, and events to it are dropped."""
        self.viewer.pauseProducing()
        self.request.processingFailed(Failure(ConnectionDone()))
        self.assertEqual(self.closed, [self.viewer])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.sent()
        for step in (self.viewer.resumeProducing, self.viewer.pauseProducing, self.viewer.close):
            step()
            self.viewer.send(b"late.")
        self.assertEqual(self.sent(), b"")
        self.assertIs(self.viewer.state, State.CLOSED)

    def test_close_ends_the_stream(self) -> None:
        """Once."""
        self.viewer.close()
        self.viewer.close()
        self.assertEqual(self.request.finished, 1)
        self.assertEqual(self.closed, [self.viewer])

    def test_close_does_not_wait_for_a_browser_that_does_not_read(self) -> None:
        """Its connection is aborted."""
        self.viewer.pauseProducing()
        self.viewer.close()
        self.assertEqual((self.request.finished, self.connection.is_aborted), (0, True))
