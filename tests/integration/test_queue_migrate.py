"""``thrift-rpc queue migrate`` as a process, with a broker."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from rpc.messages import Properties
from rpc.testing import Harness
from rpc.topology import EXCHANGES, DeadLetterKind, Declaration
from services.calculator import CalculatorHandler
from tests.integration.amqp_case import later
from tests.integration.migrate_case import MigrateTestCase, Stream
from tools.nodes.rabbitmq import RabbitMQNode


class MigrateTests(MigrateTestCase):
    """Queues get other arguments, and keep their messages."""

    async def test_moves_the_requests_in_their_order(self) -> None:
        """Nothing else of them changes, but that they are persistent."""
        await self.declared()
        names = [f"r.{number}" for number in range(200)]
        given: dict[str, Any] = {
            "headers": {"user": "Ada", "rpc-deliveries": 2},
            "priority": 3,
            "reply_to": "there",
            "type": "a.b",
        }
        await self.sent(*names, exchange="", key=self.requests, correlation_id="7", **given)
        output = await self.migrated("--backlog", "500", "--max-priority", "5")
        self.assertEqual(output, f"moved 200 messages to the new {self.requests}\n")
        await self.assert_replaced(backlog=500, max_priority=5)
        messages = await self.taken(self.requests)
        self.assertEqual([message.properties.message_id for message in messages], names)
        self.assertEqual(
            messages[0].properties,
            Properties(message_id="r.0", correlation_id="7", delivery_mode=2, **given),
        )

    async def test_changes_back_and_does_nothing_twice(self) -> None:
        """Every argument of a service has its option."""
        await self.declared()
        await self.sent("a", "b")
        arguments = ["--queue-type=quorum", "--backlog=7", "--queue-argument", "x-max-length-bytes=5000"]
        self.assertIn("moved 2 messages", await self.migrated(*arguments))
        await self.assert_replaced(queue_type="quorum", backlog=7, queue_arguments={"x-max-length-bytes": 5000})
        self.assertEqual(
            await self.migrated(*arguments),
            f"the broker sees no difference between {self.requests} and these options: nothing was moved. It does not "
            "compare x-consumer-timeout: to change that, use --always\n",
        )
        self.assertIn("moved 2 messages", await self.migrated("--queue-argument", "x-queue-mode=lazy"))
        await self.assert_replaced(queue_arguments={"x-queue-mode": "lazy"})
        self.assertIn("moved 2 messages", await self.migrated("--queue-argument", "x-queue-mode=lazy", "--always"))

    async def test_moves_the_quarantine_and_the_dead_letters_too(self) -> None:
        """They have the type of the request queue. Their messages are as they were."""
        await self.declared()
        kinds = {kind: self.topology.queue_of_kind(kind) for kind in DeadLetterKind}
        for kind in kinds:
            for declaration in self.topology.dead_letters(kind):
                await self.broker_channel.declare(declaration)
        for declaration in self.topology.quarantine():
            await self.broker_channel.declare(declaration)
        for queue in kinds.values():
            await self.send("dead", exchange="", key=queue, headers={"rpc-dead-reason": "it is short"})
        output = await self.migrated("--queue-type", "quorum")
        self.assertEqual(
            output.splitlines(),
            [
                f"moved 0 messages to the new {self.topology.quarantine_queue}",
                *(f"moved 1 message to the new {queue}" for queue in kinds.values()),
                f"moved 0 messages to the new {self.requests}",
            ],
        )
        quorum = self.options(queue_type="quorum")
        for declaration in [*(each for kind in kinds for each in quorum.dead_letters(kind)), *quorum.quarantine()]:
            self.assertFalse(await self.is_refused(declaration))
        for kind, queue in kinds.items():
            (letter,) = await self.taken(queue)
            self.assertEqual(letter.properties.headers, {"rpc-dead-reason": "it is short"})
            await self.send("new", exchange="rpc.dead", key=self.topology.key_of_kind(kind))
            self.assertEqual(await self.ready(queue), 1)

    async def test_counts_a_request_that_a_worker_may_have_begun(self) -> None:
        """The broker does not know the copy as redelivered."""
        await self.declared()
        await self.sent("begun", "new")
        worker = await self.channel()
        await worker.basic_qos(prefetch_count=1)
        await worker.consume(self.requests, lambda delivery: None, lambda: None)
        while await self.ready(self.requests) != 1:
            await later(0.02)
        await worker.client.close()
        while await self.ready(self.requests) != 2:
            await later(0.02)
        await self.migrated("--backlog", "5")
        begun, new = await self.taken(self.requests)
        self.assertEqual(begun.properties.headers, {"rpc-deliveries": 1})
        self.assertEqual(new.properties.headers, None)

    async def test_no_request_is_returned_or_lost_meanwhile(self) -> None:
        """Requests that are published all the time reach one queue, and only one."""
        await self.declared()
        stream = Stream(self).start()
        await later(0.1)
        for arguments in (["--max-priority", "3"], ["--queue-type", "quorum"], []):
            await self.migrated(*arguments)
        await stream.stop()
        self.assertEqual(stream.failed, [])
        found = [message.properties.message_id for message in await self.taken(self.requests)]
        self.assertCountEqual(found, stream.confirmed)
        await self.assert_replaced()

    async def test_goes_on_when_the_new_queue_has_room_again(self) -> None:
        """A full queue rejects. The requests wait beside it until the command is given again."""
        await self.declared()
        names = [f"r.{number}" for number in range(20)]
        await self.sent(*names)
        error = await self.not_migrated("--backlog", "5", "--patience", "3")
        self.assertIn("Is it full? Then start workers", error)
        self.assertIn(f"some may wait in {self.requests}.migrating. Run the same command again", error)
        first = [message.properties.message_id for message in await self.taken(self.requests)]
        self.assertEqual(len(first), 5)
        await self.not_migrated("--backlog", "5", "--patience", "3")
        second = [message.properties.message_id for message in await self.taken(self.requests)]
        await self.migrated("--backlog", "50")
        third = [message.properties.message_id for message in await self.taken(self.requests)]
        self.assertCountEqual(first + second + third, names)
        await self.assert_replaced(backlog=50)

    async def test_refuses_arguments_that_the_broker_does_not_take(self) -> None:
        """Before anything is changed."""
        await self.declared(backlog=3)
        await self.sent("a")
        wrong = ["--queue-argument", "x-max-length-bytes=many"]
        self.assertIn("invalid arg 'x-max-length-bytes'", await self.not_migrated(*wrong))
        await self.assert_replaced(backlog=3)
        self.assertEqual(await self.ready(self.requests), 1)

    async def test_refuses_a_wrong_command_line(self) -> None:
        """With status 2, before it connects."""
        for arguments, reason in (
            (["--queue-argument", "x-max-length=3"], "give backlog= instead"),
            (["--queue-argument", "novalue"], "write it as NAME=VALUE"),
            (["--queue-argument", "x=" + "[" * 100_000], "the value of x is nested too deeply"),
            (["--queue-argument", "x=" + "[" * 500 + "]" * 500], "must be values of an AMQP table"),
            (["--queue-argument", 'x="\\ud800"'], "must be values of an AMQP table"),
            (["--queue-argument", "x-overflow=drop-head"], "the broker would lose requests"),
            (["--queue", "x" * 216], "a name of at most 215 bytes"),
            (["--queue-type", "quorum", "--max-priority", "3"], "classic queues only"),
            (["--max-priority", "256"], "255"),
            (["--consumer-timeout", "0.1"], "consumer_timeout=0.1"),
        ):
            self.assertIn(reason, await self.not_migrated(*arguments, status=2))

    async def test_names_the_queue_that_does_not_exist(self) -> None:
        """No worker has served the service. Nothing is declared: the virtual host may be a wrong one."""
        for declaration in EXCHANGES:
            await self.broker_channel.exchange_delete(exchange=declaration.arguments["exchange"])
        self.assertIn(f"there is no queue {self.requests}", await self.not_migrated())
        for declaration in EXCHANGES:
            there = Declaration("exchange_declare", {**declaration.arguments, "passive": True})
            self.assertTrue(await self.is_refused(there))

    async def test_shows_what_changes_and_asks(self) -> None:
        """Arguments that are not given become the defaults, also the type. Without a yes, nothing is changed."""
        given: dict[str, Any] = {
            "queue_type": "quorum",
            "backlog": 3,
            "queue_arguments": {"x-single-active-consumer": True},
        }
        await self.declared(**given)
        await self.sent("a")
        ended = await self.migrate("--backlog", "5", answer="no\n")
        self.assertEqual(ended.status, 1)
        self.assertEqual(ended.error, "Aborted!\n")
        (changes,) = [line for line in ended.output.splitlines() if line.startswith(f"{self.requests}: ")]
        self.assertCountEqual(
            changes.removeprefix(f"{self.requests}: ").split(", "),
            ["x-max-length: 3 -> 5", "x-queue-type: quorum -> classic", "x-single-active-consumer: True -> none"],
        )
        self.assertIn("Replace each of these queues", ended.output)
        await self.assert_replaced(**given)
        self.assertEqual(await self.ready(self.requests), 1)
        same = ["--queue-type=quorum", "--backlog=3", "--queue-argument=x-single-active-consumer=true"]
        self.assertIn("sees no difference", (await self.migrate(*same, answer="")).output)
        changed = await self.migrate("--queue-type=quorum", "--backlog=5", answer="yes\n")
        self.assertIn(f"moved 1 message to the new {self.requests}", changed.output)
        await self.assert_replaced(queue_type="quorum", backlog=5)

    async def test_refuses_while_another_program_consumes(self) -> None:
        """It leaves the queue as it was."""
        await self.declared()
        await self.sent("a")
        held = await self.channel()
        await held.basic_qos(prefetch_count=1)
        await held.consume(self.requests, lambda delivery: None, lambda: None)
        self.assertIn("another program consumes from", await self.not_migrated("--backlog", "5"))
        await held.client.close()
        await self.migrated("--backlog", "5")
        self.assertEqual([message.body for message in await self.taken(self.requests)], [b"a"])

    async def test_refuses_while_another_command_works_on_the_queue(self) -> None:
        """Its lock is an exclusive queue."""
        await self.declared()
        await self.broker_channel.queue_declare(
            queue=f"{self.requests}.migrating.lock", exclusive=True, auto_delete=True
        )
        self.assertIn("another thrift-rpc queue migrate works on", await self.not_migrated("--backlog", "5"))

    async def test_refuses_while_a_command_holds_dead_letters(self) -> None:
        """They are unacked and have no consumer, and would go with their queue."""
        await self.declared()
        await self.broker_channel.queue_declare(
            queue=f"{self.topology.dead_queue}.lock", exclusive=True, auto_delete=True
        )
        self.assertIn("another thrift-rpc dead, or queue migrate, works on", await self.not_migrated("--backlog", "5"))


class AlarmTests(MigrateTestCase):
    """The broker reads nothing from a connection that publishes during an alarm."""

    own_broker = True

    async def alarm(self, on: bool) -> None:
        """Begin or end the alarm."""
        await deferToThread(self.broker.set_memory_alarm, on)

    async def test_ends_during_an_alarm(self) -> None:
        """The first message that it publishes goes to no queue."""
        await self.declared()
        await self.sent("a")
        await self.alarm(True)
        self.assertIn("broker: it takes no messages: low on", await self.not_migrated("--backlog", "5"))
        await self.alarm(False)
        await self.migrated("--backlog", "5")
        self.assertEqual([message.body for message in await self.taken(self.requests)], [b"a"])

    async def test_ends_when_an_alarm_begins(self) -> None:
        """While it moves requests, which it does until the new queue has space. The command goes on after the alarm."""
        await self.declared()
        names = [f"r.{number}" for number in range(200)]
        await self.sent(*names)
        failing = Deferred.fromCoroutine(self.not_migrated("--backlog", "5", "--patience", "100"))
        while not await self.ready(f"{self.requests}.migrating") or await self.ready(self.requests) != 5:
            await later(0.01)
        await self.alarm(True)
        error = await failing
        self.assertIn("broker: it takes no messages: low on", error)
        self.assertIn(f"some may wait in {self.requests}.migrating. Run the same command again", error)
        await self.alarm(False)
        await self.migrated("--backlog", "500")
        found = {message.properties.message_id for message in await self.taken(self.requests)}
        self.assertEqual(found, {*names})
        await self.assert_replaced(backlog=500)


@pytest.mark.rabbitmq_only("the embedded broker has no policies")
class PolicyTests(MigrateTestCase):
    """A policy with a bound and no overflow: RabbitMQ confirms a message, and drops the oldest for it."""

    broker: ClassVar[RabbitMQNode]

    async def bound(self, queue: str, most: int) -> None:
        """Bound a queue by a policy."""
        name, pattern = self.unique("bound"), f"^{re.escape(queue)}$"
        command = ["set_policy", "--apply-to", "queues", name, pattern, json.dumps({"max-length": most})]
        await deferToThread(self.broker.ctl, *command)
        self.addCleanup(deferToThread, self.broker.ctl, "clear_policy", name)

    async def test_says_that_the_new_queue_has_dropped_requests(self) -> None:
        """The old queue has a backlog, so it rejected the messages over the bound."""
        await self.declared(backlog=100)
        await self.sent("a", "b", "c", "d", "e")
        await self.bound(self.requests, 3)
        ended = await self.migrate()
        self.assertEqual((ended.status, ended.output), (0, f"moved 5 messages to the new {self.requests}\n"))
        self.assertIn(f"at least 2 messages that had been moved to {self.requests} left it", ended.error)
        self.assertEqual([message.body for message in await self.taken(self.requests)], [b"c", b"d", b"e"])

    async def test_says_that_the_queue_beside_it_has_dropped_requests(self) -> None:
        await self.declared(backlog=100)
        await self.sent("a", "b", "c", "d", "e")
        await self.bound(f"{self.requests}.migrating", 4)
        ended = await self.migrate()
        self.assertEqual((ended.status, ended.output), (0, f"moved 4 messages to the new {self.requests}\n"))
        self.assertIn(f"at least 1 message that had been moved to {self.requests}.migrating left it", ended.error)


class WorkersAndClientsTests(MigrateTestCase):
    """Calls go on while the queue is replaced."""

    async def test_calls_that_wait_are_answered_by_the_new_workers(self) -> None:
        """The command refuses to work beside a worker. Then it is stopped, and no call fails."""
        harness = Harness(url=self.url)
        self.addCleanup(harness.stop)
        await harness.start()
        old = harness.serve(self.service())
        await old.when_serving()
        client = harness.client(Calculator, name=self.name, timeout=100.0)
        refused = await self.not_migrated("--backlog", "500")
        self.assertIn(f"a worker of {self.name} is connected: stop all of them", refused)
        self.assertEqual(await client.add(1, 2), 3)
        await old.stopService()
        calls = [client.add(number, 1) for number in range(50)]
        while await self.ready(self.requests) != 50:
            await later(0.02)
        self.assertIn("moved 50 messages", await self.migrated("--backlog", "500", "--queue-type", "quorum"))
        calls += [client.add(number, 1) for number in range(50, 100)]
        await harness.serve(self.service(backlog=500, queue_type="quorum")).when_serving()
        self.assertEqual([await call for call in calls], [number + 1 for number in range(100)])

    def service(self, **options: Any) -> rpc.ThriftService:
        """Return the test's service with options."""
        return rpc.ThriftService(Calculator, CalculatorHandler(), name=self.name, **options)
