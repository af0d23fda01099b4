"""A store of binary values under text keys: one SQLite file, which any number of workers may share.

SQLite blocks, so its work is done in threads. Each method is a single statement, and SQLite makes a statement atomic
among all connections and processes (its page "Isolation In SQLite"). So no lock is needed here. A write that was
answered survives the end of the process, also by ``kill -9``; a power failure may lose the last writes
(``PRAGMA synchronous = NORMAL``).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from twisted.enterprise.adbapi import ConnectionPool, Transaction
from twisted.internet.defer import Deferred
from zope.interface import implementer

import rpc
from generated.kvstore import KeyValueStore
from generated.kvstore.constants import MAX_SCAN
from generated.kvstore.ttypes import Entry, InvalidArgument, NotFound, Page, Swap

PATH_VARIABLE = "KVSTORE_PATH"
DEFAULT_PATH = "kvstore.sqlite3"

PAGE_BYTES = 4 * 1024 * 1024
"""A page ends with the entry that takes its values past this, whatever the limit: the page is one message."""

LOCK_TIMEOUT = 30.0
"""Seconds that a statement waits while other processes write."""

READERS = 4

SCHEMA = "CREATE TABLE IF NOT EXISTS entries (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL)"
"""Keys are UTF-8: its bytes sort in the order of its code points."""

Result = TypeVar("Result")


class SQLitePool:
    """Threads with a connection each, opened with the first query.

    They are not opened earlier: ``twistd`` forks after it has imported the services, and a forked process inherits no
    threads and must not use SQLite connections.
    """

    def __init__(self, path: str, threads: int) -> None:
        self._path = path
        self._threads = threads
        self._pool: ConnectionPool | None = None

    def run(self, query: Callable[..., Result], *arguments: object) -> Deferred[Result]:
        """Run ``query(cursor, *arguments)`` in a thread; the Deferred fires with its result."""
        if self._pool is None:
            self._pool = ConnectionPool(
                "sqlite3",
                self._path,
                timeout=LOCK_TIMEOUT,
                isolation_level=None,  # each statement is a transaction
                check_same_thread=False,  # the pool closes connections from the reactor's thread
                cp_min=1,
                cp_max=self._threads,
                cp_openfun=_prepare,
            )
        result: Deferred[Result] = self._pool.runInteraction(query, *arguments)
        return result

    def close(self) -> None:
        """Wait for running queries, and close the connections. The reactor also does so when it stops."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _prepare(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.OperationalError):  # "locked": another connection switches the file for all
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(SCHEMA)


@implementer(KeyValueStore.Iface)
class KeyValueStoreHandler:
    """Serves one file, and creates it when it is missing.

    SQLite has one writer at a time, and other writers poll for the lock. So one thread does all writes of this process;
    in WAL mode readers do not wait for it (SQLite's page "Write-Ahead Logging").
    """

    def __init__(self, path: str) -> None:
        self._reader = SQLitePool(path, READERS)
        self._writer = SQLitePool(path, 1)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._writer.close()

    async def put(self, key: str, value: bytes) -> None:
        stored = _given("value", value)
        await self._writer.run(_change, "INSERT OR REPLACE INTO entries VALUES (?, ?)", _key(key), stored)

    async def get(self, key: str) -> bytes:
        value = await self._reader.run(_value, _key(key))
        if value is None:
            raise NotFound(key)
        return value

    async def remove(self, key: str) -> bool:
        return await self._writer.run(_change, "DELETE FROM entries WHERE key = ?", _key(key))

    async def scan(self, prefix: str, start: str, limit: int) -> Page:
        if not 1 <= _given("limit", limit) <= MAX_SCAN:
            raise InvalidArgument("limit", f"{limit} is not from 1 to {MAX_SCAN}")
        beginning = _utf8("prefix", prefix)
        return await self._reader.run(_page, max(beginning, _utf8("start", start)), _end(beginning), limit)

    async def compareAndSwap(self, key: str, swap: Swap) -> bool:
        stored = _key(key)
        expected, value = _given("swap", swap).expected, swap.value
        if expected is not None and value is not None:
            statement = "UPDATE entries SET value = ? WHERE key = ? AND value = ?"
            return await self._writer.run(_change, statement, value, stored, expected)
        if expected is not None:
            return await self._writer.run(_change, "DELETE FROM entries WHERE key = ? AND value = ?", stored, expected)
        if value is not None:
            return await self._writer.run(_change, "INSERT OR IGNORE INTO entries VALUES (?, ?)", stored, value)
        return await self._reader.run(_value, stored) is None


def _given(argument: str, value: Result | None) -> Result:
    if value is None:  # a peer may leave an argument out
        raise InvalidArgument(argument, "is missing")
    return value


def _utf8(argument: str, text: str) -> bytes:
    try:
        return _given(argument, text).encode()
    except UnicodeEncodeError as error:  # Thrift's JSON protocol takes half a surrogate pair for text
        raise InvalidArgument(argument, f"is not Unicode text: {error}") from error


def _key(text: str) -> bytes:
    if text == "":
        raise InvalidArgument("key", "must not be empty")
    return _utf8("key", text)


def _end(prefix: bytes) -> bytes:
    """Return the first bytes that sort after all keys with `prefix`; UTF-8 never contains the byte 255."""
    return prefix[:-1] + bytes((prefix[-1] + 1,)) if prefix else b"\xff"


def _change(cursor: Transaction, statement: str, *values: bytes) -> bool:
    cursor.execute(statement, values)
    changed: int = cursor.rowcount
    return changed > 0


def _value(cursor: Transaction, key: bytes) -> bytes | None:
    row = cursor.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def _page(cursor: Transaction, start: bytes, end: bytes, limit: int) -> Page:
    statement = "SELECT key, value FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
    entries: list[Entry] = []
    size = 0
    for key, value in cursor.execute(statement, (start, end, limit + 1)):
        if len(entries) == limit or size >= PAGE_BYTES:
            return Page(entries, key.decode())
        entries.append(Entry(key.decode(), value))
        size += len(value)
    return Page(entries)


service = rpc.ThriftService(KeyValueStore, KeyValueStoreHandler(os.environ.get(PATH_VARIABLE, DEFAULT_PATH)))
