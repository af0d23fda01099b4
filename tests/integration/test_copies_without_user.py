"""Commands whose user has another name at the broker than in the URL, as it may have with a token or a certificate.

RabbitMQ closes the channel of a message with another user id than its own name for the user (406).
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as global_reactor

from rpc.amqp.delegate import Credentials
from rpc.amqp.protocol import AMQPConnection
from rpc.cli import alarm, copies, dead
from rpc.cli.alarm import publishing_connection
from rpc.cli.dead_choice import Choice
from rpc.cli.dead_replay import Progress
from rpc.cli.queue_migration import Migration
from rpc.cli.running import open_connection
from rpc.topology import DeadLetterKind
from rpc.uri import parse
from tests.integration.dead_case import DeadTestCase
from tests.integration.migrate_case import MigrateTestCase

reactor: Any = global_reactor


def rename(case: Any) -> list[str]:
    """Give the connections for publishing another user name. Return a list that gets the warnings."""
    told = list[str]()

    async def open_renamed(*arguments: Any) -> AMQPConnection:
        connection = await open_connection(*arguments)
        connection.credentials = Credentials("another")
        return connection

    case.patch(alarm, "open_connection", open_renamed)
    case.patch(copies, "warn", told.append)
    return told


class DeadLetterTests(DeadTestCase):
    """A letter whose sender is known, and that was delivered often."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.bury(message_id="a", user_id="guest", headers={"x-delivery-count": 12})
        await self.has_dead(1)
        self.told = rename(self)

    async def test_a_replay_publishes_copies_without_a_user(self) -> None:
        progress = Progress()
        everything = Choice(frozenset())
        await dead._replayed(reactor, parse(self.url), self.topology, tuple(DeadLetterKind), everything, None, progress)
        (copy,) = await self.taken(self.topology.queue)
        self.assertEqual((progress.replayed, copy.properties.user_id), (1, None))
        self.assertIn("does not know this connection by the user name 'another'", "".join(self.told))

    async def test_a_renewal_publishes_copies_without_a_user(self) -> None:
        await dead._listed(reactor, parse(self.url), self.topology, tuple(DeadLetterKind))
        (copy,) = await self.taken(self.topology.dead_queue)
        self.assertEqual((copy.properties.user_id, copy.properties.headers), (None, None))
        self.assertEqual(len(self.told), 1)


class MigrationTests(MigrateTestCase):
    """Requests whose senders are known."""

    async def test_a_migration_publishes_copies_without_a_user(self) -> None:
        """The question is asked once, though there are two moves."""
        await self.declared()
        await self.sent("a", "b", user_id="guest")
        told = rename(self)
        async with publishing_connection(reactor, parse(self.url), self.id()) as publishing:
            migration = Migration(reactor, await self.connect(), publishing, self.name, 30.0)
            await migration.replace(self.options(backlog=5), always=False)
        found = [(message.body, message.properties.user_id) for message in await self.taken(self.requests)]
        self.assertEqual((found, len(told)), ([(b"a", None), (b"b", None)], 1))
