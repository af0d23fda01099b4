"""The alerts and the dashboard of ``examples/operations/`` ask for metrics and labels that exist.

``test_prometheus.py`` evaluates them.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pika
from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

import rpc
from generated.calculator import Calculator
from rpc.metrics import ClientMetrics
from tests.integration.documents import ROOT
from tests.integration.operations import FOLDER, check, documents_of, program
from tests.integration.promql import expressions, labels_in, names_in, needs_parser, panels, plain, rules
from tests.integration.serve_case import ServeTestCase
from tests.integration.test_docs import sections
from tests.integration.test_metrics_port import url_of

CASES = ROOT / "tests/integration/alert_cases.yaml"
PROMETHEUS = ROOT / ".prometheus/usr/bin"
"""Where ``scripts/prometheus`` puts its programs."""

OF_PROMETHEUS = {"job", "instance"}
"""Labels that it adds to each sample."""

RABBITMQ = "rabbitmq_detailed_"


class AlertTests(SynchronousTestCase):
    """The rules."""

    def test_promtool_accepts_rules_and_configuration(self) -> None:
        """Debian's promtool knows no Kubernetes, so that job is left out."""
        promtool = program("promtool", PROMETHEUS)
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        shutil.copy(FOLDER / "alerts.yaml", folder)
        (configuration,) = documents_of("prometheus.yaml")
        kept = [job for job in configuration["scrape_configs"] if "kubernetes_sd_configs" not in job]
        self.assertEqual(len(kept), 2)
        (folder / "prometheus.yaml").write_text(json.dumps({**configuration, "scrape_configs": kept}))
        check(promtool, "check", "rules", "--lint-fatal", "alerts.yaml", folder=folder)
        check(promtool, "check", "config", "--lint-fatal", "prometheus.yaml", folder=folder)

    def test_each_alert_fires_when_it_should_and_not_otherwise(self) -> None:
        """Prometheus' own tester plays the cases, of which each alert has both kinds."""
        check(program("promtool", PROMETHEUS), "test", "rules", CASES)

    def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(self) -> None:
        """Else the test above shows nothing."""
        cases = documents_of(str(CASES))[0]["tests"]
        played = [each for case in cases for each in case["alert_rule_test"]]
        alerts = {rule["alert"] for rule in rules()}
        self.assertEqual({each["alertname"] for each in played if each.get("exp_alerts")}, alerts)
        self.assertEqual({each["alertname"] for each in played if not each.get("exp_alerts")}, alerts)

    def test_each_alert_is_on_the_page(self) -> None:
        """With its severity, in order."""
        (rows,) = sections("operations.md", "alert")
        written = [[row[0].strip("`"), row[1]] for row in rows]
        self.assertEqual(written, [[rule["alert"], rule["labels"]["severity"]] for rule in rules()])

    def test_jobs_are_those_of_the_configuration(self) -> None:
        """Alerts and panels choose programs by job."""
        (configuration,) = documents_of("prometheus.yaml")
        workers = "|".join(
            job["job_name"] for job in configuration["scrape_configs"] if job["job_name"] != "rpc-broker"
        )
        text = (FOLDER / "alerts.yaml").read_text() + (FOLDER / "dashboard.json").read_text().replace("\\", "")
        self.assertGreater(text.count(f'job=~"{workers}"'), 3)
        self.assertEqual(text.count("job="), text.count(f'job=~"{workers}"'))


class DashboardTests(SynchronousTestCase):
    """The dashboard, without Grafana."""

    def setUp(self) -> None:
        self.dashboard: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))

    def test_panels_have_places_and_numbers_of_their_own(self) -> None:
        """On a grid of 24 columns."""
        taken: Counter[tuple[int, int]] = Counter()
        for panel in self.dashboard["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            for x in range(place["x"], place["x"] + place["w"]):
                taken.update((x, y) for y in range(place["y"], place["y"] + place["h"]))
        self.assertEqual(set(taken.values()), {1})
        identities = [panel["id"] for panel in self.dashboard["panels"]]
        self.assertEqual(len(set(identities)), len(identities))

    def test_panels_use_the_variables_that_there_are(self) -> None:
        """The data source is one of them, so it fits any Grafana. Each panel has a unit and an explanation."""
        variables = {variable["name"] for variable in self.dashboard["templating"]["list"]}
        self.assertEqual(variables, {"datasource", "service"})
        for panel in panels():
            self.assertTrue(panel["description"].endswith("."), panel["title"])
            self.assertTrue(panel["fieldConfig"]["defaults"]["unit"], panel["title"])
            self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"})
            for target in panel["targets"]:
                self.assertNotIn("$", plain(target["expr"]))

    def test_legends_show_labels_that_the_result_has(self) -> None:
        """Of its ``by``, or of the metric when there is no sum."""
        for panel in panels():
            for target in panel["targets"]:
                names = names_in(plain(target["expr"]))
                shown = labels_in(target["legendFormat"])
                if names.grouped:
                    self.assertLessEqual(shown, names.grouped, panel["title"])
                else:
                    self.assertLessEqual(shown, OF_PROMETHEUS | {"worker"}, panel["title"])


class PageTests(ServeTestCase):
    """Pages of a worker and of a client on which everything has happened: a result, a retry, a dead letter."""

    def setUp(self) -> None:
        needs_parser()
        super().setUp()

    async def test_metrics_and_labels_are_on_the_pages(self) -> None:
        """Those of RabbitMQ are on its own."""
        worker = self.serve("--metrics-port", "0", "--workers", "1", "slow:service")
        url = await deferToThread(url_of, worker)
        await deferToThread(worker.worker_pid)
        registry = CollectorRegistry()
        connection = await rpc.connect(self.url, interceptors=[ClientMetrics(registry)])
        self.addCleanup(connection.close)
        await connection.client(Calculator, name=self.name).add(1, 0)
        absent = connection.client(Calculator, name=self.unique("Absent"), retry=True, timeout=1.0)
        # The time may pass between two attempts, or while one has no answer yet.
        await self.assertFailure(absent.add(1, 0), rpc.ServiceUnavailable, rpc.CallTimedOut)
        await deferToThread(send_nonsense, self.url, self.name)
        known: dict[str, set[str]] = {"up": set()}
        while "rpc_server_dead_letters_total" not in known:
            _, page = await self.get(url)
            for family in text_string_to_metric_families(f"{page}\n{generate_latest(registry).decode()}"):
                for sample in family.samples:
                    known.setdefault(sample.name, set()).update(sample.labels)
        for name, expression in expressions():
            names = names_in(expression)
            ours = [(metric, labels) for metric, labels in names.selected if not metric.startswith(RABBITMQ)]
            available = set(OF_PROMETHEUS)
            for metric, labels in ours:
                self.assertIn(metric, known, name)
                self.assertLessEqual(labels, known[metric] | OF_PROMETHEUS, f"{name}: {metric}")
                available |= known[metric]
            if len(ours) == len(names.selected):
                self.assertLessEqual(names.grouped, available, name)


def send_nonsense(url: str, service: str) -> None:
    """Publish a request that no worker can read: it becomes a dead letter."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        properties = pika.BasicProperties(content_type="application/vnd.apache.thrift.json", type="x", message_id="1")
        connection.channel().basic_publish("rpc", service, b"{}", properties)
