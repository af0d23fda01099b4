"""The embedded broker as people run it: ``twistd rpc-broker`` as a process of its own."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path
from typing import Any

import pika
import pika.exceptions
from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

import rpc
from generated.calculator import Calculator
from tests.integration.test_worker_process import TERMINATED, run_twistd
from tests.processes import BrokerProcess, WorkerProcess
from tools.processes import Process, twistd

ROOT = Path(__file__).parents[2]


class BrokerProcessCase(SynchronousTestCase):
    """A test case that starts brokers in a folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def start(self, *arguments: str) -> tuple[BrokerProcess, str]:
        """Start a broker; return it, once it listens, with ``host:port``."""
        broker = BrokerProcess(*arguments, folder=self.folder)
        self.addCleanup(broker.kill)
        return broker, broker.wait_until_listening()

    def stop(self, broker: BrokerProcess) -> None:
        """Have it end in good order."""
        broker.send(signal.SIGTERM)
        self.assertEqual(broker.wait(), TERMINATED)
        self.assertIn("Server Shut Down.", broker.output())
        self.assertNotIn("Traceback", broker.output())


class BrokerProcessTests(BrokerProcessCase):
    """A broker process states its purpose, checks users, keeps durable state, and ends in order."""

    def setUp(self) -> None:
        super().setUp()
        self.connections: list[pika.BlockingConnection] = []

    def connect(self, address: str, user: str = "guest:guest", vhost: str = "%2F") -> pika.BlockingConnection:
        """Connect to a broker with pika."""
        connection = pika.BlockingConnection(pika.URLParameters(f"amqp://{user}@{address}/{vhost}"))
        self.connections.append(connection)
        return connection

    def stop(self, broker: BrokerProcess) -> None:
        # Blocking clients do not answer when the broker takes leave of them, and it would wait.
        while self.connections:
            with contextlib.suppress(pika.exceptions.ConnectionWrongStateError):  # it was closed
                self.connections.pop().close()
        super().stop(broker)

    def test_warns_that_it_is_not_for_production(self) -> None:
        """It says so when it starts."""
        broker, address = self.start()
        self.assertTrue(address.startswith("127.0.0.1:"), address)
        self.assertIn("not for production", broker.output())
        self.connect(address).close()  # until it has done something, a signal ends it without more ado
        self.stop(broker)

    def test_admits_named_users_and_not_guest(self) -> None:
        """Named users log in with their passwords, guest does not; a rejected login leaves no password in the log."""
        broker, address = self.start("--user", "alice:s3cret", "--user", "bob:a:b")
        self.connect(address, "alice:s3cret").close()
        self.connect(address, "bob:a%3Ab").close()
        for refused in ("guest:guest", "alice:a%3Ab"):
            self.assertRaises(pika.exceptions.ProbableAuthenticationError, self.connect, address, refused)
        self.stop(broker)
        self.assertNotIn("s3cret", broker.output())

    def test_a_named_virtual_host_has_queues_of_its_own(self) -> None:
        """A virtual host that was named has queues of its own."""
        broker, address = self.start("--vhost", "trial")
        self.connect(address, vhost="trial").channel().queue_declare("only.there")
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as closed:
            self.connect(address).channel().queue_declare("only.there", passive=True)
        self.assertEqual(closed.exception.reply_code, 404)
        self.stop(broker)

    def test_state_survives_a_restart(self) -> None:
        """Only durable objects are there again after a stop."""
        broker, address = self.start("--state", "state.sqlite3")
        channel = self.connect(address).channel()
        channel.queue_declare("kept", durable=True)
        channel.queue_declare("forgotten")
        channel.confirm_delivery()
        for mode, body in ((2, b"persistent"), (1, b"transient")):
            channel.basic_publish("", "kept", body, pika.BasicProperties(delivery_mode=mode))
        self.stop(broker)
        self.assertTrue((self.folder / "state.sqlite3").exists())

        again, address = self.start("--state", "state.sqlite3")
        channel = self.connect(address).channel()
        self.assertEqual(channel.queue_declare("kept", passive=True).method.message_count, 1)
        self.assertEqual(channel.basic_get("kept", auto_ack=True)[2], b"persistent")
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker):
            channel.queue_declare("forgotten", passive=True)
        self.stop(again)

    def test_finds_files_in_the_rundir(self) -> None:
        """The users and the state, as a worker finds its modules. A folder that is missing is named in one line."""
        inside = self.folder / "inside"
        inside.mkdir()
        (inside / "users").write_text("alice:secret\n")
        words = ("rpc-broker", "--port", "0", "--users", "users", "--state", "state.sqlite3")
        broker = Process("broker", twistd("--rundir", "inside", *words), folder=self.folder)
        self.addCleanup(broker.kill)
        broker.wait_for("the embedded broker listens on ")
        self.assertTrue((inside / "state.sqlite3").exists())
        ended = run_twistd("--rundir", "nowhere", *words, folder=self.folder)
        told = "rpc-broker: --rundir=nowhere: No such file or directory\n"
        self.assertEqual((ended.returncode, ended.stderr), (1, told))


class WorkerOnItTests(BrokerProcessCase, TestCase):
    """A worker on the broker."""

    timeout = 60.0

    @inlineCallbacks
    def test_a_worker_serves_a_call_through_it(self) -> Any:
        """A worker process serves a call through a broker process."""
        broker, address = self.start()
        url = f"amqp://guest:guest@{address}"
        worker = WorkerProcess(
            "rpc-worker",
            "services.calculator:service",
            folder=self.folder,
            environment={"PYTHONPATH": str(ROOT), "RPC_BROKER": url},
        )
        self.addCleanup(worker.kill)
        worker.wait_until_serving("Calculator")
        connection = yield rpc.connect(url)
        self.assertEqual((yield connection.client(Calculator).add(2, 3)), 5)
        yield connection.close()
        worker.send(signal.SIGTERM)
        self.assertEqual((yield deferToThread(worker.wait)), TERMINATED)
        yield deferToThread(self.stop, broker)


class MistakeTests(BrokerProcessCase):
    """A broker that cannot start prints one line, and ends with status 1."""

    def refused(self, *arguments: str) -> str:
        """Run a broker that must not start; return the line."""
        ended = run_twistd("rpc-broker", *arguments, folder=self.folder)
        said = [line for line in (ended.stdout + ended.stderr).splitlines() if "rpc-broker: " in line]
        self.assertEqual((ended.returncode, len(said)), (1, 1), ended.stdout + ended.stderr)
        self.assertNotIn("Traceback", ended.stdout + ended.stderr)
        self.assertNotIn("Unhandled", ended.stdout + ended.stderr)
        self.assertEqual([path.name for path in self.folder.glob("*.pid")], [])
        return said[0].partition("rpc-broker: ")[2]

    def test_rejects_an_option_that_cannot_be_used(self) -> None:
        """An option that cannot be used, told on standard error."""
        self.assertEqual(self.refused("--user", "alice"), "--user: write it as NAME:PASSWORD")

    def test_says_that_a_port_is_taken(self) -> None:
        """The address is named, and the reason."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            said = self.refused("--port", str(taken.getsockname()[1]))
            self.assertIn(f"127.0.0.1:{taken.getsockname()[1]}", said)
            self.assertIn("Address already in use", said)

    def test_says_that_an_interface_is_not_of_this_machine(self) -> None:
        """An address that this machine does not have (RFC 5737 keeps this one for documents)."""
        self.assertIn("192.0.2.1", self.refused("--port", "0", "--interface", "192.0.2.1"))

    def test_says_that_a_state_file_cannot_be_opened(self) -> None:
        """The file is named."""
        self.assertIn("no-such-folder/state", self.refused("--port", "0", "--state", "no-such-folder/state"))
        (self.folder / "letter.txt").write_text("Dear reader, this is no data base. " * 100)
        self.assertIn("letter.txt", self.refused("--port", "0", "--state", "letter.txt"))

    def test_help_describes_each_option(self) -> None:
        """--help describes each option, and warns that a password there is no secret."""
        ended = run_twistd("rpc-broker", "--help", folder=self.folder)
        self.assertEqual(ended.returncode, 0)
        for text in ("--port", "--interface", "--user", "--vhost", "--state", "--memory-limit", "not for production"):
            self.assertIn(text, ended.stdout)
        self.assertIn("Every user of this machine can read", " ".join(ended.stdout.split()))
