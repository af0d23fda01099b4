"""A store whose transactions run when a test says so, and a broker that can be killed between and within them.

The store, adbapi and SQLite are the real ones. Only adbapi's threads are replaced: a transaction waits in a list.
"""

from __future__ import annotations

import enum
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.enterprise.adbapi import Connection, ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from rpc.broker.broker import Broker
from rpc.broker.store import Store


class Outcome(enum.Enum):
    """How a transaction ends."""

    WRITTEN = "it is in the file, and the store knows it"
    LOCKED = "it does not begin: another program has locked the file"
    FULL = "its commit fails: the disk is full"
    UNKNOWN = "its commit succeeds, and the store is told that it failed"


class Moment(enum.Enum):
    """When a process is killed."""

    BEFORE = "before the transaction that waits"
    WITHIN = "when its statements have run, before the commit"
    AFTER = "after the commit, before the store knows it"


class SteppedReactor(Clock):
    """A clock, and the list of transactions that wait for the test. Transactions of adbapi's threads are run here.

    :ivar taken: called when a transaction begins to wait.
    :ivar at_commit: called before a commit.
    :ivar after_commit: called after a commit.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.rightNow = seconds
        self.waiting: deque[tuple[Callable[[bool, Any], None], Callable[[], Any]]] = deque()
        self.taken: Callable[[], None] = _nothing
        self.at_commit: Callable[[], None] = _nothing
        self.after_commit: Callable[[], None] = _nothing

    # -- adbapi's view of the reactor and its threads

    def callWhenRunning(self, function: Callable[..., Any], *args: Any) -> None:
        """Begin no thread."""

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        """Call at once: the transaction runs in no thread."""
        function(*args)

    def callInThreadWithCallback(
        self, ended: Callable[[bool, Any], None], function: Callable[..., Any], *a: Any
    ) -> None:
        """Let a transaction wait."""
        self.waiting.append((ended, lambda: function(*a)))
        self.taken()

    def stop(self) -> None:
        """There are no threads to stop."""

    # -- the test's view

    def run(self, outcome: Outcome = Outcome.WRITTEN) -> None:
        """Run the transaction that waits."""
        ended, function = self.waiting.popleft()
        if outcome is Outcome.LOCKED:
            ended(False, Failure(sqlite3.OperationalError("database is locked")))
            return
        self.at_commit = _disk_full if outcome is Outcome.FULL else _nothing
        self.after_commit = _disk_error if outcome is Outcome.UNKNOWN else _nothing
        try:
            result = function()
        except sqlite3.OperationalError:
            ended(False, Failure())
        else:
            ended(True, result)


def _nothing() -> None:
    pass


def _disk_full() -> None:
    raise sqlite3.OperationalError("database or disk is full")


def _disk_error() -> None:
    raise sqlite3.OperationalError("disk I/O error")


class SteppedConnection(Connection):
    """A connection whose commits can fail."""

    def commit(self) -> None:
        """Commit."""
        reactor: Any = self._pool._reactor
        connection: Any = self._connection
        reactor.at_commit()
        connection.commit()
        reactor.after_commit()


class SteppedPool(ConnectionPool):
    """adbapi's pool, with the list of a :class:`SteppedReactor` for threads. It replaces the one of ``store.py``."""

    connectionFactory = SteppedConnection

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.threadpool = self._reactor


class BrokerLife:
    """One process of a broker, from its start to its end.

    :ivar broker: the broker, with its state loaded.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self.reactor = SteppedReactor(seconds)
        self.store: Any = Store(self.reactor, path)
        self.broker = Broker(self.reactor, store=self.store)
        loaded = Deferred.fromCoroutine(self.store.load(self.broker))
        self.reactor.run()
        problems: list[Any] = []
        loaded.addErrback(problems.append)
        assert not problems, problems

    def kill(self, moment: Moment, path: Path) -> None:
        """End the process; its files go on at `path`, as they are at this moment."""
        if moment is Moment.BEFORE or not self.reactor.waiting:
            self._copy(path)
        else:
            _, function = self.reactor.waiting.popleft()
            self.reactor.at_commit = self.reactor.after_commit = _nothing
            if moment is Moment.WITHIN:
                self.reactor.at_commit = lambda: self._copy(path)
            function()
            if moment is Moment.AFTER:
                self._copy(path)
        self.reactor.waiting.clear()
        self.store._pool.close()
        self.store._lock.release()

    def _copy(self, path: Path) -> None:
        """Copy the file and its journal. SQLite makes the third file, an index of the journal, anew."""
        for suffix in ("", "-wal"):
            if self.path.with_name(self.path.name + suffix).exists():
                shutil.copyfile(f"{self.path}{suffix}", f"{path}{suffix}")

    def stop(self, outcome: Outcome) -> None:
        """End the process in order. Each transaction that is left ends so."""
        self.broker.clear()
        closed = Deferred.fromCoroutine(self.store.close())
        while self.reactor.waiting:
            self.reactor.run(outcome)
        assert closed.called
