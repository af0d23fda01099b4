"""Workers whose queue has other arguments than their service: they are refused. And queues of operators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import DeferredList, FirstError, gatherResults
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from rpc.amqp.pipelining import all_answered
from rpc.errors import DeclarationRefused
from rpc.testing import Harness
from rpc.topology import Declaration
from rpc.worker import refused_worker
from tests.integration.amqp_case import later
from tests.integration.call_case import Handler
from tests.integration.migrate_case import MigrateTestCase
from tests.processes import WorkerProcess

ROOT = Path(__file__).parents[2]

SERVICE = """
import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler

service = rpc.ThriftService(Calculator, CalculatorHandler(), name=NAME, OPTION)
"""


class RefusedQueueTests(MigrateTestCase):
    """The queue was declared by an earlier version of the service."""

    async def harness(self) -> Harness:
        """A harness on the broker, without a worker."""
        harness = Harness(url=self.url)
        self.addCleanup(harness.stop)
        await harness.start()
        return harness

    def folder(self, option: str) -> Path:
        """Return a folder with the module of a service that has an option."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / "adder.py").write_text(SERVICE.replace("NAME", repr(self.name)).replace("OPTION", option))
        return folder

    def start(self, folder: Path) -> WorkerProcess:
        """Start a worker with the service of a folder."""
        environment = {"PYTHONPATH": f"{ROOT}:{folder.absolute()}"}
        worker = WorkerProcess(
            "rpc-worker", "--broker", self.url, "adder:service", folder=folder, environment=environment
        )
        self.addCleanup(worker.kill)
        return worker

    def service(self, handler: Any = None, **options: Any) -> rpc.ThriftService:
        """Return the test's service with options."""
        return rpc.ThriftService(Calculator, handler or Handler(), name=self.name, **options)

    async def test_a_worker_process_ends_and_names_the_way_out(self) -> None:
        """With status 1. The command that it names lets the next worker serve."""
        await self.declared()
        folder = self.folder("backlog=5")
        refused = self.start(folder)
        self.assertEqual(await deferToThread(refused.wait), 1, refused.output())
        (said,) = [line for line in refused.output().splitlines() if "the broker refuses a queue" in line]
        self.assertIn("inequivalent arg 'x-max-length'", said)
        command = said.partition("run: thrift-rpc queue migrate ")[2].split()
        self.assertEqual(command, [self.name, "--backlog", "5"])
        await self.migrated(*command[1:])
        await deferToThread(self.start(folder).wait_until_serving, self.name)

    async def replace(self, **options: Any) -> None:
        """Replace the queue by one with other options."""
        delete = Declaration("queue_delete", {"queue": self.requests})
        await all_answered(
            [self.broker_channel.declare(each) for each in [delete, *self.options(**options).requests()]]
        )

    async def test_those_that_wait_for_the_worker_get_the_error(self) -> None:
        """It says which argument differs. When the queue is as it should be, the worker serves."""
        await self.declared(backlog=4)
        harness = await self.harness()
        worker = harness.serve(self.service())
        for _ in range(2):
            with self.assertRaisesRegex(DeclarationRefused, "inequivalent arg 'x-max-length'"):
                await worker.when_serving()
        await self.replace()
        while not worker.is_serving:
            await later(0.02)
        await worker.when_serving()
        self.assertEqual(await harness.client(Calculator, name=self.name).add(1, 2), 3)

    async def test_a_worker_that_serves_is_refused_when_its_queue_stays_another(self) -> None:
        """Not at once: a migration may be replacing the queue."""
        self.patch(refused_worker, "REFUSED_SECONDS", 1.0)
        harness = await self.harness()
        worker = harness.serve(self.service())
        await worker.when_serving()
        await self.replace(backlog=4)
        while worker.is_serving:
            await later(0.02)
        waiting = worker.when_serving()
        self.assertFalse(waiting.called)
        await self.assertFailure(waiting, DeclarationRefused)

    async def test_a_worker_goes_on_when_its_queue_is_back_in_time(self) -> None:
        """Then it serves as before."""
        self.patch(refused_worker, "REFUSED_SECONDS", 30.0)
        harness = await self.harness()
        worker = harness.serve(self.service())
        await worker.when_serving()
        await self.replace(backlog=4)
        while worker.is_serving:
            await later(0.02)
        await self.replace()
        await worker.when_serving()
        self.assertEqual(await harness.client(Calculator, name=self.name).add(1, 2), 3)

    async def test_a_queue_of_an_operator_is_used_as_it_is(self) -> None:
        """With any arguments; it must exist."""
        harness = await self.harness()
        with self.assertRaisesRegex(DeclarationRefused, "404 NOT_FOUND"):
            await harness.serve(self.service(declare_queue=False)).when_serving()
        arguments = {"x-max-priority": 3, "x-message-ttl": 60000}
        await self.broker_channel.queue_declare(queue=self.requests, durable=True, arguments=arguments)
        await harness.serve(self.service(declare_queue=False)).when_serving()
        self.assertEqual(await harness.client(Calculator, name=self.name).add(1, 2), 3)

    async def test_calls_of_a_higher_priority_come_first(self) -> None:
        """Of those that are ready in the queue; one without a priority has the lowest."""
        harness, handler = await self.harness(), Handler()
        client: Any = harness.client(Calculator, name=self.name)
        service = self.service(handler, max_priority=5, concurrency=1)
        worker = harness.serve(service)
        await worker.when_serving()
        await worker.stopService()
        calls = [
            rpc.with_options(client, priority=priority).calculate(number, None)
            for number, priority in enumerate([None, 1, 9, 0, 5, 3])
        ]
        while await self.ready(self.requests) != len(calls):
            await later(0.02)
        harness.serve(service)
        for _ in calls:
            await handler.holding(1)
            handler.release()
        await gatherResults(calls)
        self.assertEqual(handler.ran, [2, 4, 5, 1, 0, 3])

    async def test_bytes_are_bounded_by_a_further_argument(self) -> None:
        """The queue rejects messages over the bound, and drops nothing."""
        harness = await self.harness()
        service = self.service(queue_arguments={"x-max-length-bytes": 1000})
        worker = harness.serve(service)
        await worker.when_serving()
        await worker.stopService()
        client = harness.client(Calculator, name=self.name, timeout=60.0)
        calls = [client.add(number, 1) for number in range(100)]
        # The queue is full when the first call has failed. The worker would make room in it before.
        await self.assertFailure(DeferredList(calls, fireOnOneErrback=True), FirstError)
        await harness.serve(service).when_serving()
        answers: Any = await DeferredList(calls, consumeErrors=True)
        taken = {number: answer for number, (success, answer) in enumerate(answers) if success}
        self.assertEqual(taken, {number: number + 1 for number in taken})
        self.assertTrue(0 < len(taken) < len(calls), taken)
        refused = [answer.value for success, answer in answers if not success]
        self.assertEqual({type(error) for error in refused}, {rpc.Overloaded})

    @pytest.mark.rabbitmq_only("the embedded broker has no policies")
    async def test_a_policy_of_an_operator_does_not_disturb(self) -> None:
        """A policy is no argument: the service is declared beside it, and it applies."""
        policy: Any = json.dumps({"max-length": 1, "overflow": "reject-publish"})
        node: Any = self.broker
        pattern = f"^{self.requests}$"
        await deferToThread(node.ctl, "set_policy", "--apply-to", "queues", self.name, pattern, policy)
        self.addCleanup(node.ctl, "clear_policy", self.name)
        harness = await self.harness()
        worker = harness.serve(self.service())
        await worker.when_serving()
        await worker.stopService()
        client = harness.client(Calculator, name=self.name)
        waiting = client.add(1, 2)
        while await self.ready(self.requests) != 1:
            await later(0.02)
        await self.assertFailure(client.add(3, 4), rpc.Overloaded)
        await harness.serve(self.service()).when_serving()
        self.assertEqual(await waiting, 3)
