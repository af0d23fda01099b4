"""The SQLite file with the broker's state: its schema, reading, writing, and the lock that gives it to one broker.

The functions with a cursor run on adbapi's thread. They know rows and statements, and no object of the broker.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import attrs

from rpc.errors import ConfigurationError

Row: TypeAlias = "tuple[Any, ...]"
Statement: TypeAlias = "tuple[str, Row]"
Rows: TypeAlias = "dict[str, list[Row]]"

VERSION: Final = 2

# SQLite documentation, "Write-Ahead Logging": with synchronous=NORMAL, a commit outlives the process. It may be lost
# with the machine's power, because only checkpoints are synced.
_OPENING = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL")

_SCHEMA = (
    "CREATE TABLE exchange (vhost, name, type, auto_delete, internal, arguments, PRIMARY KEY (vhost, name))",
    "CREATE TABLE queue (vhost, name, auto_delete, arguments, PRIMARY KEY (vhost, name))",
    "CREATE TABLE binding (vhost, source, is_queue, destination, routing_key, arguments)",
    (
        "CREATE TABLE message (id INTEGER PRIMARY KEY, vhost, queue, position, expires, delivery_count, died, "
        "routing, properties, body)"
    ),
    f"PRAGMA user_version = {VERSION}",
)

# Files of version 1 do not say which messages are dead letters. Headers that say so are believed.
_FROM_VERSION_1 = (
    "ALTER TABLE message ADD COLUMN delivery_count NOT NULL DEFAULT 0",
    "ALTER TABLE message ADD COLUMN died DEFAULT TRUE",
    f"PRAGMA user_version = {VERSION}",
)

_MESSAGE: Final = "id, vhost, queue, position, expires, delivery_count, died, routing, properties, body"
"""The columns of a message. Their order in the file depends on the version that made it."""

_TABLES = {
    "exchange": "SELECT vhost, name, type, auto_delete, internal, arguments FROM exchange",
    "queue": "SELECT vhost, name, auto_delete, arguments FROM queue",
    "binding": "SELECT vhost, source, is_queue, destination, routing_key, arguments FROM binding",
    "message": f"SELECT {_MESSAGE} FROM message ORDER BY position",  # noqa: S608  # our own text
}

# A batch whose commit has failed is written again. The commit may have succeeded all the same: it is repeatable.
_INSERT_MESSAGE = f"INSERT OR REPLACE INTO message ({_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # our own text
_COUNT_MESSAGE = "UPDATE message SET delivery_count = ? WHERE id = ?"
_DELETE_MESSAGE = "DELETE FROM message WHERE id = ?"


# Not in the schema, because files of earlier releases lack them. Without them, each queue that is deleted would be
# looked for among all bindings and messages, and confirms would wait.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS binding_by_source ON binding (vhost, source, routing_key)",
    "CREATE INDEX IF NOT EXISTS binding_by_destination ON binding (vhost, destination)",
    "CREATE INDEX IF NOT EXISTS message_by_queue ON message (vhost, queue)",
)


@attrs.frozen
class Batch:
    """Changes that one transaction writes, in this order.

    :ivar definitions: statements about exchanges, queues and bindings.
    :ivar inserts: rows of messages.
    :ivar counts: delivery counts by the numbers of messages.
    :ivar deletes: numbers of messages.
    """

    definitions: list[Statement]
    inserts: list[Row]
    counts: dict[int, int]
    deletes: list[int]


def write(cursor: Any, batch: Batch) -> None:
    """Write a batch."""
    for statement, values in batch.definitions:
        cursor.execute(statement, _storable(values))
    cursor.executemany(_INSERT_MESSAGE, map(_storable, batch.inserts))
    cursor.executemany(_COUNT_MESSAGE, ((count, number) for number, count in batch.counts.items()))
    cursor.executemany(_DELETE_MESSAGE, ((number,) for number in batch.deletes))


def read(cursor: Any) -> Rows:
    """Return the rows of each table. An empty file gets its tables.

    :raises ConfigurationError: the file is of another program, or of another version of this one.
    """
    cursor.connection.commit()  # the journal's mode cannot change within a transaction
    for statement in _OPENING:
        cursor.execute(statement)
    cursor.execute("BEGIN")  # sqlite3 begins none for a schema: a killed process leaves all of it, or nothing
    (version,) = cursor.execute("PRAGMA user_version").fetchone()
    if version not in (0, 1, VERSION):
        raise ConfigurationError(f"it is of version {version}, and this is {VERSION}")
    if version == 0:
        if cursor.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise ConfigurationError("it is another program's database")
        for statement in _SCHEMA:
            cursor.execute(statement)
    if version == 1:
        for statement in _FROM_VERSION_1:
            cursor.execute(statement)
    for statement in _INDEXES:
        cursor.execute(statement)
    return {table: cursor.execute(query).fetchall() for table, query in _TABLES.items()}


def _storable(values: Iterable[Any]) -> list[Any]:
    return [_storable_value(value) for value in values]


def _storable_value(value: Any) -> Any:
    """Return a name that is not UTF-8 as the bytes that it came as. SQLite would not take it for a text."""
    if isinstance(value, str) and not value.isascii():
        encoded = value.encode("utf-8", "surrogateescape")
        return encoded if value != encoded.decode("utf-8", "replace") else value
    return value


def name_of(value: str | bytes) -> str:
    """Return a name as the broker has it (AMQP 0-9-1 short strings may be any bytes)."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def make_private(path: str) -> bool:
    """Have only this user read and write the state file and SQLite's files beside it: messages are in it.

    A file that is missing is made. SQLite makes its own files with the permissions of the first one.

    :return: whether others could read or write one of them.
    :raises OSError: the file cannot be made, or its permissions cannot be changed.
    """
    path = os.path.realpath(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    were_public = False
    for each in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(each).st_mode)
            if mode & 0o077:
                os.chmod(each, mode & 0o700)
                were_public = True
    return were_public


class StateLock:
    """Keeps other brokers from a state file: a lock on a file beside it, which the system releases with the process.

    It is no lock on the file itself: closing a second descriptor of it would release SQLite's own locks (SQLite
    documentation, "How To Corrupt An SQLite Database File", section 2.2).
    """

    def __init__(self, path: str) -> None:
        self._path = f"{os.path.realpath(path)}.lock"
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; return False when another broker has it.

        :raises OSError: the lock's file cannot be made.
        """
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            if self._is_current(descriptor):
                self._descriptor = descriptor
            else:
                os.close(descriptor)
        return True

    def _is_current(self, descriptor: int) -> bool:
        """Whether the file is still there: the broker that had the lock removes it."""
        try:
            return os.stat(self._path).st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let other brokers have the file, and remove the lock's own. Again does nothing."""
        if self._descriptor is not None:
            os.unlink(self._path)
            os.close(self._descriptor)
            self._descriptor = None
