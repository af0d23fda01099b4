"""A broker with a state file in the test's control, and a client of it.

A plain walk over the broker gives its durable state (:mod:`tests.unit.broker.durable_state`). It is taken when a
transaction begins to wait. From its commit on, a broker that is killed must have exactly that when it starts again.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import attrs
from twisted.python import log

from tests.unit.broker.durable_state import Durable, channels_of, durable_state
from tests.unit.broker.events import events
from tests.unit.broker.peer import Client
from tests.unit.broker.stepped_store import BrokerLife, Moment, Outcome

EXCHANGES = ["x", "y"]
MEMORY = Path("/dev/shm")  # noqa: S108  # folders in it have names that cannot be guessed
"""A file system without a disk, on Linux: SQLite waits for the disk at every start and end."""


@attrs.frozen
class Written:
    """The content of the file: the state of the broker after a step."""

    step: int
    state: Durable


class BrokerWithState:
    """One client, and brokers with one state file, one after another.

    :ivar step: the number of the step that is played.
    :ivar after: the state after each step with a publish that is not confirmed, by its delivery tag.
    :ivar written: the content of the file.
    :ivar taken: its content when the transaction that waits is committed.
    :ivar failed: whether the latest transaction failed: the next one repeats it.
    """

    def __init__(self) -> None:
        self.errors: list[Any] = []
        log.addObserver(self._observe)
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.lives = 0
        self.step = 0
        self.published = 0
        self.bodies = 0
        self.after: dict[int, Written] = {}
        self.written = self.taken = Written(0, Durable({}, {}, set(), {}, frozenset()))
        self.start(self.folder / "state", 1000.0)

    def _observe(self, event: dict[str, Any]) -> None:
        if event["isError"] and not event["failure"].check(sqlite3.OperationalError):
            self.errors.append(event)

    # -- steps

    def start(self, path: Path, seconds: float) -> None:
        """A broker starts with the written content. Its client connects."""
        self.life = BrokerLife(path, seconds)
        self.failed = False
        self.life.reactor.taken = self.take
        restored = durable_state(self.life.broker)
        self.written.state.check_restored(restored)
        assert all(entry.redelivered for queue in self.broker_queues.values() for entry in queue.ready)
        self.written = self.taken = Written(self.step, restored)
        self.step += 1
        self.life.reactor.advance(0)
        self.connect()

    def connect(self) -> None:
        self.client = Client(self.life.broker).login()
        self.client.channel()
        self.client.call(1, "confirm.select", False)
        self.published = 0
        self.after = {}

    def take(self) -> None:
        """A transaction begins to wait. A repeated one has the same changes."""
        if not self.failed:
            self.taken = Written(self.step, durable_state(self.life.broker))
        self.failed = False

    def send(self, name: str, *args: Any) -> None:
        self.step += 1
        self.client.send(1, name, *args)
        self.look()

    def look(self) -> None:
        """A confirmed publish is in the file, with all changes before it; or they came and went between two writes."""
        for event in events(self.client):
            assert event.name != "channel.close", event
            if event.name not in ("basic.ack", "basic.nack"):
                continue
            tag, multiple = event.args[:2]
            covered = [number for number in self.after if (number <= tag if multiple else number == tag)]
            if covered:
                # The state after the last one has all changes before it, and no message that has come and gone.
                last = [self.after.pop(each) for each in covered][-1]
                undone = self.written.state in (last.state, durable_state(self.life.broker))
                assert self.written.step >= last.step or undone, "confirmed too early"

    @property
    def broker_queues(self) -> dict[str, Any]:
        return self.life.broker.vhosts["/"].queues

    @property
    def exchanges(self) -> list[str]:
        return [name for name in EXCHANGES if name in self.life.broker.vhosts["/"].exchanges]

    @property
    def unacked(self) -> list[int]:
        (channel,) = channels_of(self.life.broker)
        return [*channel.unacked]

    def run(self, outcome: Outcome) -> None:
        """The transaction that waits is run. Changes since it began to wait come into the next one."""
        if outcome in (Outcome.WRITTEN, Outcome.UNKNOWN):
            self.written = self.taken
        self.failed = outcome is not Outcome.WRITTEN
        self.step += 1
        self.life.reactor.run(outcome)
        self.look()

    def wait(self, seconds: float) -> None:
        """Time passes, from one timer to the next."""
        reactor = self.life.reactor
        end = reactor.rightNow + seconds
        while True:
            due = min([call.getTime() for call in reactor.getDelayedCalls()] + [end])
            self.step += 1
            reactor.rightNow = max(due, reactor.rightNow)
            reactor.advance(0)
            if due == end:
                break
        self.look()

    def kill(self, moment: Moment) -> None:
        """``kill -9``: the next broker finds the file as it is."""
        if moment is Moment.AFTER and self.life.reactor.waiting:
            self.written = self.taken
        self.lives += 1
        path = self.folder / f"state{self.lives}"
        self.life.kill(moment, path)
        self.start(path, self.life.reactor.rightNow)

    def stop(self, outcome: Outcome) -> None:
        """The broker is stopped in order. It writes everything, if it can."""
        self.step += 1
        self.client.lose()
        state = durable_state(self.life.broker)
        if outcome is Outcome.WRITTEN:
            self.written = Written(self.step, state)
        self.life.stop(outcome)
        self.start(self.life.path, self.life.reactor.rightNow)

    def end(self) -> None:
        """When the file can be written again, everything is confirmed, and in the file."""
        try:
            self._write_all()
            self.kill(Moment.BEFORE)
            self.life.kill(Moment.BEFORE, self.folder / "end")
        finally:
            shutil.rmtree(self.folder)
            log.removeObserver(self._observe)

    def _write_all(self) -> None:
        for _ in range(1000):
            if self.life.reactor.waiting:
                self.run(Outcome.WRITTEN)
            elif self.life.store.written() is None and not self.after:
                break
            else:
                self.wait(0.05)
        assert not self.after, "publishes are never confirmed"
        assert self.written.state == durable_state(self.life.broker)
