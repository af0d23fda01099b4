"""The state file: writing, failed writes, and files that are rejected."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, fail

from rpc.broker.server import BrokerServer
from rpc.broker.state_file import Batch
from rpc.errors import ConfigurationError
from tests.unit.broker.test_store import PERSISTENT, StoreCase


class WritingTests(StoreCase):
    """When the file is written to, and when it cannot be."""

    async def test_confirms_nothing_before_the_commit(self) -> None:
        """Though the message is delivered already."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"before")  # the declaration is written too
        opened = self.gate(server)
        confirmed: list[int] = []
        told: Deferred[None] = Deferred()

        def note(tag: int, multiple: bool, acknowledged: bool) -> None:
            confirmed.append(tag)
            told.callback(None)

        channel.on_confirm = note
        channel.publish("", "q", PERSISTENT, b"held back")
        # the answer to a later request has arrived, so a confirm that did not wait would have, too
        self.assertEqual((await channel.queue_declare(queue="q", passive=True)).message_count, 2)
        self.assertEqual((confirmed, self.bodies()), ([], [b"before"]))
        opened.callback(None)
        await told
        self.assertEqual((self.bodies()), [b"before", b"held back"])

    async def test_confirms_a_message_that_was_purged_before_it_was_written(self) -> None:
        """It is never written."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"first")
        opened = self.gate(server)
        other = await self.channel(server)
        await other.exchange_declare(exchange="keeps the writer busy", type="fanout", durable=True)
        confirmed: Deferred[int] = Deferred()
        channel.on_confirm = lambda tag, multiple, acknowledged: confirmed.callback(tag if acknowledged else -tag)
        channel.publish("", "q", PERSISTENT, b"second")
        self.assertEqual((await channel.queue_purge(queue="q")).message_count, 2)
        opened.callback(None)
        self.assertEqual(await confirmed, 2)
        await self.stop(server)
        self.assertEqual(self.rows("message"), [])

    async def test_writes_an_ack_that_is_all_that_happens(self) -> None:
        """A broker that is killed later does not deliver the message again."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"body")
        taken: Deferred[Any] = Deferred()
        await channel.consume("q", taken.callback, lambda: None)
        delivery = await taken
        store: Any = server._store
        run, written = store._pool.runInteraction, Deferred[None]()

        def note(function: Any, batch: Batch) -> Deferred[Any]:
            done: Deferred[Any] = run(function, batch)
            return done.addCallback(lambda _: written.callback(None))

        store._pool.runInteraction = note
        channel.ack(delivery.delivery_tag)
        await written
        self.assertEqual(self.rows("message"), [])

    async def test_a_write_that_fails_is_repeated_until_it_succeeds(self) -> None:
        """Definitions, messages and acks are in the file as soon as it can be written again. No confirm precedes that.

        SQLite reports an error when another program has locked the file for more than five seconds.
        """
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"acked", b"stays")
        channel = await self.channel(server)
        await channel.confirm_select()
        failing = self.fail_writes(server, 3)
        for declared in ("new", "newer"):
            await channel.queue_declare(queue=declared, durable=True)
        told: Deferred[tuple[int, bool]] = Deferred()
        channel.on_confirm = lambda tag, multiple, acknowledged: told.callback((tag, acknowledged))
        channel.publish("", "new", PERSISTENT, b"late")
        taken: Deferred[Any] = Deferred()
        await channel.consume("q", lambda delivery: None if taken.called else taken.callback(delivery), lambda: None)
        channel.ack((await taken).delivery_tag)
        self.assertEqual([row[1] for row in self.rows("queue")], ["q"])
        self.assertEqual(await told, (1, True))
        self.assertEqual(failing, [])
        self.assertEqual([row[1] for row in self.rows("queue")], ["q", "new", "newer"])
        await self.stop(server)
        self.assertEqual(self.bodies(), [b"stays", b"late"])
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.OperationalError)), 1)

    def fail_writes(self, server: BrokerServer, count: int) -> list[int]:
        """Let the next writes fail as with a locked file; the list has one item for each that is left."""
        store: Any = server._store
        run, failing = store._pool.runInteraction, [*range(count)]

        def fail_or_run(*args: Any) -> Deferred[Any]:
            if not failing:
                done: Deferred[Any] = run(*args)
                return done
            failing.pop()
            return fail(sqlite3.OperationalError("database is locked"))

        store._pool.runInteraction = fail_or_run
        return failing

    async def test_changes_after_a_failed_write_come_after_it(self) -> None:
        """No message is left of a queue that is deleted before its messages are written."""
        server = await self.start()
        channel = await self.channel(server)
        self.fail_writes(server, 2)
        await channel.queue_declare(queue="gone", durable=True)
        channel.publish("", "gone", PERSISTENT, b"gone")
        await channel.queue_delete(queue="gone")
        await channel.queue_declare(queue="stays", durable=True)
        await self.publish(channel, "", "stays", b"stays")
        self.assertEqual(self.bodies(), [b"stays"])
        self.assertEqual([row[1] for row in self.rows("queue")], ["stays"])
        self.flushLoggedErrors(sqlite3.OperationalError)

    async def test_an_unacked_message_of_a_deleted_queue_is_never_written(self) -> None:
        """It is published, delivered and deleted with its queue between two transactions. The file stays readable."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"acked")
        opened = self.gate(server)
        await channel.exchange_declare(exchange="keeps the writer busy", type="fanout", durable=True)
        taken: Deferred[None] = Deferred()

        def take(delivery: Any) -> None:
            if delivery.body == b"acked":
                channel.ack(delivery.delivery_tag)
            else:
                taken.callback(None)

        await channel.consume("q", take, lambda: None)
        channel.on_confirm = None
        channel.publish("", "q", PERSISTENT, b"unacked")
        await taken
        await channel.queue_delete(queue="q")
        opened.callback(None)
        await self.written(server)
        self.assertEqual((self.rows("message"), self.rows("queue")), ([], []))

    async def test_a_file_that_cannot_be_written_when_the_server_stops(self) -> None:
        """The log reports lost changes, none of them was confirmed, and the server stops."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"before")
        self.fail_writes(server, 1000)
        confirmed: list[int] = []
        channel.on_confirm = lambda tag, multiple, acknowledged: confirmed.append(tag)
        channel.publish("", "q", PERSISTENT, b"lost")
        self.assertEqual((await channel.queue_declare(queue="q", passive=True)).message_count, 2)
        await self.stop(server)
        self.assertEqual((confirmed, self.bodies()), ([], [b"before"]))
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.OperationalError)), 2)
        await self.start()

    async def test_a_stopped_server_can_be_started_again(self) -> None:
        """With its state."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"body")
        for _ in range(2):
            await server.stopService()
            server.startService()
            await server.when_listening()
        self.assertEqual(await self.drain(await self.channel(server), "q"), [(b"body", True)])

    async def test_a_server_stopped_while_loading_does_not_listen(self) -> None:
        """Its memory is empty."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"body")
        await server.stopService()
        server.startService()
        waiting = server.when_listening()
        await server.stopService()
        with self.assertRaises(CancelledError):
            await waiting
        self.assertEqual((server.broker.vhosts["/"].queues, server.broker.memory.held), ({}, 0))
        self.assertEqual(len(self.rows("message")), 1)


class FileTests(StoreCase):
    """Files that are no state."""

    async def refused(self, *words: str) -> None:
        """The server does not start. The error has the file's name and these words."""
        server = BrokerServer(reactor, port=0, state=self.file)
        self.addCleanup(self.stop, server)
        server.startService()
        with self.assertRaises(ConfigurationError) as raised:
            await server.when_listening()
        for word in (str(self.file), *words):
            self.assertIn(word, str(raised.exception))
        self.assertEqual(len(str(raised.exception).splitlines()), 1)

    async def test_refuses_a_file_that_is_no_database(self) -> None:
        """The file is not changed."""
        self.file.write_bytes(b"a letter " * 1000)
        await self.refused("not a database")
        self.assertEqual(self.file.read_bytes(), b"a letter " * 1000)

    async def test_refuses_a_database_of_another_program(self) -> None:
        """Its tables are not changed."""
        database = sqlite3.connect(self.file)
        database.execute("CREATE TABLE letters (text)")
        database.commit()
        database.close()
        await self.refused("another program's")
        self.assertEqual(self.rows("letters"), [])

    async def test_refuses_a_file_of_a_newer_version(self) -> None:
        await self.stop(await self.start())
        database = sqlite3.connect(self.file)
        database.execute("PRAGMA user_version = 99")
        database.commit()
        database.close()
        await self.refused("version 99")

    async def test_a_damaged_file_leaves_nothing_in_the_broker(self) -> None:
        """The timers of its queues would run without a file."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True, arguments={"x-message-ttl": 60_000})
        await self.publish(channel, "", "q", b"body")
        await self.stop(server)
        database = sqlite3.connect(self.file)
        columns = "99, vhost, 'unknown', 99, NULL, 0, FALSE, routing, properties, body"
        database.execute(f"INSERT INTO message SELECT {columns} FROM message")
        database.commit()
        database.close()
        server = BrokerServer(reactor, port=0, state=self.file)
        server.startService()
        with self.assertRaises(ConfigurationError):
            await server.when_listening()
        self.assertEqual((server.broker.memory.held, server.broker.vhosts["/"].queues), (0, {}))
        await self.stop(server)

    async def test_refuses_a_file_that_another_broker_uses(self) -> None:
        """The brokers would overwrite each other's state. When the first one has stopped, the second may use it."""
        first = await self.start()
        await self.refused("in use by another broker")
        alias = self.file.with_name("alias")
        alias.symlink_to(self.file.name)
        self.file, file = alias, self.file
        await self.refused("in use by another broker")
        self.file = file
        channel = await self.channel(first)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"body")
        await self.stop(first)
        self.assertEqual(await self.drain(await self.channel(await self.start()), "q"), [(b"body", True)])

    async def test_a_lock_of_a_killed_broker_is_no_obstacle(self) -> None:
        """The system releases it with the process; the lock's file stays, and is removed by the next broker."""
        lock = self.file.with_name(f"{self.file.name}.lock")
        lock.touch()
        server = await self.start()
        self.assertTrue(lock.exists())
        await self.stop(server)
        self.assertFalse(lock.exists())

    async def test_a_file_that_is_refused_is_not_locked(self) -> None:
        self.file.write_bytes(b"a letter " * 1000)
        for _ in range(2):
            await self.refused("not a database")

    async def test_refuses_a_file_with_damaged_values(self) -> None:
        """Of each kind: bytes that are no table, a message without its queue, an invalid argument, a wrong type."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await channel.exchange_declare(exchange="e", type="fanout", durable=True)
        await channel.queue_bind(queue="q", exchange="e")
        await self.publish(channel, "", "q", b"body")
        await self.stop(server)
        kept = self.file.read_bytes()
        for damage in (
            "UPDATE queue SET arguments = x'0000000301613f'",
            "UPDATE queue SET arguments = x'ff'",
            "UPDATE exchange SET arguments = 'text'",
            "UPDATE binding SET arguments = NULL",
            "UPDATE binding SET destination = 'nowhere'",
            "UPDATE message SET queue = 'nowhere'",
            "UPDATE message SET properties = x'ffff'",
            "UPDATE message SET position = 'first'",
            "UPDATE message SET delivery_count = 'x'",
            "UPDATE queue SET arguments = x'0000000f0d782d6d61782d6c656e67746874' || x'01'",
            "DROP TABLE binding",
        ):
            self.file.write_bytes(kept)
            database = sqlite3.connect(self.file)
            database.execute(damage)
            database.commit()
            database.close()
            await self.refused()

    async def test_refuses_a_file_in_a_missing_folder(self) -> None:
        """The folder is not made."""
        self.file = self.file.parent / "missing" / "state"
        await self.refused("unable to open")
        self.assertFalse(os.path.exists(self.file.parent))
