"""A real Prometheus reads the metrics of a worker, of a client and of RabbitMQ, with the configuration, the alerts and
the dashboard of ``examples/operations/``.
"""

from __future__ import annotations

import json
import math
import signal
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client.core import CollectorRegistry
from prometheus_client.twisted import MetricsResource
from twisted.internet import reactor
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.web.server import Site

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Operation, Work
from rpc.metrics import ClientMetrics
from tests.integration.operations import FOLDER, documents_of, program
from tests.integration.promql import panels, plain, rules
from tests.integration.serve_case import ServeTestCase, get
from tests.integration.test_alerts import PROMETHEUS, send_nonsense
from tests.integration.test_metrics_port import url_of
from tools.nodes.rabbitmq import RabbitMQNode, free_ports
from tools.processes import Process

STEP = "10s"
"""Over which rates are taken: some scrapes."""


@pytest.mark.rabbitmq_only("the embedded broker has no metrics of its queues")
class PrometheusTests(ServeTestCase):
    """Everything at once, since the programs take a while to start."""

    timeout = 200.0

    def setUp(self) -> None:
        super().setUp()
        self.prometheus = program("prometheus", PROMETHEUS)
        port, self.port = free_ports(2)
        config = {"prometheus.tcp.ip": "127.0.0.1", "prometheus.tcp.port": str(port)}
        self.node = RabbitMQNode(plugins=["rabbitmq_prometheus"], config=config)
        self.addCleanup(self.node.close)
        self.own_url = self.node.start().url
        self.targets = {"rpc-broker": [f"127.0.0.1:{port}"]}

    def start_prometheus(self) -> Process:
        """Start it with our configuration, but for addresses and intervals, on loopback."""
        (configuration,) = documents_of("prometheus.yaml")
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
        configuration["scrape_configs"] = [jobs[name] for name in self.targets]
        for name, targets in self.targets.items():
            jobs[name]["static_configs"] = [{"targets": targets}]
        configuration["rule_files"] = [str(FOLDER / "alerts.yaml")]
        (self.folder / "prometheus.json").write_text(json.dumps(configuration))
        command = [
            self.prometheus,
            "--config.file=prometheus.json",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        started = Process("prometheus", command, folder=self.folder)
        self.addCleanup(started.end)
        return started

    async def ask(self, path: str, **parameters: str) -> Any:
        """Ask Prometheus' HTTP API."""
        status, text = await deferToThread(get, f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}")
        answer = json.loads(text)
        self.assertEqual((status, answer["status"]), (200, "success"), text)
        return answer["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an expression that have a value."""
        found = (await self.ask("query", query=expression))["result"]
        return [sample for sample in found if math.isfinite(float(sample["value"][1]))]

    async def until_found(self, expressions: dict[str, str]) -> None:
        """Wait until each expression has a sample."""
        missing = dict(expressions)
        for _ in range(90):
            for name, expression in list(missing.items()):
                if await self.query(expression):
                    del missing[name]
            if not missing:
                return
            await deferLater(reactor, 1.0)
        self.fail(f"nothing is found by {missing}")

    async def test_panels_show_data_and_alerts_see_a_worker_that_is_gone(self) -> None:
        """Calls with every kind of end go on meanwhile."""
        worker = self.serve("--metrics-port", "0", "--workers", "2", "slow:service", url=self.own_url)
        url = await deferToThread(url_of, worker)
        for _ in range(2):
            await deferToThread(worker.worker_pid)
        registry = CollectorRegistry()
        site: Any = Site(MetricsResource(registry))
        page: Any = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(page.stopListening)
        self.targets["rpc-hosts"] = [url.split("/")[2], f"127.0.0.1:{page.getHost().port}"]
        prometheus = self.start_prometheus()
        await deferToThread(prometheus.wait_for, "Server is ready to receive web requests")

        connection = await rpc.connect(self.own_url, interceptors=[ClientMetrics(registry)])
        self.addCleanup(connection.close)
        client = connection.client(Calculator, name=self.name, timeout=10.0)
        absent = connection.client(Calculator, name="Absent", retry=True, timeout=1.0)

        def call() -> None:
            for each in (client.add(1, 0), client.calculate(1, Work(1, 0, Operation.DIVIDE)), absent.add(1, 0)):
                each.addErrback(lambda _: None)  # two of them fail

        calling = LoopingCall(call)
        calling.start(0.2).addErrback(self.fail)
        await deferToThread(send_nonsense, self.own_url, self.name)
        await self.until_found(
            {
                f"{panel['title']}, {target['refId']}": plain(target["expr"], step=STEP)
                for panel in panels()
                for target in panel["targets"]
            }
        )
        calling.stop()
        self.assertFalse(await self.query(expression_of("RpcServiceUnserved")))

        worker.send(signal.SIGTERM)
        self.assertEqual(await deferToThread(worker.wait), 0)
        waiting = rpc.with_options(client, timeout=120.0).add(1, 0)  # in the queue
        waiting.addErrback(lambda _: None)
        gone = ("RpcServiceUnserved", "RpcWorkerUnreachable", "RpcQueueUnserved")
        await self.until_found({name: expression_of(name) for name in gone})
        groups = (await self.ask("rules"))["groups"]
        evaluated = [rule for group in groups for rule in group["rules"]]
        self.assertEqual(
            {rule["name"]: rule["health"] for rule in evaluated}, {rule["alert"]: "ok" for rule in rules()}
        )


def expression_of(alert: str) -> str:
    """Return the expression of an alert."""
    (found,) = (str(rule["expr"]) for rule in rules() if rule["alert"] == alert)
    return found
