"""The broker's state: what is durable outlives the broker, and nothing else does."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from rpc.amqp.channel import Channel
from rpc.amqp.codec.fields import decode_table
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.broker.server import BrokerServer
from rpc.errors import ChannelClosed, ConfigurationError
from rpc.messages import Properties
from rpc.uri import parse

PERSISTENT = encode_properties(Properties(delivery_mode=2))
TRANSIENT = encode_properties(Properties(delivery_mode=1))


class StoreCase(TestCase):
    """Servers with one state file, one after another."""

    timeout = 20.0

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        self.file = folder / "state.sqlite3"
        self.servers: list[BrokerServer] = []

    async def start(self, file: Path | None = None) -> BrokerServer:
        """A server that listens, stopped when the test ends."""
        server = BrokerServer(reactor, port=0, state=file or self.file)
        self.addCleanup(self.stop, server)
        self.servers.append(server)
        server.startService()
        await server.when_listening()
        return server

    async def stop(self, server: BrokerServer) -> None:
        """Stop a server. Again is nothing."""
        if server.running:
            await server.stopService()

    async def channel(self, server: BrokerServer) -> Channel:
        """A channel on a connection of its own, which the server's end closes."""
        uri = parse(f"amqp://127.0.0.1:{server.port}")
        endpoint = BrokerEndpoint(reactor, uri, lambda: "a test", lambda _: None)
        protocol: Any = await endpoint.connect(Factory.forProtocol(Protocol))
        self.addCleanup(protocol.transport.close)
        channel: Channel = await protocol.transport.open_channel()
        return channel

    async def publish(self, channel: Channel, exchange: str, key: str, *bodies: bytes, by: bytes = PERSISTENT) -> None:
        """Publish messages; return when they are confirmed."""
        confirmed: Deferred[None] = Deferred()
        numbers: set[int] = set(range(1, len(bodies) + 1))

        def note(tag: int, multiple: bool, acknowledged: bool) -> None:
            assert acknowledged
            numbers.difference_update(range(1, tag + 1) if multiple else [tag])
            if not numbers:
                confirmed.callback(None)

        await channel.confirm_select()
        channel.on_confirm = note
        for body in bodies:
            channel.publish(exchange, key, by, body)
        await confirmed

    async def drain(self, channel: Channel, queue: str) -> list[tuple[bytes, bool]]:
        """Bodies in a queue, and whether they say that they were delivered before."""
        found: list[tuple[bytes, bool]] = []
        declared = await channel.queue_declare(queue=queue, passive=True)
        if not declared.message_count:
            return found
        all_there: Deferred[None] = Deferred()

        def take(delivery: Any) -> None:
            found.append((delivery.body, delivery.redelivered))
            channel.ack(delivery.delivery_tag)
            if len(found) == declared.message_count:
                all_there.callback(None)

        await channel.consume(queue, take, lambda: None)
        await all_there
        return found

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """What the file has."""
        database = sqlite3.connect(self.file)
        try:
            return database.execute(f"SELECT * FROM {table}").fetchall()
        finally:
            database.close()


class StateTests(StoreCase):
    """What is there again, and what is not."""

    async def test_all_that_is_durable(self) -> None:
        """Exchanges, queues, bindings and persistent messages, in their order, as delivered before."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.exchange_declare(exchange="first", type="topic", durable=True)
        await channel.exchange_declare(exchange="second", type="fanout", durable=True)
        await channel.queue_declare(queue="größe", durable=True, arguments={"x-max-length": 100})
        await channel.exchange_bind(destination="second", source="first", routing_key="a.#")
        await channel.queue_bind(queue="größe", exchange="second")
        await self.publish(channel, "first", "a.b", *(b"%d" % number for number in range(20)))
        await self.stop(server)
        channel = await self.channel(await self.start())
        await channel.queue_declare(queue="größe", durable=True, arguments={"x-max-length": 100})
        expected = [(b"%d" % number, True) for number in range(20)]
        self.assertEqual(await self.drain(channel, "größe"), expected)
        await self.publish(channel, "first", "a.c", b"new")
        self.assertEqual((await channel.queue_declare(queue="größe", passive=True)).message_count, 0)

    async def test_what_is_not_durable(self) -> None:
        """Transient messages, and queues and exchanges that are not durable, are forgotten."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="durable", durable=True)
        await channel.queue_declare(queue="not", durable=False)
        await channel.queue_declare(queue="mine", durable=True, exclusive=True)
        await self.publish(channel, "", "durable", b"transient", by=TRANSIENT)
        await self.stop(server)
        server = await self.start()
        channel = await self.channel(server)
        self.assertEqual((await channel.queue_declare(queue="durable", passive=True)).message_count, 0)
        for name in ("not", "mine"):
            with self.assertRaises(ChannelClosed):
                await (await self.channel(server)).queue_declare(queue=name, passive=True)

    async def test_what_is_gone_stays_gone(self) -> None:
        """What was acked, purged, unbound or deleted does not come back."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await channel.queue_declare(queue="deleted", durable=True)
        await channel.exchange_declare(exchange="x", type="direct", durable=True)
        await channel.queue_bind(queue="q", exchange="x", routing_key="k")
        await channel.queue_bind(queue="deleted", exchange="x", routing_key="k")
        await self.publish(channel, "x", "k", b"1", b"2")
        self.assertEqual(await self.drain(channel, "q"), [(b"1", False), (b"2", False)])
        await channel.queue_delete(queue="deleted")
        await channel.queue_unbind(queue="q", exchange="x", routing_key="k")
        await self.stop(server)
        self.assertEqual((self.rows("message"), self.rows("binding")), ([], []))
        self.assertEqual([row[1] for row in self.rows("queue")], ["q"])

    async def test_confirmed_is_written(self) -> None:
        """When a publish is confirmed, the message is in the file."""
        channel = await self.channel(await self.start())
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"body")
        self.assertEqual([row[-1] for row in self.rows("message")], [b"body"])

    async def test_what_comes_and_goes_is_not_written(self) -> None:
        """A message that is settled before it could be written never is; the file's numbers go on without it."""
        server = await self.start()
        store: Any = server._store
        writes: list[int] = []
        run = store._pool.runInteraction

        def note(function: Any, definitions: Any, kept: list[Any], dropped: Any) -> Any:
            writes.append(len(kept))
            return run(function, definitions, kept, dropped)

        store._pool.runInteraction = note
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        got: Deferred[None] = Deferred()

        def take(delivery: Any) -> None:
            got.callback(None)

        await channel.consume("q", take, lambda: None, no_ack=True)
        channel.publish("", "q", PERSISTENT, b"body")
        await got
        await self.stop(server)
        self.assertEqual((sum(writes), self.rows("message")), (0, []))

    async def test_names_that_are_no_text(self) -> None:
        """Names of any bytes are kept to the byte."""
        server = await self.start()
        channel = await self.channel(server)
        name = "\udcff\udcfe"
        await channel.queue_declare(queue=name, durable=True)
        await self.publish(channel, "", name, b"body")
        await self.stop(server)
        self.assertEqual(await self.drain(await self.channel(await self.start()), name), [(b"body", True)])

    async def test_nothing_is_kept_without_a_file(self) -> None:
        """A server that is stopped and started again has forgotten all, and counts no memory."""
        server = BrokerServer(reactor, port=0)
        self.addCleanup(self.stop, server)
        server.startService()
        await server.when_listening()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True, arguments={"x-message-ttl": 60_000})
        await self.publish(channel, "", "q", b"body")
        self.assertGreater(server.broker.memory.held, 0)
        await server.stopService()
        self.assertEqual((server.broker.memory.held, server.broker.vhosts["/"].queues), (0, {}))


class CrashTests(StoreCase):
    """What a broker finds that was not stopped: the file as it was at some moment."""

    def crash(self) -> None:
        """Go on with the file as it is now, as if the process had ended."""
        copy = self.file.with_name(f"{self.file.name}+")
        source, target = sqlite3.connect(self.file), sqlite3.connect(copy)
        source.backup(target)
        source.close()
        target.close()
        self.file = copy

    async def take(self, channel: Channel, queue: str, count: int) -> list[Any]:
        """Take so many messages, and settle none of them."""
        taken: list[Any] = []
        enough: Deferred[None] = Deferred()

        def take(delivery: Any) -> None:
            taken.append(delivery)
            if len(taken) == count:
                enough.callback(None)

        await channel.consume(queue, take, lambda: None)
        await enough
        return taken

    async def test_in_hand(self) -> None:
        """What a consumer had, and had not settled, is in its place again."""
        channel = await self.channel(await self.start())
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"1", b"2", b"3")
        _, second, _ = await self.take(channel, "q", 3)
        channel.ack(second.delivery_tag)
        await channel.queue_declare(queue="later", durable=True)
        await self.publish(await self.channel_of_last(), "", "later", b"written after the ack")
        self.crash()
        self.assertEqual(await self.drain(await self.channel(await self.start()), "q"), [(b"1", True), (b"3", True)])

    async def channel_of_last(self) -> Channel:
        """A further channel to the server that was started last."""
        return await self.channel(self.servers[-1])

    async def test_in_hand_of_a_deleted_queue(self) -> None:
        """The file has no messages of a queue that is deleted, though a consumer has them still."""
        server = await self.start()
        channel = await self.channel(server)
        for name in ("gone", "stays"):
            await channel.queue_declare(queue=name, durable=True)
        await self.publish(channel, "", "gone", b"1", b"2")
        await self.take(channel, "gone", 2)
        await channel.queue_delete(queue="gone")
        await self.publish(await self.channel(server), "", "stays", b"3")
        self.crash()
        self.assertEqual([row[-1] for row in self.rows("message")], [b"3"])
        channel = await self.channel(await self.start())
        self.assertEqual(await self.drain(channel, "stays"), [(b"3", True)])

    async def test_too_old_meanwhile(self) -> None:
        """What has become too old while no broker ran is a dead letter of the next one; the rest has its time left."""
        channel = await self.channel(await self.start())
        await channel.queue_declare(queue="dead", durable=True)
        table = {"x-message-ttl": 60_000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        await channel.queue_declare(queue="q", durable=True, arguments=table)
        await self.publish(channel, "", "q", b"old", b"young")
        self.crash()
        database = sqlite3.connect(self.file)
        database.execute("UPDATE message SET expires = 1 WHERE body = ?", (b"old",))
        database.commit()
        database.close()
        server = await self.start()
        channel = await self.channel(server)
        self.assertEqual(await self.drain(channel, "q"), [(b"young", True)])
        self.assertEqual(await self.drain(channel, "dead"), [(b"old", False)])

    async def test_positions(self) -> None:
        """Messages that come after a restart are behind those from before, also after another one."""
        for round_ in range(3):
            channel = await self.channel(await self.start())
            await channel.queue_declare(queue="q", durable=True, arguments={"x-max-priority": 1})
            await self.publish(channel, "", "q", b"%d" % round_)
            urgent = encode_properties(Properties(delivery_mode=2, priority=1))
            await self.publish(await self.channel_of_last(), "", "q", b"urgent %d" % round_, by=urgent)
            self.crash()
        found = await self.drain(await self.channel(await self.start()), "q")
        self.assertEqual([body for body, _ in found], [b"urgent 0", b"urgent 1", b"urgent 2", b"0", b"1", b"2"])


class BindingTests(StoreCase):
    """Bindings in the file."""

    async def test_unbound_by_the_same_arguments(self) -> None:
        """A binding that is taken back is gone, in whatever order its arguments are told then."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        bind: dict[str, Any] = {"queue": "q", "exchange": "amq.headers", "routing_key": ""}
        await channel.queue_bind(**bind, arguments={"a": 1, "b": "x"})
        await channel.queue_bind(**bind, arguments={"a": True, "b": "x"})
        await channel.queue_unbind(**bind, arguments={"b": "x", "a": 1})
        await self.stop(server)
        (left,) = self.rows("binding")
        self.assertIs(decode_table(left[-1], 0)[0]["a"], True)

    async def test_between_the_brokers_own_exchanges(self) -> None:
        """A binding may be all that a virtual host has in the file."""
        first = BrokerServer(reactor, port=0, state=self.file, vhosts=["/", "other"])
        self.addCleanup(self.stop, first)
        first.startService()
        await first.when_listening()
        host = first.broker.vhosts["other"]
        host.bind("amq.direct", host.exchange("amq.fanout"), "k", {})
        await self.stop(first)
        second = await self.start()
        self.assertEqual(len([*second.broker.vhosts["other"].exchange("amq.direct").bindings]), 1)

    async def test_what_a_deleted_exchange_takes_along(self) -> None:
        """Bindings from it and to it, and an auto-delete exchange that has lost its last one, are gone."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        for name, auto_delete in (("from", True), ("middle", False), ("to", False)):
            await channel.exchange_declare(exchange=name, type="fanout", durable=True, auto_delete=auto_delete)
        await channel.exchange_bind(destination="middle", source="from")
        await channel.exchange_bind(destination="to", source="middle")
        await channel.queue_bind(queue="q", exchange="middle")
        await channel.queue_bind(queue="q", exchange="to")
        await channel.exchange_delete(exchange="middle")
        await self.stop(server)
        self.assertEqual([row[1] for row in self.rows("exchange")], ["to"])
        self.assertEqual([row[1] for row in self.rows("binding")], ["to"])


class WritingTests(StoreCase):
    """When the file is written to, and when it cannot be."""

    def gate(self, server: BrokerServer) -> Deferred[None]:
        """Hold back all writing until the Deferred is fired."""
        store: Any = server._store
        run, opened = store._pool.runInteraction, Deferred[None]()

        def wait(*args: Any) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            opened.addCallback(lambda _: run(*args).chainDeferred(done))
            return done

        store._pool.runInteraction = wait
        return opened

    async def test_no_confirm_before_the_commit(self) -> None:
        """As long as the file is not written nothing is confirmed, though the message has long been delivered."""
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
        # An answer to what was asked later is here: a confirm that did not wait would be, too.
        self.assertEqual((await channel.queue_declare(queue="q", passive=True)).message_count, 2)
        self.assertEqual((confirmed, [row[-1] for row in self.rows("message")]), ([], [b"before"]))
        opened.callback(None)
        await told
        self.assertEqual(([row[-1] for row in self.rows("message")]), [b"before", b"held back"])

    async def test_gone_while_it_waits(self) -> None:
        """A message that is purged while another write goes on is never written, and confirmed all the same."""
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

    async def test_a_file_that_cannot_be_written(self) -> None:
        """Publishers are told by a nack, the log says why, and the broker goes on."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"before")
        database = sqlite3.connect(self.file)
        database.execute("DROP TABLE message")
        database.commit()
        database.close()
        told: Deferred[tuple[int, bool]] = Deferred()
        channel.on_confirm = lambda tag, multiple, acknowledged: told.callback((tag, acknowledged))
        channel.publish("", "q", PERSISTENT, b"lost to the file")
        self.assertEqual(await told, (2, False))
        self.assertEqual((await channel.queue_declare(queue="q", passive=True)).message_count, 2)
        await self.stop(server)
        self.assertTrue(self.flushLoggedErrors(sqlite3.OperationalError))

    async def test_one_server_again(self) -> None:
        """A server that is stopped can be started again, and has what it had."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"body")
        for _ in range(2):
            await server.stopService()
            server.startService()
            await server.when_listening()
        self.assertEqual(await self.drain(await self.channel(server), "q"), [(b"body", True)])

    async def test_stopped_while_it_starts(self) -> None:
        """A server that is stopped before it has loaded does not listen, and has forgotten what it loaded."""
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
        """The server does not start, and says why, with the file's name."""
        server = BrokerServer(reactor, port=0, state=self.file)
        self.addCleanup(self.stop, server)
        server.startService()
        with self.assertRaises(ConfigurationError) as raised:
            await server.when_listening()
        for word in (str(self.file), *words):
            self.assertIn(word, str(raised.exception))
        self.assertEqual(len(str(raised.exception).splitlines()), 1)

    async def test_no_database(self) -> None:
        """A file of something else is left as it is."""
        self.file.write_bytes(b"a letter " * 1000)
        await self.refused("not a database")
        self.assertEqual(self.file.read_bytes(), b"a letter " * 1000)

    async def test_database_of_another_program(self) -> None:
        """Its tables are not touched."""
        database = sqlite3.connect(self.file)
        database.execute("CREATE TABLE letters (text)")
        database.commit()
        database.close()
        await self.refused("another program's")
        self.assertEqual(self.rows("letters"), [])

    async def test_newer_version(self) -> None:
        """What a newer version has written is not guessed at."""
        await self.stop(await self.start())
        database = sqlite3.connect(self.file)
        database.execute("PRAGMA user_version = 99")
        database.commit()
        database.close()
        await self.refused("version 99")

    async def test_no_such_folder(self) -> None:
        """A folder is not made up."""
        self.file = self.file.parent / "missing" / "state"
        await self.refused("unable to open")
        self.assertFalse(os.path.exists(self.file.parent))
