"""``thrift-rpc dead replay`` as a process, with a real broker."""

from __future__ import annotations

from typing import Any

import rpc
from generated.calculator import Calculator as CalculatorStub
from rpc.amqp.codec.properties import encode_properties
from rpc.envelope import CODECS
from rpc.messages import Properties
from rpc.topology import DeadLetterKind
from services.calculator import CalculatorHandler
from tests.integration.amqp_case import later
from tests.integration.dead_case import DeadTestCase

Calculator: Any = CalculatorStub

ONEWAY = 4


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
        command.signal("INT")
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
        for declaration in self.topology.dead_letters(DeadLetterKind.INVALID):
            await self.broker_channel.declare(declaration)
        await self.has_dead(1)
        await self.has_dead(1, DeadLetterKind.INVALID)
        (refused,) = [letter for letter in await self.listed() if letter["message_id"] == "a"]
        self.assertIn("not a Thrift message", refused["reason"])
        self.assertIn("replayed 2 dead letters", await self.done("replay", "--all"))
        await self.has_dead(1, DeadLetterKind.INVALID)
        while not done:
            await later(0.02)
        (again,) = await self.listed()
        self.assertEqual({**again, "number": refused["number"]}, refused)
        self.assertEqual((again["kind"], await self.waiting(self.topology.dead_queue)), ("invalid", 0))


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


class BlockedTests(DeadTestCase):
    """A broker with a memory alarm."""

    own_broker = True

    async def test_reports_a_blocked_broker(self) -> None:
        """No letter is sent."""
        await self.buried("a", "b", "c")
        self.broker.set_memory_alarm(True)
        error = await self.failure("replay", "--all")
        self.assertTrue(error.startswith("broker: it takes no messages: "), error)
        self.broker.set_memory_alarm(False)
        await self.has_dead(3)
        self.assertEqual(await self.ids(self.topology.dead_queue), ["a", "b", "c"])
        self.assertEqual(await self.ids(self.topology.queue), [])


class RenewalTests(DeadTestCase):
    """Letters that were delivered often are replaced by copies. A classic queue keeps the count of a header."""

    own_broker = True

    async def test_says_that_letters_were_not_replaced(self) -> None:
        """The broker takes no messages. The command itself has succeeded."""
        self.bury(message_id="a", headers={"x-delivery-count": 12})
        await self.has_dead(1)
        self.broker.set_memory_alarm(True)
        ended = await self.run_dead("list")
        self.assertEqual((ended.status, ended.output.splitlines()[-1]), (0, f"1 dead letter of {self.name}"))
        self.assertIn(f"letters of {self.topology.dead_queue} were delivered often", ended.error)
        self.assertIn("it takes no messages: low on memory", ended.error)
        self.broker.set_memory_alarm(False)
        await self.has_dead(1)
        await self.done("list")
        (letter,) = await self.taken(self.topology.dead_queue)
        self.assertNotIn("x-delivery-count", letter.properties.headers or {})
