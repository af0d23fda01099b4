"""A call that no worker consumes says so in its error, and not later than its deadline."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler
from tests.support import BrokerTestCase
from tools.nodes.rabbitmq import RabbitMQNode

reactor: Any = global_reactor

LATE = 0.05
"""Seconds: the promise is 10 ms. A timer of the same reactor measures it, which a busy machine delays as well."""

TIMEOUT = 2.0
"""Seconds of calls whose error is to have the broker's answer. It is asked half a second before the deadline."""


class NeverAdds(CalculatorHandler):
    """Its calls are in progress until the worker ends."""

    def add(self, num1: int, num2: int) -> Any:
        return Deferred()


class NoConsumerTests(BrokerTestCase):
    """A queue that a worker has declared before it ended."""

    def setUp(self) -> None:
        self.name = self.unique("Adder")

    def worker(self, **options: Any) -> Deferred[rpc.Worker]:
        """Start a worker; give it when it serves."""
        worker = rpc.Worker(
            self.url, [rpc.ThriftService(Calculator, NeverAdds(), name=self.name, **options)], drain_timeout=0
        )
        worker.startService()
        self.addCleanup(worker.stopService)
        return worker.when_serving().addCallback(lambda _: worker)

    @inlineCallbacks
    def client(self, url: str | None = None, **options: Any) -> Any:
        """Connect, and give a client."""
        connection = yield rpc.connect(url or self.url)
        self.addCleanup(connection.close)
        return connection.client(Calculator, name=self.name, **options)

    @inlineCallbacks
    def time_out(self, *calls: Deferred[Any], after: float) -> Any:
        """Wait for calls that time out, and return their errors."""
        limit = reactor.callLater(after + LATE, lambda: None)
        failures = yield gatherResults([self.assertFailure(call, rpc.CallTimedOut) for call in calls])
        self.assertTrue(limit.active(), "the errors came after the deadline")
        limit.cancel()
        return [str(error) for error in failures]

    @inlineCallbacks
    def explained(self, client: Any, calls: int) -> Any:
        """Make so many calls that time out, and return their errors. A busy broker may answer after the deadline, which
        the errors do not wait for: then the calls are made again.
        """
        while True:
            errors = yield self.time_out(*[client.add(1, 2) for _ in range(calls)], after=TIMEOUT)
            if not any(error.endswith("no reply before the deadline") for error in errors):
                return errors

    @inlineCallbacks
    def test_says_that_no_worker_consumes_the_queue(self) -> Any:
        """With the number of requests that wait there."""
        worker = yield self.worker()
        yield worker.stopService()
        client = yield self.client(timeout=TIMEOUT)
        for said in (yield self.explained(client, 3)):
            self.assertIn("no reply before the deadline: ", said)
            self.assertIn(f"no worker consumes the queue rpc.{self.name}; 3 requests wait in it", said)

    @inlineCallbacks
    def test_says_it_in_a_quorum_queue(self) -> Any:
        """Its consumers are counted as well."""
        worker = yield self.worker(queue_type="quorum")
        yield worker.stopService()
        client = yield self.client(timeout=TIMEOUT)
        (said,) = yield self.explained(client, 1)
        self.assertIn("no worker consumes", said)

    @inlineCallbacks
    def test_says_that_workers_are_busy(self) -> Any:
        """One slot is taken, so one request waits."""
        yield self.worker(concurrency=1)
        client = yield self.client(timeout=TIMEOUT)
        for said in (yield self.explained(client, 2)):
            self.assertIn(f"1 worker consumes the queue rpc.{self.name}; 1 request waits in it", said)

    @inlineCallbacks
    def test_a_queue_of_another_name_changes_nothing_but_the_text(self) -> Any:
        """The question ends its own channel (404). The calls time out as ever, and later ones work."""
        yield self.worker(queue=self.unique("other"))
        client = yield self.client(timeout=0.6)
        for _ in range(2):
            (said,) = yield self.time_out(client.add(1, 2), after=0.6)
            self.assertTrue(said.endswith("no reply before the deadline"), said)
        yield client.ping()

    @inlineCallbacks
    def test_a_named_worker_is_not_asked_about(self) -> Any:
        """It has a queue of its own."""
        worker = yield self.worker()
        connection = yield rpc.connect(self.url)
        self.addCleanup(connection.close)
        client = connection.client(Calculator, name=f"{self.name}@{worker.instance}", timeout=0.6)
        (said,) = yield self.time_out(client.add(1, 2), after=0.6)
        self.assertTrue(said.endswith("no reply before the deadline"), said)


@pytest.mark.rabbitmq_only("the embedded broker has no permissions")
class PermissionTests(NoConsumerTests):
    """The client has the permissions of the page on operations."""

    broker: ClassVar[RabbitMQNode]

    @inlineCallbacks
    def client(self, url: str | None = None, **options: Any) -> Any:
        user = self.unique("client")
        yield deferToThread(self.broker.ctl, "add_user", user, "secret")
        rights = (r"^amq\.gen.*$", rf"^rpc(\.broadcast|\.{re.escape(self.name)})?$", r"^amq\.gen.*$")
        yield deferToThread(self.broker.ctl, "set_permissions", user, *rights)
        client = yield super().client(self.url.replace("guest:guest", f"{user}:secret"), **options)
        return client
