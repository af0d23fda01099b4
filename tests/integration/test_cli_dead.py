"""``thrift-rpc dead`` as a process, with a real broker and the dead letters of a service of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

import rpc
from generated.calculator import Calculator as CalculatorStub
from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery
from rpc.envelope import CODECS
from rpc.messages import Properties
from rpc.topology import ServiceTopology
from services.calculator import CalculatorHandler
from tests.integration.amqp_case import AMQPTestCase, later
from tools.nodes.rabbitmq import free_ports

reactor: Any = global_reactor
Calculator: Any = CalculatorStub

PROJECT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("thrift-rpc")
STUB = "generated.calculator.Calculator"
CALL, ONEWAY = 1, 4


class Command(ProcessProtocol):
    """``thrift-rpc dead`` in the project's folder.

    :ivar output: its standard output so far. :ivar error: its standard error so far. :ivar ended: fires with its exit
    status.
    """

    def __init__(self, *arguments: str) -> None:
        self.output = self.error = ""
        self.ended: Deferred[int] = Deferred()
        self._awaited: tuple[str, Deferred[None]] | None = None
        self.process = reactor.spawnProcess(
            self, str(COMMAND), [str(COMMAND), "dead", *arguments], env=os.environ, path=str(PROJECT)
        )

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode()
        if self._awaited is not None and self._awaited[0] in self.output:
            (_, seen), self._awaited = self._awaited, None
            seen.callback(None)

    def errReceived(self, data: bytes) -> None:
        self.error += data.decode()

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self.ended.callback(ended.exitCode)

    def says(self, text: str) -> Deferred[None]:
        """Return a Deferred that fires when standard output has the text, which it has not yet."""
        assert text not in self.output
        seen: Deferred[None] = Deferred()
        self._awaited = text, seen
        return seen

    def answer(self, line: str) -> None:
        """Type a line."""
        self.process.write(f"{line}\n".encode())


def read_until(terminal: int, text: bytes) -> None:
    """Read the output of a terminal until it has the text; blocks."""
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 1024)


@attrs.frozen
class Ended:
    """A command that has ended."""

    status: int
    output: str
    error: str


class DeadTestCase(AMQPTestCase):
    """A service of the test's own, declared as a worker does, with the dead letters of the test."""

    timeout = 60.0
    backlog: int | None = None

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.name = self.unique("Calculator")
        await self.declare(self.url)

    async def declare(self, url: str) -> None:
        """Declare the service's queues on the broker of the URL."""
        self.url_used = url
        self.topology = ServiceTopology(self.name, backlog=self.backlog)
        self.broker_channel = await self.channel(url)
        for declaration in self.topology.shared():
            await self.broker_channel.declare(declaration)

    def bury(self, body: bytes = b"abc", **properties: Any) -> None:
        """Publish a letter to the queue, as a worker does."""
        given = {"type": f"{self.name}.add", "headers": {"rpc-dead-reason": "it is short"}, "delivery_mode": 2}
        encoded = encode_properties(Properties(**{**given, **properties}))
        self.broker_channel.publish("rpc.dead", self.name, encoded, body)

    async def waiting(self, queue: str) -> int:
        """Return the number of ready messages of a queue, after all that was published."""
        declared = await self.broker_channel.queue_declare(queue=queue, passive=True)
        count: int = declared.message_count
        return count

    async def buried(self, *message_ids: str) -> None:
        """Publish letters with these message ids to the queue."""
        for message_id in message_ids:
            self.bury(message_id=message_id)
        await self.has_dead(len(message_ids))

    async def has_dead(self, count: int) -> None:
        """Wait until the queue of dead letters has this number."""
        while await self.waiting(self.topology.dead_queue) != count:
            await later(0.02)

    async def taken(self, queue: str) -> list[Delivery]:
        """Consume all messages of a queue."""
        count = await self.waiting(queue)
        messages: list[Delivery] = []
        complete: Deferred[None] = Deferred()

        def take(message: Delivery) -> None:
            messages.append(message)
            if len(messages) == count:
                complete.callback(None)

        if count:
            channel: Channel = await self.broker_channel.client.open_channel()
            await channel.consume(queue, take, lambda: None, no_ack=True)
            await complete
            await channel.close()
        return messages

    async def ids(self, queue: str) -> list[str | None]:
        """Consume all messages of a queue and return their message ids."""
        return [message.properties.message_id for message in await self.taken(queue)]

    def start(self, verb: str, *arguments: str) -> Command:
        """Start a command for the test's service."""
        command = Command(verb, "--broker", self.url_used, self.name, *arguments)
        self.addCleanup(lambda: command.ended.called or command.process.signalProcess("KILL"))
        return command

    async def run_dead(self, verb: str, *arguments: str, answer: str | None = None) -> Ended:
        """Run a command for the test's service to its end."""
        command = self.start(verb, *arguments)
        if answer is not None:
            command.answer(answer)
        command.process.closeStdin()
        status = await command.ended
        return Ended(status, command.output, command.error)

    async def done(self, verb: str, *arguments: str, answer: str | None = None) -> str:
        """Return the output of a command that succeeds; standard error stays empty."""
        ended = await self.run_dead(verb, *arguments, answer=answer)
        self.assertEqual((ended.status, ended.error), (0, ""), ended.output)
        return ended.output

    async def failure(self, verb: str, *arguments: str) -> str:
        """Return the message of a command that fails, without a traceback."""
        ended = await self.run_dead(verb, *arguments)
        self.assertEqual(ended.status, 1, ended.output)
        self.assertTrue(ended.error.startswith("Error: "), ended.error)
        self.assertNotIn("Traceback", ended.error)
        return ended.error.removeprefix("Error: ").strip()

    async def listed(self) -> list[Any]:
        """Return the letters of ``list --json``."""
        return [json.loads(line) for line in (await self.done("list", "--json")).splitlines()]


class LookTests(DeadTestCase):
    """``list`` and ``show`` change nothing."""

    async def test_lists_a_letter_per_line(self) -> None:
        """The oldest first; a second list is the same."""
        self.bury(message_id="a.1")
        self.bury(b"", type=None, headers=None)
        await self.has_dead(2)
        for _ in range(2):
            lines = (await self.done("list")).splitlines()
            self.assertEqual(lines[0].split(), f"1 {self.name}.add 3 bytes a.1 it is short".split())
            self.assertEqual(lines[1].split(), ["2", "?", "0", "bytes", "?", "no", "reason", "given"])
            self.assertEqual(lines[2:], [f"2 dead letters of {self.name}"])
            first, second = await self.listed()
            method = f"{self.name}.add"
            expected = {"number": 1, "method": method, "size": 3, "message_id": "a.1", "reason": "it is short"}
            self.assertEqual(first, expected)
            self.assertEqual(second, {"number": 2, "method": None, "size": 0, "message_id": None, "reason": None})

    async def test_an_empty_queue_is_no_error(self) -> None:
        """Unless a letter is named."""
        self.assertEqual(await self.done("list"), f"0 dead letters of {self.name}\n")
        self.assertEqual(await self.done("list", "--json"), "")
        self.assertEqual(await self.done("purge", "--all"), f"deleted 0 dead letters of {self.name}\n")
        self.assertEqual(await self.done("replay", "--all"), f"replayed 0 dead letters to {self.topology.queue}\n")
        self.assertIn("no such dead letter: 1; there are 0", await self.failure("show", "1"))

    async def test_names_the_queue_that_does_not_exist(self) -> None:
        """No worker has served the service."""
        self.name = self.unique("Nobody")
        for arguments in (["list"], ["show", "1"], ["replay", "--all"], ["purge", "--all"]):
            self.assertIn(f"there is no queue rpc.{self.name}", await self.failure(*arguments))
        self.assertIn("there is no queue elsewhere.dead", await self.failure("list", "--queue", "elsewhere"))

    async def test_takes_the_name_of_the_queue_as_an_option(self) -> None:
        """As services do."""
        await self.buried("a")
        self.name = "another"
        self.assertIn("1 dead letter of another", await self.done("list", "--queue", self.topology.queue))

    async def test_tries_the_hosts_of_the_url_one_after_another(self) -> None:
        """The error is that of a call."""
        (port,) = free_ports(1)
        self.url_used = f"amqp://127.0.0.1:{port}"
        error = await self.failure("list")
        self.assertTrue(error.startswith("broker unreachable: "), error)
        self.url_used = self.url.replace("@", f"@127.0.0.1:{port},")
        self.assertIn("0 dead letters", await self.done("list"))

    async def test_shows_all_of_a_letter(self) -> None:
        """Named by number or by message id."""
        self.bury(message_id="a.1")
        self.bury(b"\x00\x01A", message_id="a.2", headers={"rpc-dead-reason": "odd\x1b", "user": "Ada"}, priority=3)
        await self.has_dead(2)
        shown = await self.done("show", "a.2", "1")
        first, second = shown.split("letter 2\n")
        self.assertIn("message_id: a.1", first)
        self.assertEqual(
            second.splitlines(),
            [
                "  reason: odd\\u001b",
                "  header user: 'Ada'",
                "  delivery_mode: 2",
                "  priority: 3",
                "  message_id: a.2",
                f"  type: {self.name}.add",
                "  body: 3 bytes",
                f"  00000000  {'00 01 41':<47}  ..A",
            ],
        )
        self.assertIn("no such dead letter: 3, a.3; there are 2", await self.failure("show", "1", "3", "a.3"))

    async def test_shows_arguments_with_the_stub(self) -> None:
        """For a body that is no request, the reason and the bytes."""
        codec = CODECS["compact"]
        self.bury(codec.encode("add", CALL, 1, Calculator.add_args(num1=1, num2=2)), content_type=codec.content_type)
        self.bury(b"abc")
        await self.has_dead(2)
        first, second = (await self.done("show", "1", "2", "--stub", STUB)).split("letter 2\n")
        self.assertIn('  arguments: add {"num1": 1, "num2": 2}\n', first)
        self.assertIn("  no arguments: not a Thrift message", second)
        self.assertIn("61 62 63", second)

    async def test_lists_fewer_letters_than_rabbitmq_counts(self) -> None:
        """RabbitMQ counts expired letters behind one that has not expired, and does not deliver them."""
        self.bury(message_id="a")
        self.bury(message_id="b", expiration="1")
        self.bury(message_id="c")
        await self.has_dead(3)
        self.assertEqual([letter["message_id"] for letter in await self.listed()], ["a", "c"])


class ReplayTests(DeadTestCase):
    """Letters are republished to the service's queue."""

    async def test_replays_the_letters_that_are_named(self) -> None:
        """Unchanged; the others keep their places."""
        reason = {"rpc-dead-reason": "x", "rpc-deliveries": 6, "user": "Ada"}
        self.bury(b"one", message_id="a", headers=reason, reply_to="gone", correlation_id="7", expiration="600000")
        for message_id in "bcd":
            self.bury(message_id=message_id)
        await self.has_dead(4)
        queue = self.topology.queue
        self.assertEqual(await self.done("replay", "c", "1"), f"replayed 2 dead letters to {queue}\n")
        first, second = await self.taken(queue)
        self.assertEqual((first.exchange, first.routing_key, first.body), ("", queue, b"one"))
        expected = Properties(
            headers={"user": "Ada"}, delivery_mode=2, correlation_id="7", message_id="a", type=f"{self.name}.add"
        )
        self.assertEqual(first.properties, expected)
        self.assertEqual(second.properties.message_id, "c")
        self.assertEqual(await self.ids(self.topology.dead_queue), ["b", "d"])

    async def test_replays_as_many_letters_as_the_queue_may_have(self) -> None:
        """In their order."""
        for number in range(10_000):
            self.bury(message_id=f"a.{number}")
        await self.has_dead(10_000)
        self.assertIn("10000 dead letters", await self.done("list"))
        self.assertIn("replayed 10000 dead letters", await self.done("replay", "--all"))
        self.assertEqual(await self.ids(self.topology.queue), [f"a.{number}" for number in range(10_000)])
        self.assertEqual(await self.waiting(self.topology.dead_queue), 0)

    async def test_replays_nothing_without_the_queue_of_the_service(self) -> None:
        """No letter is lost."""
        await self.buried("a")
        await self.broker_channel.queue_delete(queue=self.topology.queue)
        self.assertIn(f"there is no queue {self.topology.queue} to replay to", await self.failure("replay", "--all"))
        self.assertEqual(await self.ids(self.topology.dead_queue), ["a"])

    async def test_control_c_leaves_every_letter_in_exactly_one_queue(self) -> None:
        """And the progress is reported."""
        total = 5000
        for number in range(total):
            self.bury(b"x" * 2000, message_id=str(number))
        await self.has_dead(total)
        command = self.start("replay", "--all")
        while not await self.waiting(self.topology.queue):
            await later()
        command.process.signalProcess("INT")
        status = await command.ended
        replayed = await self.ids(self.topology.queue)
        await self.has_dead(total - len(replayed))
        left = await self.ids(self.topology.dead_queue)
        self.assertEqual([*replayed, *left], [str(number) for number in range(total)])
        if left:  # otherwise the replay had ended before the signal
            self.assertEqual(status, 1, command.output)
            told = (
                rf"{len(replayed)} dead letters? replayed\n{len(left)} dead letters? not sent: still dead\nAborted!\n"
            )
            self.assertRegex(command.error, f"^{told}$")

    async def test_a_worker_rejects_a_replayed_letter_again_or_runs_it(self) -> None:
        """It runs the letters that it can run."""
        done: list[int] = []

        class Counting(CalculatorHandler):
            def zip(self) -> None:
                done.append(1)

        worker = rpc.Worker(self.url, [rpc.ThriftService(CalculatorStub, Counting(), name=self.name)])
        self.addCleanup(worker.stopService)
        worker.startService()
        await worker.when_serving()
        self.broker_channel.publish("rpc", self.name, encode_properties(Properties(message_id="a")), b"abc")
        self.bury(CODECS["binary"].encode("zip", ONEWAY, 1, Calculator.zip_args()), message_id="b")
        await self.has_dead(2)
        (refused,) = [letter for letter in await self.listed() if letter["message_id"] == "a"]
        self.assertIn("not a Thrift message", refused["reason"])
        self.assertIn("replayed 2 dead letters", await self.done("replay", "--all"))
        await self.has_dead(1)
        while not done:
            await later(0.02)
        (again,) = await self.listed()
        self.assertEqual({**again, "number": refused["number"]}, refused)


class FullTests(DeadTestCase):
    """A service whose queue has a limit of two."""

    backlog = 2

    async def test_keeps_the_letters_that_a_full_queue_refuses(self) -> None:
        """In their order, with the reason."""
        await self.buried("a", "b", "c", "d")
        error = await self.failure("replay", "--all")
        self.assertEqual(
            error.splitlines(),
            [
                "2 dead letters not replayed:",
                *(
                    f"  {self.name}.add, message id {name}: the queue {self.topology.queue} refuses it (is it full?)"
                    for name in "cd"
                ),
            ],
        )
        self.assertEqual(await self.ids(self.topology.queue), ["a", "b"])
        self.assertEqual(await self.ids(self.topology.dead_queue), ["c", "d"])


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
        self.assertEqual(
            [line.split()[:2] for line in shown[:2]], [["2", f"{self.name}.add"], ["3", f"{self.name}.add"]]
        )
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
            self.assertIn("is being read by another program", await self.failure(*arguments))
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
        self.assertIn("was deleted", command.error)

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
        self.assertEqual(await self.ids(self.topology.dead_queue), ["a", "b"])


class BlockedTests(DeadTestCase):
    """A broker with a memory alarm."""

    own_broker = True

    async def test_reports_a_blocked_broker(self) -> None:
        """Letters that were replayed before are no longer dead letters."""
        await self.buried("a", "b", "c")
        self.broker.set_memory_alarm(True)
        error = await self.failure("replay", "--all")
        self.assertTrue(error.startswith("broker: it takes no messages just now: "), error)
        self.broker.set_memory_alarm(False)
        replayed = await self.ids(self.topology.queue)
        await self.has_dead(3 - len(replayed))
        self.assertEqual([*replayed, *await self.ids(self.topology.dead_queue)], ["a", "b", "c"])
        self.assertIn("2 dead letters not sent: still dead", error)
