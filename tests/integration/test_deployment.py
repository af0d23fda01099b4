"""The systemd unit, the Dockerfile and the Kubernetes manifests of ``docs/operations.md``, without a broker.

``test_image.py`` follows the Dockerfile and starts its command.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import pytest
from twisted.trial.unittest import SynchronousTestCase

from rpc.serving.worker_process import GRACE
from tests.integration.documents import ROOT, blocks
from tests.integration.operations import FOLDER, check, context_of, dockerfile, documents_of, program

QUOTED = ("toml", "ini", "dockerfile", "yaml")
"""Languages of blocks that quote a file."""

EXPOSURE = "20"
"""Tenths: the most that ``systemd-analyze security`` may find, of 100. A unit without hardening has 96."""


EVERYWHERE = "0.0.0.0"  # noqa: S104  # of the container's own network


class QuotationTests(SynchronousTestCase):
    """The page and the files."""

    def test_the_page_quotes_the_files(self) -> None:
        """Each block is a whole file, or whole lines of one. Each file is on the page, by a quotation or a link."""
        files = {path: path.read_text("utf-8") for path in sorted(FOLDER.iterdir())}
        page = ROOT / "docs/operations.md"
        quoted = [block for block in blocks(page) if block.language in QUOTED]
        self.assertEqual({block.language for block in quoted}, set(QUOTED))
        for block in quoted:
            found = [path.name for path, text in files.items() if f"\n{block.text}" in f"\n{text}"]
            self.assertEqual(len(found), 1, f"line {block.line} is in {found}")
        links = set(re.findall(r"\]\(\.\./examples/operations/([\w.-]+)\)", page.read_text("utf-8")))
        self.assertEqual(links, {path.name for path in files})


class UnitTests(SynchronousTestCase):
    """systemd."""

    def setUp(self) -> None:
        self.unit = (FOLDER / "glossary.service").read_text()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def seconds(self, name: str) -> float:
        """Return a number of seconds in the unit."""
        found = re.search(rf"^{name}=(\d+)$", self.unit, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    def test_the_command_and_its_file_have_options_that_exist(self) -> None:
        """Its timeouts are shorter than those of systemd, so the log has the reason when they pass."""
        (self.folder / "password").write_text("secret")
        config = self.folder / "serve.toml"
        text = (FOLDER / "serve.toml").read_text()
        config.write_text(text.replace("/etc/glossary/password", str(self.folder / "password")))
        command = re.search(r"^ExecStart=\S+/thrift-rpc serve (.+)$", self.unit, re.MULTILINE)
        assert command is not None
        with context_of("serve", command[1].replace("/etc/glossary/serve.toml", str(config)).split()) as context:
            options = context.params
        self.assertEqual((options["services"], options["workers"]), (("services.glossary:service",), 2))
        self.assertLess(options["connect_timeout"], self.seconds("TimeoutStartSec"))
        self.assertLess(options["drain_timeout"] + GRACE, self.seconds("TimeoutStopSec"))
        self.assertEqual("ExecReload=" in self.unit, options["workers"] is not None)

    def test_systemd_accepts_the_unit(self) -> None:
        """And finds it hardened. The program's path is that of this environment."""
        systemd_analyze = program("systemd-analyze")
        checked = self.folder / "glossary.service"
        here = str(Path(sys.executable).with_name("thrift-rpc"))
        checked.write_text(re.sub(r"/srv/glossary/\S+/thrift-rpc", here, self.unit).replace("/srv/glossary", "/"))
        check(systemd_analyze, "verify", "--man=no", checked)
        if "--offline" not in check(systemd_analyze, "--help"):
            pytest.skip("this systemd-analyze cannot judge a unit that is not loaded")
        check(systemd_analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", checked)


class DockerfileTests(SynchronousTestCase):
    """The image."""

    def setUp(self) -> None:
        self.last_stage: dict[str, str] = {}
        for instruction in dockerfile(FOLDER / "Dockerfile"):
            if instruction.name == "FROM":
                self.last_stage.clear()
            self.last_stage[instruction.name] = instruction.text
        self.variables = dict(word.split("=", 1) for word in re.findall(r"(\w+=\S+)", self.last_stage["ENV"]))

    def test_hadolint_finds_nothing(self) -> None:
        """It knows the rules for Dockerfiles, and shellcheck those for their commands."""
        self.assertEqual(check(program("hadolint"), FOLDER / "Dockerfile"), "")

    def test_the_build_gets_what_it_copies_and_nothing_else(self) -> None:
        """All other files of the folder stay out: a password among them would be in the image."""
        first, *patterns = (FOLDER / ".dockerignore").read_text().split()
        sources = [
            instruction.words[0]
            for instruction in dockerfile(FOLDER / "Dockerfile")
            if instruction.name == "COPY" and not instruction.text.startswith("--from")
        ]
        self.assertEqual(first, "*")
        self.assertEqual({pattern[1:] for pattern in patterns if pattern[0] == "!"}, set(sources))

    def test_its_variables_are_options(self) -> None:
        """Others would be ignored. The ports are those that it names, and are open to other machines."""
        names = {name: value for name, value in self.variables.items() if name.startswith("RPC_")}
        with mock.patch.dict(os.environ, names, clear=True):
            context = context_of("serve", [])
        known = {f"RPC_{name.upper()}" for name in context.params}
        self.assertEqual(set(names) - known, set())
        self.assertEqual(context.params["services"], ("services.glossary:service",))
        ports = [context.params["health_port"], context.params["metrics_port"]]
        self.assertEqual(self.last_stage["EXPOSE"].split(), [str(port) for port in ports])
        self.assertEqual({context.params["health_interface"], context.params["metrics_interface"]}, {EVERYWHERE})
        self.assertIn(f"127.0.0.1:{ports[0]}/live", self.last_stage["HEALTHCHECK"])

    def test_it_is_started_without_a_shell_and_without_root(self) -> None:
        """A shell would keep SIGTERM for itself. Kubernetes takes only a number for a user that is not root."""
        self.assertEqual(json.loads(self.last_stage["CMD"]), ["thrift-rpc", "serve"])
        self.assertNotIn("ENTRYPOINT", self.last_stage)
        user, group = map(int, self.last_stage["USER"].split(":"))
        self.assertTrue(user and group)


@attrs.frozen
class Pod:
    """A Deployment's pod with its only container."""

    spec: dict[str, Any]

    @property
    def container(self) -> dict[str, Any]:
        """The container."""
        (container,) = self.spec["containers"]
        assert isinstance(container, dict)
        return container

    @property
    def ports(self) -> dict[str, int]:
        """The ports of the container by their names."""
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}

    @property
    def variables(self) -> dict[str, str]:
        """The environment."""
        return {variable["name"]: variable["value"] for variable in self.container["env"]}


MANIFESTS = ("kubernetes.yaml", "kubernetes-gateway.yaml")


class KubernetesTests(SynchronousTestCase):
    """The manifests."""

    def setUp(self) -> None:
        self.objects = {name: {each["kind"]: each for each in documents_of(name)} for name in MANIFESTS}
        self.worker, self.gateway = (
            Pod(self.objects[name]["Deployment"]["spec"]["template"]["spec"]) for name in MANIFESTS
        )

    def test_they_fit_the_schemas_of_kubernetes(self) -> None:
        """Strictly: an unknown field is an error, where Kubernetes would ignore it."""
        kubernetes_validate = pytest.importorskip("kubernetes_validate")
        for name in MANIFESTS:
            for each in documents_of(name):
                kubernetes_validate.validate(each, "1.33", strict=True)

    def test_selectors_find_the_pods(self) -> None:
        """Of the Deployment itself, of the Service, the budget and the network policy; with ports that exist."""
        for name, objects in self.objects.items():
            labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
            ports = Pod(objects["Deployment"]["spec"]["template"]["spec"]).ports
            for kind, each in objects.items():
                spec = each["spec"]
                selector = spec.get("selector") or spec["podSelector"]
                self.assertEqual(selector.get("matchLabels", selector), labels, f"{name}: {kind}")
            for port in objects.get("Service", {}).get("spec", {}).get("ports", ()):
                self.assertIn(port["targetPort"], ports)
            for rule in objects.get("NetworkPolicy", {}).get("spec", {}).get("ingress", ()):
                self.assertLessEqual({port["port"] for port in rule["ports"]}, set(ports))

    def test_probes_ask_the_ports_of_the_image(self) -> None:
        """The page of each, and the port by its name."""
        variables = dict(
            word.split("=", 1)
            for instruction in dockerfile(FOLDER / "Dockerfile")
            if instruction.name == "ENV"
            for word in instruction.words
        )
        self.assertEqual(
            self.worker.ports,
            {"health": int(variables["RPC_HEALTH_PORT"]), "metrics": int(variables["RPC_METRICS_PORT"])},
        )
        for probe, path in (("startup", "/live"), ("liveness", "/live"), ("readiness", "/ready")):
            self.assertEqual(self.worker.container[f"{probe}Probe"]["httpGet"], {"path": path, "port": "health"})
        self.assertEqual(self.gateway.container["readinessProbe"]["tcpSocket"], {"port": "thrift"})

    def test_a_blocked_reactor_loses_its_connection_before_its_pod(self) -> None:
        """The broker gives the requests to other workers after 48 seconds: then a restart takes away nothing more."""
        probe = self.worker.container["livenessProbe"]
        self.assertGreater(probe["periodSeconds"] * probe["failureThreshold"], 48)

    def test_calls_in_progress_finish_before_the_pod_is_killed(self) -> None:
        """After the preStop hook, within the drain timeout, and with the time that a worker needs after it."""
        gateway = context_of("gateway", [*self.gateway.container["command"][2:], "--broker", "amqp://localhost"])
        (sleep, pause) = self.gateway.container["lifecycle"]["preStop"]["exec"]["command"]
        self.assertEqual(sleep, "sleep")
        for pod, drain_timeout, before in (
            (self.worker, float(self.worker.variables["RPC_DRAIN_TIMEOUT"]), 0.0),
            (self.gateway, gateway.params["drain_timeout"], float(pause)),
        ):
            self.assertGreaterEqual(pod.spec["terminationGracePeriodSeconds"], before + drain_timeout + GRACE)
        self.assertEqual(gateway.params["framed"], (f"tcp:{self.gateway.ports['thrift']}",))

    def test_variables_are_options_and_the_password_is_a_file_that_is_there(self) -> None:
        """Of the image's user, in a volume with the Secret."""
        for pod in (self.worker, self.gateway):
            self.assertLessEqual(set(pod.variables), {"RPC_BROKER", "RPC_DRAIN_TIMEOUT"})
            (mount,), (volume,) = pod.container["volumeMounts"], pod.spec["volumes"]
            self.assertEqual(mount["name"], volume["name"])
            self.assertIn(f"password_file={mount['mountPath']}/password", pod.variables["RPC_BROKER"])
            user = next(each.text for each in dockerfile(FOLDER / "Dockerfile") if each.name == "USER")
            self.assertEqual(str(pod.spec["securityContext"]["fsGroup"]), user.partition(":")[2])
            self.assertTrue(volume["secret"]["defaultMode"] & 0o040)

    def test_a_new_pod_serves_before_an_old_one_stops(self) -> None:
        """As the restart of a supervisor does."""
        for objects in self.objects.values():
            deployment = objects["Deployment"]["spec"]
            self.assertEqual(deployment["strategy"]["rollingUpdate"], {"maxSurge": 1, "maxUnavailable": 0})
            self.assertGreater(deployment["replicas"], 1)
