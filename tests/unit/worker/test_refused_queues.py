"""The log lines about a queue that exists with other arguments."""

from __future__ import annotations

import shlex
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator
from rpc.cli import queue as queue_verb
from rpc.errors import DeclarationRefused
from rpc.topology import ServiceTopology
from rpc.worker.refused_queues import explanation, migration_options
from rpc.worker.service import ThriftService
from tests.unit.logs import log_lines
from tests.unit.worker.served import LinkWithRetries, WorkerInMemory
from tests.unit.worker.test_binding_watch import WireWithGaps
from tests.unit.worker.test_server import Handler

REFUSED = DeclarationRefused(406, "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'rpc.S'")


class ExplanationTests(SynchronousTestCase):
    """The explanation ends with a command line, which the command understands as the service was meant."""

    def said(self, error: DeclarationRefused = REFUSED, **options: Any) -> str:
        """Return the explanation for a service with options."""
        return explanation(ServiceTopology("S", **options), error)

    def test_has_the_words_of_the_broker_and_the_command(self) -> None:
        """The broker's text names the argument."""
        said = self.said(backlog=5)
        self.assertIn("S: the broker refuses a queue", said)
        self.assertIn("inequivalent arg 'x-max-length'", said)
        self.assertTrue(said.endswith("run: thrift-rpc queue migrate S --backlog 5"), said)

    def test_names_no_command_for_a_queue_of_an_operator(self) -> None:
        """There is none that would declare it."""
        said = self.said(error=DeclarationRefused(404, "NOT_FOUND"), declare_queue=False)
        self.assertIn("an operator has to declare the queue rpc.S", said)
        self.assertNotIn("migrate", said)

    def test_names_no_command_for_the_quarantine_of_an_operators_queue(self) -> None:
        """It would replace the operator's queue as well."""
        said = self.said(declare_queue=False, queue_type="quorum")
        self.assertIn("or delete it when it is empty", said)
        self.assertNotIn("migrate", said)

    def test_names_the_option_for_a_queue_that_is_not_durable(self) -> None:
        """The queue is that of servers of txamqp.contrib.thrift, or one of an operator."""
        differs = DeclarationRefused(406, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'pool'")
        self.assertIn("durable=False", self.said(error=differs))
        self.assertNotIn("durable=False", self.said())
        for error in (differs, REFUSED):
            said = self.said(error=error, durable=False)
            self.assertIn("or delete it when it is empty", said)
            self.assertNotIn("migrate,", said)
            self.assertNotIn("run: ", said)

    def test_names_the_arguments_that_no_command_line_can_have(self) -> None:
        """Bytes and times are no JSON."""
        said = self.said(queue_arguments={"x-a": b"\xff", "x-b": 5, "x-c": [b"x"]})
        self.assertIn("cannot be given x-a=b'\\xff', x-c=[b'x']", said)
        self.assertNotIn("run: ", said)

    def test_the_options_make_the_same_topology(self) -> None:
        """Every option of a service, and none for the defaults."""
        given: list[dict[str, Any]] = [
            {},
            {"queue_type": "quorum", "backlog": 7, "consumer_timeout": 12.5},
            {"max_priority": 5, "queue": "jobs", "exchange": "tasks"},
            {
                "queue_arguments": {
                    "x-single-active-consumer": True,
                    "x-queue-mode": "lazy mode",
                    "x-max-length-bytes": 7,
                }
            },
        ]
        made: list[ServiceTopology] = []
        self.patch(queue_verb, "run", lambda work: made.append(work(None)))
        self.patch(queue_verb, "_migrated", lambda reactor, broker, topology, *_: topology)
        for options in given:
            topology = ServiceTopology("S", **options)
            words = shlex.split(shlex.join(["migrate", "S", *migration_options(topology)]))
            CliRunner().invoke(queue_verb.queue_command, words)
            self.assertEqual(made.pop(), topology)
        self.assertEqual(migration_options(ServiceTopology("S")), [])


class WireWithAnotherQueue(WireWithGaps):
    """A broker whose request queue has other arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0
        self.refuses = True

    def _agree(self, channel: int, name: str, args: tuple[Any, ...]) -> None:
        if name == "queue.declare" and args[1] == "rpc.Calculator" and self.refuses:
            self.refused += 1
            self.refuse(channel, REFUSED.code, REFUSED.text, 50, 10)
        else:
            super()._agree(channel, name, args)


class LogTests(SynchronousTestCase):
    """A worker that tries again until the queue is as it declares it."""

    def test_explains_a_refusal_once(self) -> None:
        """An operator may take hours. The same refusal is explained again after it was mended."""
        wire, handler, lines = WireWithAnotherQueue(), Handler(), log_lines(self)
        worker = WorkerInMemory(wire, ThriftService(Calculator, handler), handler, link=LinkWithRetries(wire))

        def pass_minutes() -> None:
            for _ in range(120):
                wire.clock.advance(1)
                wire.answer()

        pass_minutes()
        self.assertGreater(wire.refused, 3)
        self.assertEqual(len([line for line in lines if "the broker refuses a queue" in line]), 1)
        wire.refuses = False
        pass_minutes()
        self.assertTrue(worker.consuming)
        wire.refuses = True
        worker.consumer.restore()
        pass_minutes()
        self.assertEqual(len([line for line in lines if "the broker refuses a queue" in line]), 2)
