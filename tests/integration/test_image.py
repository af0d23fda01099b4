"""The Dockerfile of ``examples/operations/`` is followed, and its command started as Kubernetes starts it: process 1,
not root, on a file system that is read only, with the password in a file.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import unittest
from pathlib import Path
from typing import ClassVar

from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from tests.integration.documents import ROOT
from tests.integration.image import Image, build
from tests.integration.operations import FOLDER, documents_of
from tests.integration.serve_case import get
from tests.integration.test_packaging import build_wheel
from tests.namespaces import may_mount
from tests.support import BrokerTestCase
from tools.nodes.rabbitmq import free_ports
from tools.processes import Process

NAME = "Glossary"
SECRET = "/run/secrets/broker"

SERVICE = f"""
import os
from twisted.internet import reactor, task
import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler

class Held(CalculatorHandler):
    async def add(self, num1, num2):
        print(f"adding {{num1}}", flush=True)
        while not os.path.exists("{SECRET}/go"):
            await task.deferLater(reactor, 0.05)
        return num1 + num2

service = rpc.ThriftService(Calculator, Held(), name="{NAME}")
"""
"""Its calls end when the test has put a file into the folder of the secret."""


@unittest.skipUnless(may_mount(), "no file system can be mounted here: only root may, with CAP_SYS_ADMIN")
class ImageTests(BrokerTestCase):
    """The image has a service of these tests as its ``services.glossary``."""

    timeout = 200.0
    image: ClassVar[Image]

    def setUp(self) -> None:
        """Build once for all tests."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        if not hasattr(ImageTests, "image"):
            context = self.folder / "context"
            shutil.copytree(ROOT / "generated", context / "generated")
            shutil.copytree(ROOT / "services", context / "services")
            (context / "services/glossary.py").write_text(SERVICE)
            (context / "wheels").mkdir()
            shutil.move(build_wheel(self.folder), context / "wheels")
            ImageTests.image = build(FOLDER / "Dockerfile", context, self.folder / "images")
        self.virtual = self.virtual_host()
        self.ports = dict(zip(("RPC_HEALTH_PORT", "RPC_METRICS_PORT"), map(str, free_ports(2)), strict=True))
        self.secret = self.folder / "secret"
        self.secret.mkdir()
        password = self.secret / "password"
        password.write_text("guest\n")
        os.chown(password, 0, 10001)
        password.chmod(0o440)

    def start(self, *words: str) -> Process:
        """Start a container, with the variables of the manifest but for the broker and the ports."""
        url = self.virtual.replace("guest:guest", "guest") + f"?password_file={SECRET}/password"
        command = self.image.command(
            words or self.image.start_command,
            variables={**self.ports, "RPC_BROKER": url},
            mounts={self.secret: SECRET},
            container=True,
        )
        container = Process("container", command, folder=self.folder)
        self.addCleanup(container.kill)
        return container

    async def test_serves_is_healthy_and_finishes_its_calls_on_sigterm(self) -> None:
        """With status 0. Killed in between, it starts again."""
        connection = await rpc.connect(self.virtual)
        self.addCleanup(connection.close)
        client = connection.client(Calculator, name=NAME, timeout=60.0)
        url = f"http://127.0.0.1:{self.ports['RPC_HEALTH_PORT']}"
        calls = []
        for how in (signal.SIGKILL, signal.SIGTERM):
            container = self.start()
            await deferToThread(container.wait_for, f"serving {NAME} from")
            self.assertEqual((await deferToThread(get, f"{url}/ready"))[0], 200)
            status, page = await deferToThread(get, f"http://127.0.0.1:{self.ports['RPC_METRICS_PORT']}/metrics")
            self.assertEqual(status, 200)
            self.assertIn("rpc_server_concurrency_limit", page)
            await deferToThread(self.check_health)
            calls.append(client.add(7, 20))
            for _ in calls:  # also that of the killed container
                await deferToThread(container.wait_for_line, "adding 7")
            os.kill(first_process(container), how)
        await deferToThread(container.wait_for, "finishing ")
        self.assertEqual((await deferToThread(get, f"{url}/ready"))[0], 503)
        (self.secret / "go").touch()
        self.assertEqual([await call for call in calls], [27, 27])
        self.assertEqual(await deferToThread(container.wait), 0, container.output())
        for wrong in ("Traceback", "read only", "Unable"):
            self.assertNotIn(wrong, container.output())

    def check_health(self) -> None:
        """Run the image's health check, which has its own port."""
        port = self.image.variables["RPC_HEALTH_PORT"]
        words = [word.replace(port, self.ports["RPC_HEALTH_PORT"]) for word in self.image.health_command]
        done = subprocess.run(
            self.image.command(words), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    async def test_the_gateway_is_started_from_the_same_image(self) -> None:
        """By the command of its manifest, on another port."""
        (deployment, _) = documents_of("kubernetes-gateway.yaml")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        port = self.ports["RPC_HEALTH_PORT"]
        gateway = self.start(*(word.replace("9090", f"{port}:interface=127.0.0.1") for word in container["command"]))
        await deferToThread(gateway.wait_for, "the gateway listens on ")
        os.kill(first_process(gateway), signal.SIGTERM)
        self.assertEqual(await deferToThread(gateway.wait), 0, gateway.output())
        self.assertNotIn("Traceback", gateway.output())


def first_process(container: Process) -> int:
    """Return the process id that process 1 of a container has outside."""
    (child,) = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
    return int(child)
