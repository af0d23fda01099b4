"""The broker's state: durable exchanges and queues, their bindings, and persistent messages, kept in an SQLite file.

The changes of a pass are gathered, and written in one transaction on adbapi's thread. Changes of later passes wait for
the next transaction. A message that comes and goes between two transactions is never written. A transaction that fails
is repeated until it succeeds, and nothing is written before it: so a confirm means that the message, its queue and all
changes before it are in the file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from rpc import log
from rpc.amqp.codec.fields import decode_table, encode_field, join_table
from rpc.amqp.codec.properties import split_properties
from rpc.broker.exchange import Destination, Exchange
from rpc.broker.message import Message
from rpc.broker.queue import Queue
from rpc.broker.ready import Entry
from rpc.broker.state_file import Batch, Row, Rows, StateLock, Statement, make_private, name_of, read, write
from rpc.errors import AMQPError, CodecError, ConfigurationError
from rpc.monotonic import wall_seconds

if TYPE_CHECKING:
    from rpc.broker.broker import Broker

FIRST_RETRY: Final = 0.1
LAST_RETRY: Final = 10.0
"""Seconds before a failed transaction is repeated: each time twice as long. SQLite itself waits 5 s for a lock."""


class Store:
    """One state file, from :meth:`load` to :meth:`close`."""

    def __init__(self, reactor: Any, path: str | os.PathLike[str]) -> None:
        self._reactor = reactor
        self._path = os.fspath(path)
        self._lock = StateLock(self._path)
        self._pool: Any = None  # from load to close
        self._loading = False
        self._closing = False
        self._definitions: list[Statement] = []
        self._inserts: dict[Entry, Row] = {}
        self._counts: dict[int, int] = {}
        self._deletes: list[int] = []
        self._ids: dict[Entry, int] = {}
        self._next_id = 1
        self._batch: Batch | None = None  # being written, or to be written again
        self._retry: IDelayedCall | None = None
        self._retry_after = FIRST_RETRY
        self._waiting: list[Deferred[None]] = []  # for the batch
        self._waiting_next: list[Deferred[None]] = []  # for the one after it

    # -- changes

    def definition_changed(self, vhost: str, thing: Destination, there: bool, *, keep: Collection[Entry] = ()) -> None:
        """Keep an exchange or queue that was declared, or remove one that was deleted, less the messages to `keep`."""
        if self._loading or not thing.durable:
            return
        if isinstance(thing, Queue):
            if thing.stored:
                self._queue_changed(vhost, thing, there, keep)
        elif there:
            row = (vhost, thing.name, thing.type, thing.auto_delete, thing.internal, _encoded(thing.arguments))
            self._definitions.append(("INSERT OR REPLACE INTO exchange VALUES (?, ?, ?, ?, ?, ?)", row))
        else:
            self._definitions.append(("DELETE FROM exchange WHERE vhost = ? AND name = ?", (vhost, thing.name)))
            self._definitions.append(("DELETE FROM binding WHERE vhost = ? AND source = ?", (vhost, thing.name)))
            self._delete_bindings_to(vhost, thing, False)

    def _queue_changed(self, vhost: str, queue: Queue, there: bool, keep: Collection[Entry]) -> None:
        if there:
            row = (vhost, queue.name, queue.auto_delete, _encoded(queue.table))
            self._definitions.append(("INSERT OR REPLACE INTO queue VALUES (?, ?, ?, ?)", row))
            return
        # Unacked messages are removed as well: the file must not have messages of an unknown queue.
        if keep:
            self.erase_all(queue, keep)
        else:
            for entry in [entry for entry in self._inserts if entry.queue is queue]:
                self.erase(entry)
            self._definitions.append(("DELETE FROM message WHERE vhost = ? AND queue = ?", (vhost, queue.name)))
        self._definitions.append(("DELETE FROM queue WHERE vhost = ? AND name = ?", (vhost, queue.name)))
        self._delete_bindings_to(vhost, queue, True)

    def erase_all(self, queue: Queue, keep: Collection[Entry]) -> None:
        """Remove the messages of a queue, unacked ones as well, less those to `keep`."""
        for entry in [each for each in self._ids if each.queue is queue and each not in keep]:
            self.erase(entry)

    def _delete_bindings_to(self, vhost: str, thing: Destination, is_queue: bool) -> None:
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
        """Keep a binding that was made between durable ends, or remove one that was taken back."""
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
            self._definitions.append((f"DELETE FROM binding WHERE {where}", row))  # noqa: S608  # our own text

    def persist(self, vhost: str, queue: str, entry: Entry) -> None:
        """Keep a persistent message that has come to a stored queue."""
        message, number = entry.message, self._next_id
        self._next_id += 1
        self._ids[entry] = number
        self._inserts[entry] = (
            number,
            vhost,
            queue,
            entry.position,
            None if entry.expires is None else entry.expires + self._wall_ahead(),
            entry.delivery_count,
            message.died,
            message.routing,
            message.properties,
            message.body,
        )

    def _wall_ahead(self) -> float:
        """The broker's clock begins anew with each process, so the file has times of the wall clock."""
        ahead: float = wall_seconds(self._reactor) - self._reactor.seconds()
        return ahead

    def recount(self, entry: Entry) -> None:
        """Keep the delivery count of a message that was requeued; does nothing when the message was never kept."""
        number = self._ids.get(entry)
        if number is not None:
            self._counts[number] = entry.delivery_count

    def erase(self, entry: Entry) -> None:
        """Remove a message that is settled; does nothing when it was never kept."""
        number = self._ids.pop(entry, None)
        if number is None:
            return
        self._counts.pop(number, None)
        if self._inserts.pop(entry, None) is None:
            self._deletes.append(number)

    # -- writing

    @property
    def _changes(self) -> bool:
        return bool(self._definitions or self._inserts or self._counts or self._deletes)

    def write(self) -> None:
        """Begin to write the changes. While a batch is being written, they wait for it."""
        if self._batch is not None or not self._changes:
            return
        self._batch = Batch(self._definitions, [*self._inserts.values()], self._counts, self._deletes)
        self._definitions, self._inserts, self._counts, self._deletes = [], {}, {}, []
        self._waiting, self._waiting_next = self._waiting_next, []
        self._write_batch()

    def _write_batch(self) -> None:
        self._retry = None
        written: Deferred[None] = maybeDeferred(self._pool.runInteraction, write, self._batch)
        written.addCallbacks(self._written, self._not_written)

    def written(self) -> Deferred[None] | None:
        """Fires when all changes until now are in the file; ``None``: they are there already.

        It waits as long as the file cannot be written. It fails with ``sqlite3.Error`` when the store is closed then.
        """
        if self._batch is None and not self._changes:
            return None
        waiting: Deferred[None] = Deferred()
        (self._waiting_next if self._changes else self._waiting).append(waiting)
        return waiting

    def _written(self, _: object) -> None:
        if self._retry_after != FIRST_RETRY:
            log.msg(f"the broker's state is written to {self._path} again")
        self._retry_after = FIRST_RETRY
        self._batch = None
        waiting, self._waiting = self._waiting, []
        if self._changes:
            self.write()
        else:  # the changes for the next batch have been undone meanwhile
            waiting += self._waiting_next
            self._waiting_next = []
        for deferred in waiting:
            deferred.callback(None)

    def _not_written(self, failure: Failure) -> None:
        if self._closing:
            log.err(failure, f"the broker's state cannot be written to {self._path}: its last changes are lost")
            self._fail(failure)
            return
        if self._retry_after == FIRST_RETRY:
            log.err(failure, f"the broker's state cannot be written to {self._path}; publishes are not confirmed")
        self._retry = self._reactor.callLater(self._retry_after, self._write_batch)
        self._retry_after = min(2 * self._retry_after, LAST_RETRY)

    def _fail(self, failure: Failure) -> None:
        waiting, self._waiting, self._waiting_next = self._waiting + self._waiting_next, [], []
        self._batch = None
        self._forget_all()
        for deferred in waiting:
            deferred.errback(failure)

    async def close(self) -> None:
        """Write the changes, and close the file. It can be loaded again.

        A batch that has failed is tried once more. When it fails again, the changes are lost, and the log says so.
        """
        if self._pool is None:
            return
        self._closing = True
        if self._retry is not None:
            self._retry.cancel()
            self._write_batch()
        self.write()
        while (writing := self.written()) is not None:
            with contextlib.suppress(sqlite3.Error):  # logged
                await writing
        self._release()

    def _release(self) -> None:
        self._pool.close()
        self._pool = None
        self._lock.release()
        self._forget_all()
        self._closing = False
        self._retry_after = FIRST_RETRY

    def _forget_all(self) -> None:
        self._definitions.clear()
        self._inserts.clear()
        self._counts.clear()
        self._deletes.clear()
        self._ids.clear()

    # -- reading

    async def load(self, broker: Broker) -> None:
        """Give the broker the durable things of the file.

        :raises ConfigurationError: the file cannot be opened, another broker uses it, it is no state of this version,
            or it is damaged.
        """
        self._take_lock()
        self._pool = ConnectionPool(
            "sqlite3", self._path, cp_min=1, cp_max=1, cp_reactor=self._reactor, cp_noisy=False, check_same_thread=False
        )
        self._loading = True
        try:
            self._restore(broker, await self._pool.runInteraction(read))
        except (sqlite3.Error, ConfigurationError) as error:
            self._release()
            raise ConfigurationError(f"the state file {self._path} cannot be used: {error}") from error
        except (KeyError, TypeError, ValueError, AMQPError) as error:  # a row without its queue, or an unreadable one
            broker.clear()
            self._release()
            raise ConfigurationError(f"the state file {self._path} is damaged: {error!r}") from error
        finally:
            self._loading = False

    def _take_lock(self) -> None:
        try:
            if self._lock.acquire():
                self._make_private()
                return
        except OSError as error:
            problem = f"unable to open its lock: {error}"
            raise ConfigurationError(f"the state file {self._path} cannot be used: {problem}") from error
        raise ConfigurationError(
            f"the state file {self._path} is in use by another broker; stop that one, or name another file"
        )

    def _make_private(self) -> None:
        try:
            if make_private(self._path):
                log.msg(f"other users could open the state file {self._path}: its mode is 0600 from now on")
        except OSError as error:
            self._lock.release()
            problem = f"it cannot be opened by this user alone: {error}"
            raise ConfigurationError(f"the state file {self._path} cannot be used: {problem}") from error

    def _restore(self, broker: Broker, rows: Rows) -> None:
        for vhost in {name_of(row[0]) for table in ("exchange", "queue", "binding") for row in rows[table]}:
            broker.add_vhost(vhost)
        for vhost, name, kind, auto_delete, internal, arguments in rows["exchange"]:
            table = decode_table(arguments, 0)[0]
            host = broker.vhosts[name_of(vhost)]
            host.restore_exchange(name_of(name), kind, bool(auto_delete), bool(internal), table)
        for vhost, name, auto_delete, arguments in rows["queue"]:
            table = decode_table(arguments, 0)[0]
            broker.vhosts[name_of(vhost)].restore_queue(name_of(name), bool(auto_delete), table)
        for vhost, source, is_queue, destination, key, arguments in rows["binding"]:
            host = broker.vhosts[name_of(vhost)]
            target = host.queues[name_of(destination)] if is_queue else host.exchanges[name_of(destination)]
            host.restore_binding(name_of(source), target, name_of(key), decode_table(arguments, 0)[0])
        for number, vhost, queue, position, expires, delivery_count, died, routing, properties, body in rows["message"]:
            message = Message(routing, properties, body, split_properties(properties), died=bool(died))
            entry = Entry(broker.vhosts[name_of(vhost)].queues[name_of(queue)], message, position, None)
            if expires is not None:
                entry.expires = expires - self._wall_ahead()
            self._ids[entry] = number
            self._next_id = max(self._next_id, number + 1)
            entry.queue.restore(entry, int(delivery_count))


def _encoded(table: Mapping[str, Any]) -> bytes:
    """The bytes of a table, without values that can be read and not written, such as NaN: none has an effect here."""
    fields: dict[str, bytes] = {}
    for name, value in table.items():
        with contextlib.suppress(CodecError):
            fields[name] = encode_field(value)
    return join_table(fields)
