"""A migration that is broken off at any moment loses no request, and the next one completes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError
from twisted.internet.threads import deferToThread

from rpc.amqp.protocol import AMQPConnection
from rpc.cli import queue_migration, queue_move
from rpc.cli.queue_detour import Names
from rpc.cli.queue_migration import Migration, lock_service
from rpc.cli.running import open_connection
from rpc.cli.service_queues import lock_of
from rpc.errors import AMQPError, ChannelClosed
from rpc.reply_codes import RESOURCE_LOCKED
from rpc.topology import ServiceTopology
from rpc.uri import parse
from tests.integration.amqp_case import later
from tests.integration.dead_case import COMMAND, PROJECT
from tests.integration.migrate_case import MigrateTestCase, Stream

reactor: Any = global_reactor

ROUNDS = int(os.environ.get("RPC_EXAMPLES", "12"))
KILLS = 3
WAITING = 100
MANY = 2000

SEED = random.randrange(10**6)


class Budget:
    """Bytes that may still be written on some connections. After the last, all of them end, as by SIGKILL.

    :ivar written: bytes so far.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._targets: list[Any] = []
        self.written = 0

    def limit(self, connection: AMQPConnection) -> None:
        """Count the bytes of a connection."""
        self._targets.append(connection.transport)
        connection._redirect(_Counted(self, connection.transport))

    def take(self, data: bytes) -> bytes:
        """Return the part of the data that may be written."""
        allowed = data[: max(0, int(min(self._most - self.written, len(data))))]
        self.written += len(data)
        if len(allowed) < len(data):
            for target in self._targets:
                reactor.callLater(0, target.loseConnection)
        return allowed


class _Counted:
    def __init__(self, budget: Budget, transport: Any) -> None:
        self._budget = budget
        self._transport = transport

    def write(self, data: bytes) -> None:
        self._transport.write(self._budget.take(data))

    def writeSequence(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BrokenOffTestCase(MigrateTestCase):
    """Migrations that die, and those that complete them."""

    async def until_free(self, topology: ServiceTopology) -> None:
        """Wait until the broker has noticed the end of a dead command: until then, the next one is refused."""
        while await self.is_locked(topology):
            await later(0.02)

    async def is_locked(self, topology: ServiceTopology) -> bool:
        """Whether a lock of a dead command is left."""
        locked = Names(topology.queue).store, topology.dead_queue
        return any([await self.is_exclusive(lock_of(queue)) for queue in locked])

    async def is_exclusive(self, queue: str) -> bool:
        """Whether another connection has a queue alone (AMQP 0-9-1, queue.declare: 405)."""
        try:
            await self.ready(queue)
        except ChannelClosed as error:
            return error.code == RESOURCE_LOCKED
        return False


class KilledTests(BrokenOffTestCase):
    """The bytes after which the command dies are drawn."""

    timeout = 280.0

    async def setUp(self) -> None:  # type: ignore[override]
        self.patch(queue_migration, "QUIET_SECONDS", 0.2)
        self.patch(queue_move, "POLL_SECONDS", 0.01)
        await super().setUp()

    async def attempt(self, topology: ServiceTopology, most: float) -> int:
        """Run a migration that dies after so many bytes. Return the number that it wrote."""
        budget = Budget(most)
        holding = await open_connection(reactor, parse(self.url), self.id())
        publishing = await open_connection(reactor, parse(self.url), self.id())
        budget.limit(holding)
        budget.limit(publishing)
        try:
            await lock_service(holding, topology)
            migration = Migration(reactor, holding, publishing, topology.service, 30.0)
            await migration.replace(topology, always=False)
        except (AMQPError, CancelledError):
            self.assertGreater(budget.written, most)
        finally:
            await holding.close(within=1.0)
            await publishing.close(within=1.0)
        return budget.written

    async def complete(self, topology: ServiceTopology) -> int:
        """Migrate without a limit, after the broker has noticed the end of the last attempt."""
        await self.until_free(topology)
        return await self.attempt(topology, float("inf"))

    async def test_sees_the_locks_of_a_command(self) -> None:
        """Otherwise the next attempt would be refused while the broker has not noticed the end of the last."""
        self.assertFalse(await self.is_locked(self.topology))
        holding = await self.connect()
        await lock_service(holding, self.topology)
        self.assertTrue(await self.is_locked(self.topology))
        await holding.close()
        self.assertFalse(await self.is_locked(self.topology))

    async def test_no_request_is_lost(self) -> None:
        """Requests are published all the time, and none is returned."""
        draw = random.Random(SEED)
        await self.declared()
        await self.sent(*(f"r.{number}" for number in range(WAITING)))
        whole = await self.complete(self.options(max_priority=4))
        for number in range(ROUNDS):
            where = f"seed {SEED}, round {number}"
            self.use(self.unique("Calculator"))
            await self.declared()
            names = [f"r.{number}" for number in range(WAITING)]
            await self.sent(*names)
            stream = Stream(self).start()
            changed: dict[str, Any] = draw.choice([{"max_priority": 4}, {"queue_type": "quorum"}, {"backlog": 10**6}])
            topology = self.options(**changed)
            ends = [draw.randrange(whole * 5 // 4) for _ in range(draw.randint(1, KILLS))]
            for most in ends:
                await self.until_free(topology)
                await self.attempt(topology, most)
            await self.complete(topology)
            await stream.stop()
            self.assertEqual(stream.failed, [], f"{where}, {changed}, {ends}")
            found = [message.properties.message_id for message in await self.taken(self.requests)]
            self.assertEqual({*names, *stream.confirmed} - {*found}, set(), f"{where}, {changed}, {ends}")
            twice = len(found) - len(names) - len(stream.confirmed)
            self.assertLessEqual(twice, 2 * len(ends) * queue_move.IN_FLIGHT, f"{where}, {changed}, {ends}")
            await self.assert_replaced(**changed)
            await self.broker_channel.queue_delete(queue=self.requests)


class KilledProcessTests(BrokenOffTestCase):
    """The command as a process, with many requests."""

    timeout = 280.0
    own_broker = True

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command."""
        words = [str(COMMAND), "queue", "migrate", "--broker", self.url, self.name, "--yes", *arguments]
        process = subprocess.Popen(
            words, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    async def is_moving(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the command has stored a request, or has ended."""
        while process.poll() is None and not await self.ready(f"{self.requests}.migrating"):
            await later(0.01)

    async def check_all(self, names: list[str], changed: dict[str, Any], where: str) -> None:
        """Check that every request is in the new queue."""
        found = [message.properties.message_id for message in await self.taken(self.requests)]
        self.assertEqual({*names} - {*found}, set(), where)
        await self.assert_replaced(**changed)

    async def test_no_request_is_lost_by_sigkill(self) -> None:
        """While it moves requests out of the old queue, and into the new one."""
        draw = random.Random(SEED)
        names = [f"r.{number}" for number in range(MANY)]
        await self.declared()
        await self.sent(*names, delivery_mode=2)
        for _ in range(4):
            process = self.start("--max-priority", "4")
            await self.is_moving(process)
            await later(draw.uniform(0.0, 2.0))
            process.send_signal(signal.SIGKILL)
            await deferToThread(process.wait)
            await self.until_free(self.topology)
        await self.migrated("--max-priority", "4")
        await self.check_all(names, {"max_priority": 4}, f"seed {SEED}")

    async def test_no_request_is_lost_by_the_end_of_the_broker(self) -> None:
        """The broker is killed while requests are moved, and comes back."""
        names = [f"r.{number}" for number in range(MANY)]
        await self.declared()
        await self.sent(*names, delivery_mode=2)
        process = self.start("--backlog", "100000")
        await self.is_moving(process)
        await deferToThread(self.broker.kill)
        self.assertEqual(await deferToThread(process.wait), 1)
        await deferToThread(self.broker.start)
        self.broker_channel = await self.channel()
        await self.migrated("--backlog", "100000")
        await self.check_all(names, {"backlog": 100000}, "")
