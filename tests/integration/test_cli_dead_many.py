"""``thrift-rpc dead`` with more letters than a broker gives to one consumer, and with large ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
from twisted.internet.threads import deferToThread

from rpc.cli.dead_letters import ROUND_BYTES
from tests.integration.amqp_case import later
from tests.integration.dead_case import COMMAND, PROJECT, DeadTestCase, read_until

MOST_OF_A_CONSUMER = 2000
"""Messages that RabbitMQ's quorum queues give to a consumer without a prefetch."""

MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small process between this one and the command: a process counts the memory of the one that it was forked from."""


class ManyTests(DeadTestCase):
    """Letters in a classic queue."""

    timeout = 120.0

    async def bury_many(self, count: int, body: bytes = b"abc") -> list[str]:
        """Publish letters; return their message ids."""
        ids = [f"a.{number}" for number in range(count)]
        for message_id in ids:
            self.bury(body, message_id=message_id)
        await self.has_dead(count)
        return ids

    async def test_lists_more_letters_than_a_consumer_gets_and_keeps_their_order(self) -> None:
        ids = await self.bury_many(MOST_OF_A_CONSUMER + 500)
        for _ in range(2):
            self.assertEqual([letter["message_id"] for letter in await self.listed()], ids)
        self.assertEqual(await self.ids(self.topology.dead_queue), ids)

    async def test_what_a_purge_reports_is_gone_and_nothing_else(self) -> None:
        ids = await self.bury_many(301)
        named = ids[3::7]
        self.assertIn(f"deleted {len(named)} dead letters", await self.done("purge", "--yes", *named))
        left = [message_id for message_id in ids if message_id not in named]
        self.assertEqual(await self.waiting(self.topology.dead_queue), len(left))
        self.assertEqual([letter["message_id"] for letter in await self.listed()], left)
        self.assertIn(f"deleted {len(left)} dead letters", await self.done("purge", "--all", "--yes"))
        self.assertEqual(await self.waiting(self.topology.dead_queue), 0)

    async def test_a_purge_deletes_more_letters_than_a_consumer_gets(self) -> None:
        count = MOST_OF_A_CONSUMER + 500
        await self.bury_many(count)
        self.assertIn(f"deleted {count} dead letters", await self.done("purge", "--all", "--yes"))
        self.assertEqual(await self.waiting(self.topology.dead_queue), 0)

    async def test_a_replay_moves_each_letter_once(self) -> None:
        ids = await self.bury_many(MOST_OF_A_CONSUMER + 101)
        self.assertIn("replayed 1 dead letter ", await self.done("replay", "a.7"))
        self.assertIn(f"replayed {len(ids) - 1} dead letters", await self.done("replay", "--all"))
        self.assertEqual(await self.waiting(self.topology.dead_queue), 0)
        ids.remove("a.7")
        self.assertEqual(await self.ids(self.topology.queue), ["a.7", *ids])

    async def test_a_replay_that_is_killed_loses_no_letter(self) -> None:
        """Letters that were confirmed and not yet acked are in both queues."""
        ids = await self.bury_many(3000)
        command = self.start("replay", "--all")
        while not await self.waiting(self.topology.queue):
            await later(0.001)
        command.signal("KILL")
        self.assertIn(await command.ended, (None, 0))  # 0: all letters were replayed before the signal
        await self.released()  # the list fails as long as the letters are locked
        replayed = await self.ids(self.topology.queue)
        while True:  # until the broker has requeued the letters that the command held
            left = [letter["message_id"] for letter in await self.listed()]
            if set(ids) == {*replayed, *left}:
                break
            await later(0.1)
        places = Counter([*replayed, *left])
        self.assertEqual((set(places), len(set(replayed)), len(set(left))), (set(ids), len(replayed), len(left)))

    @pytest.mark.rabbitmq_only("the embedded broker blocks publishers above 256 MB of messages")
    async def test_large_letters_need_little_memory(self) -> None:
        body = os.urandom(16 * 1024 * 1024)
        count = 24
        await self.broker_channel.queue_delete(queue=self.topology.dead_queue)  # it has room for 256 MiB
        arguments = {"x-queue-type": self.queue_type}
        await self.broker_channel.queue_declare(queue=self.topology.dead_queue, durable=True, arguments=arguments)
        await self.broker_channel.queue_bind(queue=self.topology.dead_queue, exchange="rpc.dead", routing_key=self.name)
        await self.bury_many(count, body)
        self.assertLess(await self.peak_of("list"), 4 * ROUND_BYTES)
        self.assertLess(await self.peak_of("replay", "--all"), 4 * ROUND_BYTES)
        self.assertEqual(await self.waiting(self.topology.queue), count)
        self.assertEqual(await self.waiting(self.topology.dead_queue), 0)

    async def peak_of(self, *arguments: str) -> int:
        """Run a command, and return the bytes of memory that it had at most."""
        verb, *more = arguments
        line = [str(COMMAND), "dead", verb, "--broker", self.url_used, self.name, *more]
        ended = await deferToThread(
            subprocess.run, [sys.executable, "-c", MEASURE, *line], cwd=PROJECT, capture_output=True
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, b""))
        return int(ended.stdout) * 1024

    async def test_shows_the_progress_on_a_terminal(self) -> None:
        await self.bury_many(300)
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        line = [str(COMMAND), "dead", "replay", "--broker", self.url, self.name, "--all"]
        process = subprocess.Popen(line, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=theirs)
        self.addCleanup(process.kill)
        os.close(theirs)
        await deferToThread(read_until, ours, b"300/300")
        self.assertEqual(await deferToThread(process.wait), 0)

    async def test_a_signal_puts_many_letters_back_in_their_order(self) -> None:
        ids = await self.bury_many(500)
        command = self.start("purge", "--all")
        await command.says("[y/N]: ")
        command.process.signalProcess(signal.SIGINT)
        self.assertEqual(await command.ended, 1)
        await self.has_dead(500)
        self.assertEqual(await self.ids(self.topology.dead_queue), ids)


class ManyInQuorumQueueTests(ManyTests):
    """The same in a quorum queue."""

    queue_type = "quorum"
