"""The watch on a program's readiness."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.serving.marker_file import MarkerFile
from rpc.serving.notifier import Notifier
from rpc.serving.watch import Watch
from rpc.worker.readiness import Readiness


class WatchTests(SynchronousTestCase):
    """Watch, with a clock."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        self.clock = Clock()
        self.sent: list[str] = []
        self.gave_up = 0
        self.readiness = Readiness.CONNECTING
        self.file = folder / "ready"

    def start(self, connect_timeout: float | None = None, watchdog: float | None = None) -> Watch:
        """Start a watch."""

        def give_up() -> None:
            self.gave_up += 1

        notifier = Notifier(lambda data: self.sent.extend(data.decode().splitlines()), watchdog)
        marker = MarkerFile("--ready-file", str(self.file))
        watch = Watch(self.clock, lambda: self.readiness, notifier, marker, connect_timeout, give_up)
        watch.start()
        return watch

    def become(self, readiness: Readiness) -> None:
        """Change the readiness, and have it noticed."""
        self.readiness = readiness
        self.clock.advance(1)

    def test_tells_each_change_once(self) -> None:
        """READY is told once in the life of a program; the file comes and goes."""
        watch = self.start()
        for readiness in (Readiness.READY, Readiness.READY, Readiness.BLOCKED, Readiness.READY):
            self.become(readiness)
            self.assertEqual(self.file.exists(), readiness is Readiness.READY)
        watch.stop()
        self.assertFalse(self.file.exists())
        told = [line for line in self.sent if not line.startswith("STATUS=")]
        self.assertEqual(
            told,
            [
                "X_READINESS=CONNECTING",
                "X_READINESS=READY",
                "READY=1",
                "X_READINESS=BLOCKED",
                "X_READINESS=READY",
                "X_READINESS=STOPPING",
                "STOPPING=1",
            ],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_file_that_cannot_be_written_is_tried_again(self) -> None:
        """A disk may be full for a moment, while the readiness does not change."""
        self.start()
        self.file.parent.rename(self.file.parent.with_name("away"))
        self.become(Readiness.READY)
        self.assertFalse(self.file.exists())
        self.file.parent.mkdir()
        self.clock.advance(1)
        self.assertTrue(self.file.exists())

    def test_gives_signs_of_life_twice_in_the_watchdogs_time(self) -> None:
        """Also when that is short."""
        self.start(watchdog=0.5)
        self.clock.pump([0.05] * 21)
        self.assertGreaterEqual(self.sent.count("WATCHDOG=1"), 4)

    def test_gives_up_when_the_broker_lets_nobody_in(self) -> None:
        """After so many seconds in a row; once."""
        self.start(connect_timeout=5)
        self.clock.pump([1] * 4)
        self.become(Readiness.READY)
        self.become(Readiness.CONNECTING)
        self.clock.pump([1] * 4)
        self.assertEqual(self.gave_up, 0)
        self.clock.pump([1] * 4)
        self.assertEqual(self.gave_up, 1)

    def test_gives_up_without_a_connection(self) -> None:
        """The time before, with a connection and not all services, counts as well."""
        self.start(connect_timeout=5)
        self.clock.pump([1] * 3)
        self.become(Readiness.DISCONNECTED)
        self.assertEqual(self.gave_up, 0)
        self.clock.pump([1] * 3)
        self.assertEqual(self.gave_up, 1)

    def test_a_blocked_broker_has_let_the_worker_in(self) -> None:
        """It is no reason to give up, and neither is a stop."""
        self.readiness = Readiness.BLOCKED
        watch = self.start(connect_timeout=2)
        self.clock.pump([1] * 5)
        watch.stop()
        watch.look()
        self.clock.pump([1] * 5)
        self.assertEqual(self.gave_up, 0)
