"""A worker that the broker refuses for good ends its process with a status, unless it is to wait."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread

from tests.processes import WorkerProcess
from tests.support import BrokerTestCase
from tools.nodes.rabbitmq import RabbitMQNode, free_ports

ROOT = Path(__file__).parents[2]

TERMINATED = -signal.SIGTERM

SERVICE = """
import atexit, os
import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler

atexit.register(os.write, 1, b"the module has cleaned up\\n")  # twistd logs no prints any more
service = rpc.ThriftService(Calculator, CalculatorHandler(), name=NAME)
"""

TAC = """
from twisted.application.service import Application
import rpc, adder
application = Application("adder")
rpc.Worker(URL, [adder.service], on_refusal="exit").setServiceParent(application)
"""


class RefusedWorkerTestCase(BrokerTestCase):
    """A service in a module of its own."""

    timeout = 60.0

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.name = self.unique("Adder")
        (self.folder / "adder.py").write_text(SERVICE.replace("NAME", repr(self.name)))

    @property
    def wrong_password(self) -> str:
        """The broker's URL with a password that it rejects."""
        return self.url.replace("guest:guest", "guest:wrong-secret")

    def start(self, *arguments: str) -> WorkerProcess:
        """Start a worker in the test's folder, with the project importable."""
        environment = {"PYTHONPATH": f"{ROOT}:{self.folder}"}
        worker = WorkerProcess(*arguments, folder=self.folder, environment=environment)
        self.addCleanup(worker.kill)
        return worker

    def check_refused(self, worker: WorkerProcess, reason: str) -> None:
        """Check that a worker ends with status 1, and with one line that says why, after all other clean-up."""
        self.assertEqual(worker.wait(), 1, worker.output())
        output = worker.output()
        said = [line for line in output.splitlines() if "the worker ends" in line]
        self.assertEqual(len(said), 1, output)
        self.assertIn(reason, said[0])
        self.assertIn("--on-refusal wait", said[0])
        self.assertIn("the module has cleaned up", output)
        self.assertNotIn("Traceback", output)
        self.assertNotIn("wrong-secret", output)


class RefusedWorkerTests(RefusedWorkerTestCase):
    """On both brokers."""

    def test_ends_when_the_password_is_wrong(self) -> None:
        """The line has the code and the user's name, and no password."""
        worker = self.start("rpc-worker", "--broker", self.wrong_password, "adder:service")
        self.check_refused(worker, "403 ")
        self.assertIn("user 'guest'", worker.output())

    def test_ends_when_there_is_no_such_virtual_host(self) -> None:
        """The line has the virtual host."""
        worker = self.start("rpc-worker", "--broker", f"{self.url}/nowhere", "adder:service")
        self.check_refused(worker, "virtual host 'nowhere'")

    def test_ends_when_it_runs_from_a_tac_file(self) -> None:
        """The same Worker does the same."""
        (self.folder / "adder.tac").write_text(TAC.replace("URL", repr(self.wrong_password)))
        self.check_refused(self.start("-y", "adder.tac"), "403 ")

    def test_rejects_another_value_of_the_option(self) -> None:
        """In one line. A worker without a program around it has nothing to fail."""
        worker = self.start("rpc-worker", "--on-refusal", "fail", "adder:service")
        self.assertEqual(worker.wait(), 1)
        self.assertIn("rpc-worker: --on-refusal: 'fail' is not one of 'exit', 'wait'", worker.output())

    def test_ends_as_a_daemon(self) -> None:
        """The daemon ends as well, with the line in its log, and leaves no pid file."""
        command = [str(Path(sys.executable).with_name("twistd")), "--pidfile=worker.pid", "--logfile=worker.log"]
        started = subprocess.run(
            [*command, "rpc-worker", "--broker", self.wrong_password, "adder:service"],
            cwd=self.folder,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(started.returncode, 0, started.stderr)  # the parent ends before the daemon connects
        log, pid_file = self.folder / "worker.log", self.folder / "worker.pid"
        limit = time.monotonic() + 60
        while pid_file.exists() and time.monotonic() < limit:
            time.sleep(0.02)
        self.assertFalse(pid_file.exists(), log.read_text())
        self.assertIn("the worker ends", log.read_text())
        self.assertNotIn("Traceback", log.read_text())

    def test_keeps_trying_when_it_is_told_to(self) -> None:
        """With ``--on-refusal wait`` the worker tries again, until it is stopped."""
        worker = self.start("rpc-worker", "--on-refusal", "wait", "--broker", self.wrong_password, "adder:service")
        worker.wait_for("no connection to", times=2)
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.wait(), TERMINATED)
        self.assertNotIn("the worker ends", worker.output())

    def test_waits_for_a_broker_that_cannot_be_reached(self) -> None:
        """A broker may be started after its workers."""
        worker = self.start("rpc-worker", "--broker", f"amqp://127.0.0.1:{free_ports(1)[0]}", "adder:service")
        worker.wait_for("no connection to", times=2)
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.wait(), TERMINATED)

    def test_is_served_by_another_host_that_accepts_it(self) -> None:
        """A host that cannot be reached comes first."""
        hosts = f"127.0.0.1:{free_ports(1)[0]},127.0.0.1:{self.broker.port}"
        worker = self.start("rpc-worker", "--broker", f"amqp://{hosts}", "adder:service")
        worker.wait_until_serving(self.name)


@pytest.mark.rabbitmq_only("the embedded broker has no permissions")
class PermissionTests(RefusedWorkerTestCase):
    """Permissions and passwords that are changed at the broker."""

    broker: ClassVar[RabbitMQNode]

    def user(self, configure: str) -> str:
        """Add a user with the permission to configure the names that match the pattern. Return a URL."""
        name = self.unique("user")
        self.broker.ctl("add_user", name, "secret")
        self.broker.ctl("set_permissions", name, configure, ".*", ".*")
        return self.url.replace("guest:guest", f"{name}:secret")

    def test_ends_when_it_may_not_declare_its_queue(self) -> None:
        """The line names the queue."""
        worker = self.start(
            "rpc-worker",
            "--broker",
            self.user(r"^(amq\..*|rpc|rpc\.broadcast|rpc\.dead|rpc\.worker\..*)$"),
            "adder:service",
        )
        self.check_refused(worker, f"access to queue 'rpc.{self.name}'")

    def test_ends_when_the_user_may_not_enter_the_virtual_host(self) -> None:
        """The virtual host exists."""
        name = self.unique("user")
        self.broker.ctl("add_user", name, "secret")
        worker = self.start(
            "rpc-worker", "--broker", self.url.replace("guest:guest", f"{name}:secret"), "adder:service"
        )
        self.check_refused(worker, "virtual host '/'")

    def test_waits_while_the_virtual_host_has_too_many_connections(self) -> None:
        """RabbitMQ's code is the same as for a virtual host that does not exist. Other connections end."""
        name = self.unique("vhost")
        self.broker.add_virtual_host(name)
        self.broker.ctl("set_vhost_limits", "-p", name, '{"max-connections": 0}')
        worker = self.start("rpc-worker", "--broker", f"{self.url}/{name}", "adder:service")
        worker.wait_for("no connection to", times=2)
        self.assertIn("connection limit (0) is reached", worker.output())
        self.broker.ctl("clear_vhost_limits", "-p", name)
        worker.wait_until_serving(self.name)

    @inlineCallbacks
    def test_keeps_trying_when_it_has_served(self) -> Any:
        """The password is changed while the worker serves, and changed back."""
        url = self.user(".*")
        user = url.partition("://")[2].partition(":")[0]
        worker = self.start("rpc-worker", "--broker", url, "adder:service")
        yield deferToThread(worker.wait_until_serving, self.name)
        yield deferToThread(self.broker.ctl, "change_password", user, "another")
        yield deferToThread(self.broker.ctl, "close_all_user_connections", user, "the test")
        yield deferToThread(worker.wait_for, "no connection to", times=2)
        self.assertIn("403", worker.output())
        yield deferToThread(self.broker.ctl, "change_password", user, "secret")
        yield deferToThread(worker.wait_for, f"serving {self.name} from", times=2)
        self.assertNotIn("the worker ends", worker.output())
