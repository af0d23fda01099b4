"""The broker's state: durable things survive the broker, and transient ones do not."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from rpc.amqp.channel import Channel
from rpc.amqp.codec.fields import decode_table
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.broker.server import BrokerServer
from rpc.broker.state_file import Batch
from rpc.errors import ChannelClosed
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

    def make_version_1(self) -> None:
        """Take the columns out of the file that its first version did not have. No server may be using it."""
        database = sqlite3.connect(self.file)
        for column in ("died", "delivery_count"):
            database.execute(f"ALTER TABLE message DROP COLUMN {column}")
        database.execute("PRAGMA user_version = 1")
        database.commit()
        database.close()

    async def stop(self, server: BrokerServer) -> None:
        """Stop a server. Repeating it has no effect."""
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

    async def written(self, server: BrokerServer) -> None:
        """Return when all changes until now are in the file."""
        store: Any = server._store
        waiting = store.written()
        if waiting is not None:
            await waiting

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
        """Bodies in a queue, and whether they are marked as redelivered."""
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
        """The rows of a table in the file."""
        database = sqlite3.connect(self.file)
        try:
            return database.execute(f"SELECT * FROM {table}").fetchall()
        finally:
            database.close()

    def bodies(self) -> list[bytes]:
        """The bodies of the messages in the file."""
        database = sqlite3.connect(self.file)
        try:
            return [body for (body,) in database.execute("SELECT body FROM message")]
        finally:
            database.close()


class StateTests(StoreCase):
    """The state after a restart."""

    async def test_restores_durable_definitions_and_persistent_messages(self) -> None:
        """In their order, and marked as redelivered."""
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

    async def test_restores_nothing_transient(self) -> None:
        """Neither messages nor queues nor exchanges."""
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

    async def test_restores_nothing_that_was_removed(self) -> None:
        """Acked, purged, unbound or deleted."""
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

    async def test_a_confirmed_message_is_in_the_file(self) -> None:
        channel = await self.channel(await self.start())
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"body")
        self.assertEqual(self.bodies(), [b"body"])

    async def test_a_message_settled_before_the_write_is_never_written(self) -> None:
        server = await self.start()
        store: Any = server._store
        writes: list[int] = []
        run = store._pool.runInteraction

        def note(function: Any, batch: Batch) -> Any:
            writes.append(len(batch.inserts))
            return run(function, batch)

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

    async def test_restores_names_of_any_bytes(self) -> None:
        """Names need not be UTF-8."""
        server = await self.start()
        channel = await self.channel(server)
        name = "\udcff\udcfe"
        await channel.queue_declare(queue=name, durable=True)
        await self.publish(channel, "", name, b"body")
        await self.stop(server)
        self.assertEqual(await self.drain(await self.channel(await self.start()), name), [(b"body", True)])

    async def test_remembers_which_messages_are_dead_letters(self) -> None:
        """The broker wrote their history, and goes on with it."""
        server = await self.start()
        channel = await self.channel(server)
        dead = {"x-message-ttl": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q"}
        await channel.queue_declare(queue="first", durable=True, arguments=dead)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "first", b"dead")
        await self.publish(await self.channel(server), "", "q", b"alive")
        await self.stop(server)
        ready = (await self.start()).broker.vhosts["/"].queues["q"].ready
        messages = [ready.pop().message for _ in range(2)]
        self.assertEqual([(each.body, each.died) for each in messages], [(b"dead", True), (b"alive", False)])

    async def test_reads_a_file_of_version_1(self) -> None:
        """It had no column for that."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"old")
        await self.stop(server)
        self.make_version_1()
        server = await self.start()
        channel = await self.channel(server)
        await self.publish(channel, "", "q", b"new")
        await self.stop(server)
        self.assertEqual(
            await self.drain(await self.channel(await self.start()), "q"), [(b"old", True), (b"new", True)]
        )

    async def test_restores_nothing_without_a_file(self) -> None:
        """And counts no memory."""
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


class BindingTests(StoreCase):
    """Bindings in the file."""

    async def test_unbinds_by_equal_arguments_in_any_order(self) -> None:
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

    async def test_restores_a_binding_between_predeclared_exchanges(self) -> None:
        """It may be all that a virtual host has in the file."""
        first = BrokerServer(reactor, port=0, state=self.file, vhosts=["/", "other"])
        self.addCleanup(self.stop, first)
        first.startService()
        await first.when_listening()
        host = first.broker.vhosts["other"]
        host.bind("amq.direct", host.exchange("amq.fanout"), "k", {})
        await self.stop(first)
        second = await self.start()
        self.assertEqual(len([*second.broker.vhosts["other"].exchange("amq.direct").bindings]), 1)

    async def test_removes_the_bindings_of_a_deleted_exchange(self) -> None:
        """And auto-delete exchanges that have lost their last binding."""
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
