"""``thrift-rpc dead purge`` as a process, with a real broker."""

from __future__ import annotations

import os
import signal
import subprocess

from twisted.internet.threads import deferToThread

from tests.integration.dead_case import COMMAND, PROJECT, Command, DeadTestCase, read_until


class PurgeTests(DeadTestCase):
    """Deleting, and events during the question."""

    async def ask(self, *arguments: str) -> Command:
        """Start a purge that asks."""
        command = self.start("purge", *arguments)
        await command.says("[y/N]: ")
        return command

    async def test_asks_before_it_deletes(self) -> None:
        """With a list of the letters; only yes deletes them."""
        await self.buried("a", "b", "c")
        for answer in ("n", "", "what?", "what?\nno"):
            ended = await self.run_dead("purge", "b", "3", answer=answer)
            self.assertEqual((ended.status, ended.error), (1, "Aborted!\n"))
            self.assertIn("Delete 2 dead letters", ended.output)
        shown = (await self.done("purge", "b", "3", answer="y")).splitlines()
        named = [["2", "unfinished", f"{self.name}.add"], ["3", "unfinished", f"{self.name}.add"]]
        self.assertEqual([line.split()[:3] for line in shown[:2]], named)
        self.assertTrue(shown[-1].endswith(f"deleted 2 dead letters of {self.name}"), shown)
        self.assertEqual(await self.ids(self.topology.dead_queue), ["a"])

    async def test_deletes_without_a_question(self) -> None:
        """For programs."""
        await self.buried("a", "b")
        self.assertEqual(await self.done("purge", "--all", "--yes"), f"deleted 2 dead letters of {self.name}\n")
        self.assertEqual(await self.waiting(self.topology.dead_queue), 0)

    async def test_refuses_a_second_command_while_one_holds_the_letters(self) -> None:
        """It does not see an empty queue."""
        await self.buried("a", "b")
        command = await self.ask("--all")
        for arguments in (["list"], ["show", "1"], ["replay", "--all"], ["purge", "--all", "--yes"]):
            self.assertIn("another thrift-rpc dead, or queue migrate, works on", await self.failure(*arguments))
        command.answer("no")
        self.assertEqual(await command.ended, 1)
        self.assertEqual([letter["message_id"] for letter in await self.listed()], ["a", "b"])

    async def test_keeps_letters_that_arrive_during_the_question(self) -> None:
        """They were not in the list."""
        await self.buried("a", "b")
        command = await self.ask("--all")
        self.bury(message_id="c")
        await self.waiting(self.topology.dead_queue)
        command.answer("yes")
        self.assertEqual(await command.ended, 0)
        await self.has_dead(1)
        self.assertEqual(await self.ids(self.topology.dead_queue), ["c"])

    async def test_signals_put_the_letters_back(self) -> None:
        """In their order; also SIGKILL."""
        await self.buried("a", "b", "c")
        for number, status in ((signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGKILL, None)):
            command = await self.ask("2")
            command.process.signalProcess(number)
            self.assertEqual(await command.ended, status)
            if status is not None:
                self.assertEqual(command.error, "Aborted!\n")
            await self.has_dead(3)
        self.assertEqual(await self.ids(self.topology.dead_queue), ["a", "b", "c"])

    async def test_reads_the_answer_from_a_terminal(self) -> None:
        """A pseudo-terminal."""
        await self.buried("a")
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        arguments = [str(COMMAND), "dead", "purge", "--broker", self.url, self.name, "1"]
        process = subprocess.Popen(arguments, cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs)
        self.addCleanup(process.kill)
        os.close(theirs)
        await deferToThread(read_until, ours, b"[y/N]: ")
        os.write(ours, b"y\n")
        await deferToThread(read_until, ours, b"deleted 1 dead letter")
        self.assertEqual(await deferToThread(process.wait), 0)

    async def test_reports_a_queue_that_was_deleted_during_the_question(self) -> None:
        """With exit status 1."""
        await self.buried("a")
        command = await self.ask("1")
        await self.broker_channel.queue_delete(queue=self.topology.dead_queue)
        command.answer("y")
        self.assertEqual(await command.ended, 1)
        self.assertIn("no queue", command.error)

    async def test_reports_a_connection_that_was_lost_during_the_question(self) -> None:
        """No letter was deleted."""
        await self.declare(self.virtual_host())
        await self.buried("a", "b")
        command = await self.ask("1")
        vhost = self.url_used.rpartition("/")[2]
        self.broker.close_connections("the test", vhost)
        command.answer("y")
        self.assertEqual(await command.ended, 1)
        self.assertTrue(command.error.startswith("Error: connection lost: "), command.error)
        self.broker_channel = await self.channel(self.url_used)
        await self.has_dead(2)
        self.assertEqual(await self.ids(self.topology.dead_queue), ["a", "b"])
