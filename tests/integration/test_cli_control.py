"""``thrift-rpc list``, ``ping``, ``describe`` and ``stats`` as processes, against workers that are processes, too."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from rpc.amqp.codec.properties import encode_properties
from rpc.cli.running import open_connection
from rpc.control.handler import ControlHandler
from rpc.messages import Properties
from rpc.topology import DeadLetterKind, ServiceTopology
from rpc.uri import parse
from services.calculator import CalculatorHandler
from tests.integration.serve_case import ROOT, ServeTestCase
from tests.processes import WorkerProcess
from tools.nodes.rabbitmq import RabbitMQNode
from tools.processes import Process

COMMAND = str(Path(sys.executable).with_name("thrift-rpc"))


class ControlVerbTestCase(ServeTestCase):
    """Workers of a service of the test's own, in a virtual host of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.home = self.virtual_host()

    @inlineCallbacks
    def run_verb(self, *words: str) -> Any:
        """Return the exit status, standard output and standard error."""
        output, error, status = yield getProcessOutputAndValue(
            COMMAND, [*words, "--broker", self.home], os.environ, str(ROOT)
        )
        return status, output.decode(), error.decode()

    @inlineCallbacks
    def json_of(self, *words: str) -> Any:
        """Return the exit status, and the JSON object of a verb."""
        status, output, error = yield self.run_verb(*words, "--json")
        self.assertTrue(output, error)
        return status, json.loads(output)

    def serving(self, *words: str) -> Deferred[Any]:
        """Start a program that serves. Fires with it when it does."""
        program = self.serve(*words, "slow:service", url=self.home)
        return deferToThread(program.wait_for, f"serving {self.name} from").addCallback(lambda _: program)

    @inlineCallbacks
    def call(self, *arguments: str) -> Any:
        """Call a method by the command."""
        status, output, _ = yield self.run_verb(
            "call", "generated.calculator.Calculator", *arguments, "--name", self.name, "--timeout", "30"
        )
        return status, output


class ControlVerbsTests(ControlVerbTestCase):
    """Workers that run, hang and end."""

    @inlineCallbacks
    def test_ping_says_whether_all_workers_answer(self) -> Any:
        """A worker that hangs makes the status 1, and one that continues makes it 0 again."""
        program = yield self.serving()
        yield self.serving()
        status, found = yield self.json_of("ping", self.name, "--wait", "30")
        self.assertEqual((status, found["expected"], found["silent"]), (0, 2, 0))
        self.assertEqual([each["status"] for each in found["workers"]], ["ALIVE"] * 2)
        instance = next(each["instance"] for each in found["workers"] if f".{program.pid}." in each["instance"])
        status, output, error = yield self.run_verb("ping", f"{self.name}@{instance}", "--wait", "30")
        self.assertEqual((status, error), (0, ""))
        self.assertRegex(output, rf"INSTANCE +STATUS +TIME\n{instance}  ALIVE +[\d.]+ ms\n")
        program.send(signal.SIGSTOP)
        found = {"workers": []}
        while not found["workers"]:  # one may take longer than the wait, which passes: the other one does not answer
            status, found = yield self.json_of("ping", self.name)
        self.assertEqual((status, len(found["workers"]), found["silent"]), (1, 1, 1))
        program.send(signal.SIGCONT)
        status, found = yield self.json_of("ping", self.name, "--wait", "30")
        self.assertEqual((status, found["silent"]), (0, 0))

    @inlineCallbacks
    def test_list_fails_where_no_worker_ever_served(self) -> Any:
        """In words: two questions are sent at once, and the error of one is told."""
        status, output, error = yield self.run_verb("list")
        self.assertEqual((status, output), (1, ""))
        self.assertTrue(error.startswith("Error: service unavailable: rpc.control."), error)
        self.assertIn("no worker has ever served there", error)

    @inlineCallbacks
    def test_ping_fails_without_a_worker(self) -> Any:
        """Whether workers ever served on the virtual host, or not."""
        status, _, error = yield self.run_verb("ping", "Nobody")
        self.assertEqual(status, 1)
        self.assertIn("service unavailable: ", error)
        yield self.serving()
        for service, words in (
            ("Nobody", "no worker of Nobody answered"),
            (f"{self.name}@nobody.1.ab", "the question reached no worker: this worker has ended"),
        ):
            status, output, error = yield self.run_verb("ping", service, "--wait", "0.3")
            self.assertEqual((status, output), (1, ""))
            self.assertIn(words, error)
        status, _, _ = yield self.run_verb("ping", "@")
        self.assertEqual(status, 2)

    @inlineCallbacks
    def test_a_list_without_an_answer_is_no_empty_list(self) -> Any:
        """The only worker hangs. Its service is not known, unless it is named."""
        program = yield self.serving()
        program.send(signal.SIGSTOP)
        for service in ((), (self.name,)):
            status, _, error = yield self.run_verb("list", *service, "--wait", "0.3")
            self.assertEqual(status, 1)
            self.assertIn("at least one worker runs, and none answered within 0.3 s: ", error)
        status, output, error = yield self.run_verb("stats", self.name, "--wait", "0.3")
        self.assertEqual((status, output), (1, ""))
        self.assertIn("1 worker did not answer within 0.3 s: most often, a handler blocks its reactor", error)
        status, _, error = yield self.run_verb("call", self.name, "add", "1", "2")
        self.assertEqual(status, 1)
        self.assertIn("1 worker consumes its queue, and did not answer within 2 s: most often, a handler blocks", error)
        program.send(signal.SIGCONT)

    @inlineCallbacks
    def test_lists_services_with_their_workers_and_queues(self) -> Any:
        """Requests wait in the queue of a service whose worker was killed, so it is listed by its name."""
        program = yield self.serving()
        status, output, error = yield self.run_verb("list")
        self.assertEqual((status, error), (0, ""))
        self.assertEqual([line.split() for line in output.splitlines()][1:], [[self.name, "1", "0", "0", "0"]])
        calling = self.call("add", "1", "600")
        yield deferToThread(program.wait_for_line, "adding 1")
        status, found = yield self.json_of("list")
        self.assertEqual([(each["running"], each["answered"]) for each in found["services"]], [(1, 1)])
        program.send(signal.SIGKILL)
        yield deferToThread(program.wait)
        while True:
            status, found = yield self.json_of("list", self.name, "Nobody", "--wait", "0.2")
            nobody, mine = sorted(found["services"], key=lambda each: each["consumers"] is not None)
            if mine["consumers"] == 0 and mine["waiting"] == 1:
                break
        self.assertEqual((status, nobody["service"], mine["answered"]), (1, "Nobody", 0))
        yield self.serving()
        yield calling

    @inlineCallbacks
    def channel(self) -> Any:
        """Return a channel of another connection."""
        connection = yield Deferred.fromCoroutine(open_connection(reactor, parse(self.home), "test"))
        self.addCleanup(connection.close)
        channel = yield connection.open_channel()
        return channel

    @inlineCallbacks
    def test_a_queue_that_the_broker_does_not_show_hides_no_other(self) -> Any:
        """Here another connection has it for itself alone (405). RabbitMQ 4.3 demands a permission, too (403)."""
        channel = yield self.channel()
        yield channel.queue_declare(queue="rpc.Locked", exclusive=True)
        yield self.serving()
        status, output, error = yield self.run_verb("list", "Locked")
        self.assertEqual(status, 1)
        rows = [line.split() for line in output.splitlines()][1:]
        self.assertEqual(rows, [["Locked", "?", "?", "0", "0"], [self.name, "1", "0", "0", "0"]])
        self.assertIn("Locked: the broker tells nothing of a queue: 405", error)

    @inlineCallbacks
    def test_lists_dead_letters_of_all_kinds(self) -> Any:
        yield self.serving()
        topology = ServiceTopology(self.name)
        channel = yield self.channel()
        for kind in DeadLetterKind:
            for declaration in topology.dead_letters(kind):
                yield channel.declare(declaration)
            channel.publish("rpc.dead", topology.key_of_kind(kind), encode_properties(Properties()), b"letter")
            yield channel.queue_declare(queue=topology.queue_of_kind(kind), passive=True)  # it has the letter
        _, found = yield self.json_of("list")
        self.assertEqual([each["dead"] for each in found["services"]], [len(DeadLetterKind)])

    @inlineCallbacks
    def test_describes_a_service_without_its_stub(self) -> Any:
        """The types come from the worker."""
        yield self.serving()
        status, output, error = yield self.run_verb("describe", self.name, "--wait", "30")
        self.assertEqual((status, error), (0, ""))
        self.assertIn(f"{self.name}  (service Calculator of generated.calculator.Calculator)\n", output)
        self.assertIn("\ni32 add(i32 num1, i32 num2)\n", output)
        status, found = yield self.json_of("describe", self.name, "--wait", "30")
        self.assertEqual((status, found["queue"]), (0, f"rpc.{self.name}"))
        self.assertIn("calculator.Calculator", json.loads(found["idl_json"])["services"])
        status, _, error = yield self.run_verb("describe", "Nobody", "--wait", "0.3")
        self.assertEqual(status, 1)
        self.assertRegex(error, "^no worker of Nobody answered: [^\\n]+\n$")

    @inlineCallbacks
    def test_stats_adds_up_worker_processes(self) -> Any:
        """Those of a supervisor, too."""
        yield self.serving("--workers", "2")
        while True:
            status, found = yield self.json_of("stats", self.name, "--wait", "30")
            if found["expected"] == 2 and not found["silent"]:
                break
        self.assertEqual((status, found["concurrency"], found["methods"]), (0, 128, {}))
        for _ in range(3):
            self.assertEqual((yield self.call("add", "1", "0")), (0, "1\n"))
        status, found = yield self.json_of("stats", self.name, "--wait", "30")
        add = found["methods"]["add"]
        self.assertEqual((add["calls"], add["errors"], add["outcomes"]), (3, 0, {"returned": 3}))
        self.assertGreater(add["p99"], 0)
        status, output, _ = yield self.run_verb("stats", self.name, "--wait", "30")
        self.assertIn("0 of 128 slots in use", output)
        self.assertRegex(output, r"\nadd +3 +0 +0 +- ")

    @inlineCallbacks
    def test_watch_shows_rates_until_ctrl_c(self) -> Any:
        yield self.serving()
        words = ("stats", self.name, "--watch", "--json", "--interval", "0.3", "--wait", "30", "--broker", self.home)
        watch = Process("watch", [COMMAND, *words], folder=ROOT)
        self.addCleanup(watch.end)
        yield deferToThread(watch.wait_for_line, '"methods": {}')
        yield self.call("add", "1", "0")
        line = yield deferToThread(watch.wait_for_line, '"calls": 1,')
        self.assertGreater(json.loads(line)["methods"]["add"]["rate"], 0)
        watch.send(signal.SIGINT)
        self.assertEqual((yield deferToThread(watch.wait)), 0, watch.output())

    @inlineCallbacks
    def test_a_worker_answers_whom_it_is_told_to(self) -> Any:
        """By twistd, too, whose options are the same."""
        yield self.serving("--no-control", "--no-stats")
        status, found = yield self.json_of("ping", self.name, "--wait", "0.5")
        self.assertEqual((status, found["expected"], found["silent"]), (1, 1, 1))
        words = ("--broker", self.home, "--control-allow", "guest,ops-*", "--no-stats", "slow:service")
        environment = {"PYTHONPATH": str(ROOT)}
        twistd = WorkerProcess("rpc-worker", *words, folder=self.folder, environment=environment)
        self.addCleanup(twistd.end)
        yield deferToThread(twistd.wait_until_serving, self.name)
        found = {"bad": []}
        while not found["bad"]:  # it may take longer than the wait, which passes: the other one does not answer
            status, found = yield self.json_of("stats", self.name, "--wait", "0.5")
        self.assertIn("the request names no user", found["bad"][0]["problem"])
        found = {"workers": []}
        while not found["workers"]:
            status, found = yield self.json_of("stats", self.name, "--wait", "0.5", "--user-id")
        self.assertEqual((status, found["uncounted"], found["bad"]), (0, found["workers"], []))


class HalfAnswerTests(ControlVerbTestCase):
    """A worker that answers one of a verb's two questions, and fails at the other."""

    @inlineCallbacks
    def serve_and_fail(self, method: str, fails_for: Callable[[str], bool]) -> Any:
        """Serve in this process. The control service fails at a method for some names of services."""
        answer = getattr(ControlHandler, method)

        def failing(handler: ControlHandler, name: str) -> Any:
            if fails_for(name):
                raise RuntimeError("of the test")
            return answer(handler, name)

        self.patch(ControlHandler, method, failing)
        worker = rpc.Worker(self.home, [rpc.ThriftService(Calculator, CalculatorHandler(), name=self.name)])
        worker.startService()
        self.addCleanup(worker.stopService)
        yield worker.when_serving()
        return worker.instance

    @inlineCallbacks
    def run_until_it_fails(self, instance: str, *words: str) -> Any:
        """Run a verb until the worker has answered both questions in time. The wait for its answer passes, because the
        one that fails is none.
        """
        while True:
            status, output, error = yield self.run_verb(*words, "--wait", "0.5")
            if self.name in output and f"{instance}: no answer: " in error:
                return status, output, error

    @inlineCallbacks
    def test_describe_says_why_there_are_no_types(self) -> Any:
        """It asks all workers without their IDL, then one with it."""
        instance = yield self.serve_and_fail("describe", bool)
        status, output, error = yield self.run_until_it_fails(instance, "describe", self.name)
        self.assertTrue(self.flushLoggedErrors(RuntimeError))
        self.assertIn("\nadd\n", output)
        self.assertEqual(status, 0)
        self.assertIn(f"{instance}: no answer: TApplicationException", error)

    @inlineCallbacks
    def test_list_shows_no_load_that_a_worker_did_not_tell(self) -> Any:
        """It asks workers for their descriptions and their load. A load of 0 would look as if the worker was idle."""
        instance = yield self.serve_and_fail("stats", lambda _: True)
        status, output, error = yield self.run_until_it_fails(instance, "list")
        self.assertTrue(self.flushLoggedErrors(RuntimeError))
        self.assertEqual([line.split() for line in output.splitlines()][1:], [[self.name, "1", "?", "?", "0"]])
        self.assertEqual(status, 1)
        self.assertIn(f"{instance}: no answer: TApplicationException", error)


class BlockedBrokerTests(ControlVerbTestCase):
    """A broker with a memory alarm."""

    own_broker = True

    @inlineCallbacks
    def test_each_verb_says_that_the_broker_is_blocked(self) -> Any:
        """The list asks two questions, so the second one may find the connection blocked."""
        yield self.serving()
        yield deferToThread(self.broker.set_memory_alarm, True)
        for words in (("list", self.name), ("ping", self.name), ("describe", self.name), ("stats", self.name)):
            status, _, error = yield self.run_verb(*words)
            self.assertEqual(status, 1, words)
            self.assertRegex(error, "the broker is blocked: |broker blocked: ")
            self.assertNotIn("Traceback", error)
            self.assertNotIn("a handler blocks", error)
        yield deferToThread(self.broker.set_memory_alarm, False)


@pytest.mark.rabbitmq_only("the embedded broker has no permissions")
class PermissionTests(ControlVerbTestCase):
    """A user that may not declare a reply queue."""

    broker: ClassVar[RabbitMQNode]

    @inlineCallbacks
    def test_each_verb_names_the_permission(self) -> Any:
        """As a call does."""
        user = self.unique("operator")
        yield deferToThread(self.broker.ctl, "add_user", user, "secret")
        host = parse(self.home).vhost
        yield deferToThread(self.broker.ctl, "set_permissions", "--vhost", host, user, "^$", ".*", ".*")
        self.home = self.home.replace("guest:guest", f"{user}:secret")
        for verb in ("list", "ping", "describe", "stats"):
            status, output, error = yield self.run_verb(verb, self.name)
            self.assertEqual((status, output), (1, ""), verb)
            self.assertRegex(
                error, r"^Error: service unavailable: .*: the user lacks a permission: 403 .*'Permissions'"
            )
