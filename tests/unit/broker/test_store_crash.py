"""The broker's state after a kill: the file as it was at some moment."""

from __future__ import annotations

import sqlite3
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.broker import state_file
from rpc.broker.limits import DEAD_LETTERS_PER_PASS
from rpc.broker.server import BrokerServer
from rpc.broker.state_file import Batch
from rpc.errors import ConfigurationError
from rpc.messages import Properties
from tests.unit.broker.test_store import StoreCase


class CrashCase(StoreCase):
    """A broker that is killed: the next one finds the file as it was at some moment."""

    def crash(self) -> None:
        """Go on with the file as it is now, as if the process had ended."""
        copy = self.file.with_name(f"{self.file.name}+")
        source, target = sqlite3.connect(self.file), sqlite3.connect(copy)
        source.backup(target)
        source.close()
        target.close()
        self.file = copy

    async def take(self, channel: Channel, queue: str, count: int) -> list[Any]:
        """Take so many messages, and leave them unacked."""
        taken: list[Any] = []
        enough: Deferred[None] = Deferred()

        def take(delivery: Any) -> None:
            taken.append(delivery)
            if len(taken) == count:
                enough.callback(None)

        await channel.consume(queue, take, lambda: None)
        await enough
        return taken


class CrashTests(CrashCase):
    """The state after a kill."""

    async def test_restores_unacked_messages_at_their_positions(self) -> None:
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

    async def test_removes_unacked_messages_of_a_deleted_queue(self) -> None:
        server = await self.start()
        channel = await self.channel(server)
        for name in ("gone", "stays"):
            await channel.queue_declare(queue=name, durable=True)
        await self.publish(channel, "", "gone", b"1", b"2")
        await self.take(channel, "gone", 2)
        await channel.queue_delete(queue="gone")
        await self.publish(await self.channel(server), "", "stays", b"3")
        self.crash()
        self.assertEqual(self.bodies(), [b"3"])
        channel = await self.channel(await self.start())
        self.assertEqual(await self.drain(channel, "stays"), [(b"3", True)])

    async def test_dead_letters_messages_that_expired_meanwhile(self) -> None:
        """Others keep the rest of their time."""
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

    async def test_drops_the_head_of_a_queue_that_is_too_long_with_its_unacked_messages(self) -> None:
        """RabbitMQ does so when it starts: they are dead letters. A queue that rejects publishes keeps all of them."""
        for overflow, left, dropped in (("drop-head", [b"3", b"4"], [b"1", b"2"]), ("reject-publish", None, [])):
            self.file = self.file.with_name(overflow)
            channel = await self.channel(await self.start())
            await channel.queue_declare(queue="dead", durable=True)
            table = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead", "x-overflow": overflow}
            await channel.queue_declare(queue="q", durable=True, arguments={"x-max-length": 2, **table})
            await self.publish(channel, "", "q", b"1", b"2")
            await channel.basic_qos(prefetch_count=2)
            await self.take(channel, "q", 2)
            await self.publish(await self.channel_of_last(), "", "q", b"3", b"4")
            self.crash()
            channel = await self.channel(await self.start())
            found = [body for body, _ in await self.drain(channel, "q")]
            self.assertEqual(found, left or [b"1", b"2", b"3", b"4"])
            self.assertEqual([body for body, _ in await self.drain(channel, "dead")], dropped)

    async def test_new_messages_come_behind_restored_ones(self) -> None:
        """Also after a second restart."""
        for round_ in range(3):
            channel = await self.channel(await self.start())
            await channel.queue_declare(queue="q", durable=True, arguments={"x-max-priority": 1})
            await self.publish(channel, "", "q", b"%d" % round_)
            urgent = encode_properties(Properties(delivery_mode=2, priority=1))
            await self.publish(await self.channel_of_last(), "", "q", b"urgent %d" % round_, by=urgent)
            self.crash()
        found = await self.drain(await self.channel(await self.start()), "q")
        self.assertEqual([body for body, _ in found], [b"urgent 0", b"urgent 1", b"urgent 2", b"0", b"1", b"2"])


@attrs.frozen
class Killed:
    """The moment of a kill.

    :ivar written: fires when the last transaction before it is written.
    :ivar opened: the test fires it, to let the process that was not killed end.
    """

    written: Deferred[None] = attrs.Factory(Deferred)
    opened: Deferred[None] = attrs.Factory(Deferred)


class DeadLetterTests(CrashCase):
    """Dead letters of a broker that is killed."""

    async def test_a_message_leaves_the_file_together_with_its_dead_letter(self) -> None:
        """A pass publishes a limited number of dead letters: the others are in their queue still, at any moment."""
        await self.nack_many_and_crash(delete=False)

    async def test_a_deleted_queue_leaves_the_file_behind_its_dead_letters(self) -> None:
        """A queue may be deleted while most of its dead letters wait for passes of their own."""
        await self.nack_many_and_crash(delete=True)

    async def test_an_unacked_message_of_a_deleted_queue_is_gone_while_its_dead_letters_wait(self) -> None:
        await self.nack_many_and_crash(delete=True, unacked=1)

    async def test_a_queue_that_is_declared_again_is_not_deleted_with_the_old_one(self) -> None:
        """The old queue has dead letters that are not published yet."""
        server = await self.start()
        channel = await self.channel(server)
        await self.nack_many(channel)
        deleted, declared = channel.queue_delete(queue="q"), channel.queue_declare(queue="q", durable=True)
        await deleted
        await declared
        await self.publish(await self.channel(server), "", "q", b"new")
        await self.stop(server)
        self.assertEqual([row[-1] for row in self.rows("message") if row[2] == "q"], [b"new"])
        self.assertEqual([row[1] for row in self.rows("queue")], ["dead", "q"])

    async def test_dead_letters_of_a_deleted_queue_survive_one_of_the_same_name(self) -> None:
        """They are in the new queue after a kill, when it is stored; else the deleted one is there again."""
        for durable in (True, False):
            server = await self.start()
            channel = await self.channel(server)
            count, killed = 5 * DEAD_LETTERS_PER_PASS + 1, self.hold_back_after_dead_letters(server)
            await self.nack_many(channel, count)
            deleted, declared = channel.queue_delete(queue="q"), channel.queue_declare(queue="q", durable=durable)
            await deleted
            await declared
            await killed.written
            self.crash()
            killed.opened.callback(None)
            await self.stop(server)
            self.assertEqual(sorted(int(row[-1]) for row in self.rows("message")), [*range(count)], durable)
            channel = await self.channel(await self.start())
            left = (await channel.queue_declare(queue="q", passive=True)).message_count
            dead = (await channel.queue_declare(queue="dead", passive=True)).message_count
            self.assertEqual(left + dead, count)
            self.assertGreater(left, 0)
            self.file = self.file.with_name("another")

    async def test_messages_of_a_file_of_version_1_get_their_first_death(self) -> None:
        """The file does not say which of them are dead letters already. Their headers do."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="dead", durable=True)
        for name, to, ttl in (("q", "dead", {}), ("first", "q", {"x-message-ttl": 0})):
            table = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": to, **ttl}
            await channel.queue_declare(queue=name, durable=True, arguments=table)
        await self.publish(channel, "", "first", b"dead")
        await self.publish(await self.channel(server), "", "q", b"alive")
        await self.stop(server)
        self.make_version_1()
        channel = await self.channel(await self.start())
        self.nack(channel, await self.take(channel, "q", 2))
        found = {}
        for delivery in await self.take(channel, "dead", 2):
            headers = delivery.properties.headers
            found[delivery.body] = (len(headers["x-death"]), headers["x-first-death-queue"])
        self.assertEqual(found, {b"dead": (2, "first"), b"alive": (1, "q")})

    async def test_an_upgrade_that_was_broken_off_is_made_again(self) -> None:
        """The process was killed after the first of its statements."""
        server = await self.start()
        channel = await self.channel(server)
        await channel.queue_declare(queue="q", durable=True)
        await self.publish(channel, "", "q", b"old")
        await self.stop(server)
        self.make_version_1()
        statements = state_file._FROM_VERSION_1
        self.patch(state_file, "_FROM_VERSION_1", (statements[0], "no statement"))
        with self.assertRaises(ConfigurationError):
            await self.start()
        self.patch(state_file, "_FROM_VERSION_1", statements)
        self.assertEqual(await self.drain(await self.channel(await self.start()), "q"), [(b"old", True)])

    async def nack_many(self, channel: Channel, count: int = 5 * DEAD_LETTERS_PER_PASS + 1, unacked: int = 0) -> None:
        """Reject many messages of a queue with dead letters at once. The last ones stay unacked."""
        await channel.queue_declare(queue="dead", durable=True)
        table = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        await channel.queue_declare(queue="q", durable=True, arguments=table)
        await self.publish(channel, "", "q", *(b"%d" % number for number in range(count + unacked)))
        taken = await self.take(channel, "q", count + unacked)
        self.nack(channel, taken[:count])

    async def nack_many_and_crash(self, *, delete: bool, unacked: int = 0) -> None:
        """Reject many messages, perhaps delete their queue, and look at the file after one write."""
        server = await self.start()
        channel = await self.channel(server)
        count = 5 * DEAD_LETTERS_PER_PASS + 1
        killed = self.hold_back_after_dead_letters(server)
        await self.nack_many(channel, count, unacked)
        deleted = channel.queue_delete(queue="q") if delete else None
        await killed.written
        self.crash()
        killed.opened.callback(None)
        if deleted is not None:
            await deleted
        rows = self.rows("message")
        self.assertEqual(sorted(int(row[-1]) for row in rows), [*range(count)])
        self.assertIn("dead", {row[2] for row in rows})

    def hold_back_after_dead_letters(self, server: BrokerServer) -> Killed:
        """Write up to the first batch with a dead letter, and hold back the others, as if killed then."""
        store: Any = server._store
        run, killed = store._pool.runInteraction, Killed()

        def run_once(function: Any, batch: Batch) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            if killed.written.called:
                killed.opened.addCallback(lambda _: run(function, batch).chainDeferred(done))
                return done
            done = run(function, batch)
            if any(row[2] == "dead" for row in batch.inserts):
                done.addCallback(lambda _: killed.written.callback(None))
            return done

        store._pool.runInteraction = run_once
        return killed

    def nack(self, channel: Channel, deliveries: list[Any]) -> None:
        """Reject deliveries, in one read of the broker's."""
        for delivery in deliveries:
            channel.reject(delivery.delivery_tag, requeue=False)
