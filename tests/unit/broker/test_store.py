"""The broker's state: what is durable outlives the broker, and nothing else does."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from rpc.amqp.channel import Channel
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.amqp.properties import encode_properties
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

    async def start(self, file: Path | None = None) -> BrokerServer:
        """A server that listens, stopped when the test ends."""
        server = BrokerServer(reactor, port=0, state=file or self.file)
        self.addCleanup(self.stop, server)
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
