"""The answers of the control service, from facts of a worker."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

import rpc
from generated.calculator import Calculator
from generated.kvstore import KeyValueStore
from rpc.control import MethodStats, ServiceState, Status, UnknownKey
from rpc.control.call_stats import CallStats
from rpc.control.describing import status_of
from rpc.control.handler import ControlHandler
from rpc.worker.consumer import ConsumerState
from rpc.worker.limiter import Load
from rpc.worker.readiness import Readiness
from rpc.worker.worker_state import WorkerState
from tests.unit.worker.test_server import Handler

CONSUMING = ConsumerState.CONSUMING


class Counted(CallStats):
    """Has counted three calls of one method: a result, an exception of the IDL, and an error."""

    def of(self, service: str) -> list[MethodStats]:
        return [MethodStats(method="add", outcomes={"returned": 1, "raised": 1, "failed": 1})]


@attrs.define
class Facts:
    """A worker of two services."""

    services: Any
    instance: str = "host.1.ab"
    state: WorkerState = WorkerState.SERVING
    readiness: Readiness = Readiness.READY
    problem: str | None = None
    uptime: float = 12.5
    call_stats: CallStats | None = None
    options: dict[str, str] = attrs.field(factory=lambda: {"drain_timeout": "30"})

    @property
    def service_states(self) -> dict[str, ConsumerState]:
        return {service.name: CONSUMING for service in self.services}

    @property
    def loads(self) -> dict[str, Load]:
        return {service.name: Load(4, 1, 2) for service in self.services}


class ControlHandlerTests(SynchronousTestCase):
    """Answers of one worker."""

    def setUp(self) -> None:
        key_file = Path(self.mktemp())
        key_file.parent.mkdir(parents=True, exist_ok=True)
        key_file.write_text("mobile 00112233445566778899aabbccddeeff\n")
        key_file.chmod(0o600)
        self.calculator = rpc.ThriftService(
            Calculator,
            Handler(),
            concurrency=4,
            keys=str(key_file),
            allow=["ada", "billing-*"],
            queue_arguments={"x-max-length-bytes": 5},
        )
        self.store = rpc.ThriftService(KeyValueStore, factory=lambda _: None, name="Store")
        self.facts = Facts([self.calculator, self.store])
        self.handler = ControlHandler(self.facts)

    def test_describes_the_worker_and_its_services(self) -> None:
        described = self.handler.describe("")
        self.assertEqual((described.instance, described.version), ("host.1.ab", rpc.__version__))
        self.assertEqual((described.pid, described.uptime, described.status), (os.getpid(), 12.5, Status.ALIVE))
        self.assertEqual(described.options, {"drain_timeout": "30"})
        names = [(each.name, each.idl_name, each.state, each.queue) for each in described.services]
        consuming = ServiceState.CONSUMING
        expected = [("Calculator", "Calculator", consuming, "rpc.Calculator")]
        self.assertEqual(names, [*expected, ("Store", "KeyValueStore", consuming, "rpc.Store")])
        self.assertEqual([each.idl_json for each in described.services], [None, None])

    def test_describes_one_service_with_its_idl(self) -> None:
        (service,) = self.handler.describe("Store").services
        self.assertEqual(service.name, "Store")
        self.assertIn('"kvstore.KeyValueStore"', service.idl_json or "")
        self.assertEqual(self.handler.describe("Nobody").services, [])

    def test_describes_methods(self) -> None:
        methods = {each.name: each for each in self.handler.describe("").services[0].methods}
        self.assertTrue(methods["zip"].is_oneway)
        self.assertEqual((methods["add"].is_idempotent, methods["add"].timeout), (True, 5.0))
        self.assertEqual((methods["calculate"].is_idempotent, methods["calculate"].timeout), (False, None))

    def test_shows_options_that_differ_from_their_defaults_and_no_secrets(self) -> None:
        calculator, store = self.handler.describe("").services
        self.assertEqual(
            calculator.options,
            {"concurrency": "4", "keys": "set", "allow": "set", "queue_arguments": "{'x-max-length-bytes': 5}"},
        )
        self.assertEqual(store.options, {})
        for secret in ("00112233", "ada", "billing", self.mktemp()):
            self.assertNotIn(secret, repr(calculator))

    def test_answers_pings(self) -> None:
        pong = self.handler.ping()
        self.assertEqual(
            (pong.instance, pong.status, pong.services), ("host.1.ab", Status.ALIVE, ["Calculator", "Store"])
        )

    def test_has_counters_of_the_load(self) -> None:
        counters = self.handler.getCounters()
        self.assertEqual(counters["Calculator.running"], 1)
        self.assertEqual((counters["Store.waiting"], counters["Store.concurrency"]), (2, 4))
        self.assertEqual(len(counters), 6)
        self.assertEqual(self.handler.getCounter("Store.waiting"), 2)
        self.assertRaises(UnknownKey, self.handler.getCounter, "Calculator.calls")

    def test_has_counters_of_calls_when_they_are_counted(self) -> None:
        self.facts.call_stats = Counted()
        self.assertEqual(self.handler.getCounter("Calculator.calls"), 3)
        self.assertEqual(self.handler.getCounter("Calculator.exceptions"), 1)
        self.assertEqual(self.handler.getCounter("Calculator.errors"), 1)

    def test_says_whether_calls_are_counted(self) -> None:
        stats = self.handler.stats("Store")
        (service,) = stats.services
        self.assertEqual((stats.kept, service.methods), (False, []))
        self.assertEqual((service.running, service.waiting, service.concurrency), (1, 2, 4))
        self.facts.call_stats = Counted()
        stats = self.handler.stats("")
        self.assertEqual((stats.kept, len(stats.services)), (True, 2))
        self.assertEqual(stats.services[0].methods[0].method, "add")

    def test_answers_the_other_questions_of_fb303(self) -> None:
        self.assertEqual(self.handler.getName(), "Calculator, Store")
        self.assertEqual(self.handler.getVersion(), rpc.__version__)
        self.assertEqual(
            (self.handler.getOptions(), self.handler.getOption("drain_timeout")), (self.facts.options, "30")
        )
        self.assertRaises(UnknownKey, self.handler.getOption, "broker")
        self.assertLess(abs(time.time() - 12.5 - self.handler.aliveSince()), 60)
        self.assertEqual(self.handler.getStatusDetails(), "ready: all services are consumed")
        self.facts.readiness, self.facts.problem = Readiness.CONNECTING, "connection refused"
        self.assertEqual(
            self.handler.getStatusDetails(), "not ready: not all services are consumed: connection refused"
        )

    def test_its_status_is_that_of_the_workers_life(self) -> None:
        for state, readiness, status in (
            (WorkerState.STARTING, Readiness.CONNECTING, Status.STARTING),
            (WorkerState.SERVING, Readiness.READY, Status.ALIVE),
            (WorkerState.SERVING, Readiness.CONNECTING, Status.WARNING),
            (WorkerState.SERVING, Readiness.BLOCKED, Status.WARNING),
            (WorkerState.REFUSED, Readiness.CONNECTING, Status.WARNING),
            (WorkerState.STOPPING, Readiness.STOPPING, Status.STOPPING),
            (WorkerState.RESTARTING, Readiness.STOPPING, Status.STOPPING),
        ):
            self.assertEqual(status_of(state, readiness), status, (state, readiness))
