"""The broker's state in an SQLite file: durable exchanges and queues, their bindings, and persistent messages.

What a turn changes is gathered, and written in one transaction on adbapi's thread; what the next turns change meanwhile
goes into the next one. A message that comes and goes between two transactions is never written.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.python import log
from twisted.python.failure import Failure

from rpc.amqp.codec.fields import decode_table, encode_field, join_table
from rpc.amqp.codec.properties import split_properties
from rpc.broker.exchange import Destination, Exchange
from rpc.broker.message import Message
from rpc.broker.queue import Queue
from rpc.broker.ready import Entry
from rpc.errors import AMQPError, CodecError, ConfigurationError

if TYPE_CHECKING:
    from rpc.broker.broker import Broker

Statement: TypeAlias = "tuple[str, tuple[Any, ...]]"
Rows: TypeAlias = "dict[str, list[tuple[Any, ...]]]"

VERSION = 1

# With a write-ahead log and synchronous=NORMAL, what is committed outlives the process, though not the machine's power.
_OPENING = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL")

_SCHEMA = (
    "CREATE TABLE exchange (vhost, name, type, auto_delete, internal, arguments, PRIMARY KEY (vhost, name))",
    "CREATE TABLE queue (vhost, name, auto_delete, arguments, PRIMARY KEY (vhost, name))",
    "CREATE TABLE binding (vhost, source, is_queue, destination, routing_key, arguments)",
    "CREATE TABLE message (id INTEGER PRIMARY KEY, vhost, queue, position, expires, routing, properties, body)",
    f"PRAGMA user_version = {VERSION}",
)

_TABLES = {
    "exchange": "SELECT vhost, name, type, auto_delete, internal, arguments FROM exchange",
    "queue": "SELECT vhost, name, auto_delete, arguments FROM queue",
    "binding": "SELECT vhost, source, is_queue, destination, routing_key, arguments FROM binding",
    "message": "SELECT id, vhost, queue, position, expires, routing, properties, body FROM message ORDER BY position",
}
_KEEP = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_DROP = "DELETE FROM message WHERE id = ?"


class Store:
    """One state file."""

    def __init__(self, reactor: Any, path: str | os.PathLike[str]) -> None:
        self._reactor = reactor
        self._path = os.fspath(path)
        self._pool: Any = None  # from load to close
        self._definitions: list[Statement] = []
        self._inserts: dict[Entry, tuple[Any, ...]] = {}  # not written yet
        self._deletes: list[tuple[int]] = []
        self._ids: dict[Entry, int] = {}
        self._next_id = 1
        self._loading = False
        self._writing = False
        self._waiting: list[Deferred[None]] = []  # for what is being written
        self._waiting_next: list[Deferred[None]] = []  # for what is written after that

    # -- what changes

    def definition_changed(self, vhost: str, thing: Destination, there: bool) -> None:
        """An exchange or queue has come, or gone."""
        if self._loading or not thing.durable:
            return
        if isinstance(thing, Queue):
            if thing.stored:
                self._queue_changed(vhost, thing, there)
        elif there:
            row = (vhost, thing.name, thing.type, thing.auto_delete, thing.internal, _encoded(thing.arguments))
            self._definitions.append(("INSERT OR REPLACE INTO exchange VALUES (?, ?, ?, ?, ?, ?)", row))
        else:
            self._definitions.append(("DELETE FROM exchange WHERE vhost = ? AND name = ?", (vhost, thing.name)))
            self._definitions.append(("DELETE FROM binding WHERE vhost = ? AND source = ?", (vhost, thing.name)))
            self._drop_bindings_to(vhost, thing, False)

    def _queue_changed(self, vhost: str, queue: Queue, there: bool) -> None:
        if there:
            row = (vhost, queue.name, queue.auto_delete, _encoded(queue.table))
            self._definitions.append(("INSERT OR REPLACE INTO queue VALUES (?, ?, ?, ?)", row))
        else:
            # What is still in consumers' hands goes as well: a file must not have messages of no queue.
            for entry in [entry for entry in self._inserts if entry.queue is queue]:
                self.erase(entry)
            self._definitions.append(("DELETE FROM message WHERE vhost = ? AND queue = ?", (vhost, queue.name)))
            self._definitions.append(("DELETE FROM queue WHERE vhost = ? AND name = ?", (vhost, queue.name)))
            self._drop_bindings_to(vhost, queue, True)

    def _drop_bindings_to(self, vhost: str, thing: Destination, is_queue: bool) -> None:
        statement = "DELETE FROM binding WHERE vhost = ? AND is_queue = ? AND destination = ?"
        self._definitions.append((statement, (vhost, is_queue, thing.name)))

    def binding_changed(
        self,
        vhost: str,
        source: Exchange,
        destination: Destination,
        key: str,
        arguments: Mapping[str, Any],
        there: bool,
    ) -> None:
        """A binding has come, or gone."""
        is_queue = isinstance(destination, Queue)
        lasting = destination.stored if isinstance(destination, Queue) else destination.durable
        if self._loading or not (source.durable and lasting):
            return
        row = (vhost, source.name, is_queue, destination.name, key, _encoded(arguments))
        if there:
            self._definitions.append(("INSERT INTO binding VALUES (?, ?, ?, ?, ?, ?)", row))
        else:
            where = (
                "vhost = ? AND source = ? AND is_queue = ? AND destination = ? AND routing_key = ? AND arguments = ?"
            )
            self._definitions.append((f"DELETE FROM binding WHERE {where}", row))

    def persist(self, vhost: str, queue: str, entry: Entry) -> None:
        """A persistent message has come to a stored queue."""
        message, number = entry.message, self._next_id
        self._next_id += 1
        self._ids[entry] = number
        self._inserts[entry] = (
            number,
            vhost,
            queue,
            entry.position,
            entry.expires,
            message.routing,
            message.properties,
            message.body,
        )

    def erase(self, entry: Entry) -> None:
        """It has gone."""
        number = self._ids.pop(entry, None)
        if number is not None and self._inserts.pop(entry, None) is None:
            self._deletes.append((number,))

    # -- writing

    @property
    def _changes(self) -> bool:
        return bool(self._definitions or self._inserts or self._deletes)

    def write(self) -> None:
        """Begin to write what has changed, unless something is being written: then it is written after that."""
        if self._writing or not self._changes:
            return
        self._writing = True
        self._waiting, self._waiting_next = self._waiting_next, []
        definitions, self._definitions = self._definitions, []
        kept, self._inserts = list(self._inserts.values()), {}
        dropped, self._deletes = self._deletes, []
        done = self._pool.runInteraction(_write, definitions, kept, dropped)
        done.addCallbacks(self._written, self._not_written)

    def written(self) -> Deferred[None] | None:
        """Fires when all that has changed until now is in the file, and fails when it cannot be written; ``None``: it
        is there already.
        """
        if not self._writing and not self._changes:
            return None
        waiting: Deferred[None] = Deferred()
        (self._waiting_next if self._changes else self._waiting).append(waiting)
        return waiting

    def _written(self, _: object) -> None:
        self._end_writing(None)

    def _not_written(self, failure: Failure) -> None:
        log.err(failure, f"the broker's state cannot be written to {self._path}")
        self._end_writing(failure)

    def _end_writing(self, result: Any) -> None:
        self._writing = False
        waiting, self._waiting = self._waiting, []
        if self._changes:
            self.write()
        else:  # what was to be written next has gone again meanwhile
            waiting += self._waiting_next
            self._waiting_next = []
        for deferred in waiting:
            if isinstance(result, Failure):
                deferred.errback(result)
            else:
                deferred.callback(None)

    async def close(self) -> None:
        """Write what has changed, and close the file. It can be loaded again."""
        if self._pool is None:
            return
        self.write()
        while (writing := self.written()) is not None:
            try:
                await writing
            except sqlite3.Error:  # logged
                break
        self._pool.close()
        self._pool = None
        self._forget_all()

    def _forget_all(self) -> None:
        self._definitions.clear()
        self._inserts.clear()
        self._deletes.clear()
        self._ids.clear()

    # -- reading

    async def load(self, broker: Broker) -> None:
        """Make what the file has of durable things.

        :raises ConfigurationError: it cannot be opened, is no state of this version, or is damaged.
        """
        self._pool = ConnectionPool(
            "sqlite3", self._path, cp_min=1, cp_max=1, cp_reactor=self._reactor, cp_noisy=False, check_same_thread=False
        )
        try:
            rows = await self._pool.runInteraction(_read)
        except (sqlite3.Error, ConfigurationError) as error:
            raise ConfigurationError(f"the state file {self._path} cannot be used: {error}") from error
        self._loading = True
        try:
            self._restore(broker, rows)
        except (KeyError, TypeError, ValueError, AMQPError) as error:  # a row of nothing, or that cannot be read
            raise ConfigurationError(f"the state file {self._path} is damaged: {error!r}") from error
        finally:
            self._loading = False

    def _restore(self, broker: Broker, rows: Rows) -> None:
        for vhost in {_name(row[0]) for table in ("exchange", "queue", "binding") for row in rows[table]}:
            broker.add_vhost(vhost)
        for vhost, name, kind, auto_delete, internal, arguments in rows["exchange"]:
            table = decode_table(arguments, 0)[0]
            broker.vhosts[_name(vhost)].restore_exchange(_name(name), kind, bool(auto_delete), bool(internal), table)
        for vhost, name, auto_delete, arguments in rows["queue"]:
            table = decode_table(arguments, 0)[0]
            broker.vhosts[_name(vhost)].restore_queue(_name(name), bool(auto_delete), table)
        for vhost, source, is_queue, destination, key, arguments in rows["binding"]:
            host = broker.vhosts[_name(vhost)]
            target = host.queues[_name(destination)] if is_queue else host.exchanges[_name(destination)]
            host.exchanges[_name(source)].bind(target, _name(key), decode_table(arguments, 0)[0])
        for number, vhost, queue, position, expires, routing, properties, body in rows["message"]:
            message = Message(routing, properties, body, split_properties(properties))
            entry = Entry(broker.vhosts[_name(vhost)].queues[_name(queue)], message, position, expires)
            self._ids[entry] = number
            self._next_id = max(self._next_id, number + 1)
            entry.queue.restore(entry)


def _encoded(table: Mapping[str, Any]) -> bytes:
    """The bytes of a table, without what can be read and not written, such as a NaN: no argument of effect is such."""
    fields: dict[str, bytes] = {}
    for name, value in table.items():
        with contextlib.suppress(CodecError):
            fields[name] = encode_field(value)
    return join_table(fields)


def _storable(value: Any) -> Any:
    """A name that is not UTF-8 is stored as the bytes that it came as; SQLite would not take it for a text."""
    if isinstance(value, str) and not value.isascii():
        encoded = value.encode("utf-8", "surrogateescape")
        return encoded if value != encoded.decode("utf-8", "replace") else value
    return value


def _name(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def _write(cursor: Any, definitions: Iterable[Statement], kept: list[Any], dropped: list[Any]) -> None:
    for statement, values in definitions:
        cursor.execute(statement, [_storable(value) for value in values])
    cursor.executemany(_KEEP, [[_storable(value) for value in row] for row in kept])
    cursor.executemany(_DROP, dropped)


def _read(cursor: Any) -> Rows:
    cursor.connection.commit()  # the journal's mode cannot change within a transaction
    for statement in _OPENING:
        cursor.execute(statement)
    (version,) = cursor.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise ConfigurationError(f"it is of version {version}, and this is {VERSION}")
    if version == 0:
        if cursor.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise ConfigurationError("it is another program's database")
        for statement in _SCHEMA:
            cursor.execute(statement)
    return {table: cursor.execute(query).fetchall() for table, query in _TABLES.items()}
