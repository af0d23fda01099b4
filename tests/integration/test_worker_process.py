"""Workers as people run them: ``twistd rpc-worker`` and ``.tac`` files as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults, inlineCallbacks
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from tests.processes import WorkerProcess
from tests.support import BrokerTestCase
from tools.processes import twistd

ROOT = Path(__file__).parents[2]

TERMINATED = -signal.SIGTERM
"""How twistd ends in good order: when all is stopped it raises the signal once more, so that init systems see it."""

HELD = 1_000_000
"""The second number of a sum that takes until the file ``released`` is in the worker's folder."""

SERVICE = """
import os
from twisted.internet import reactor, task
from zope.interface import implementer
import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler

class Slow(CalculatorHandler):
    async def add(self, num1, num2):
        print(f"adding {num1}", flush=True)
        if num2 == HELD:
            while not os.path.exists("released"):
                await task.deferLater(reactor, 0.02)
        else:
            await task.deferLater(reactor, num2 / 10)
        return num1 + num2

service = rpc.ThriftService(Calculator, Slow(), name=NAME, concurrency=4)
""".replace("HELD", str(HELD))


def run_twistd(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``twistd -n`` to its end."""
    return subprocess.run(
        twistd(*arguments),
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": str(Path(sys.executable).parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class WorkerProcessTests(BrokerTestCase):
    """A worker process serves, ends in order, and reports errors plainly."""

    timeout = 60.0

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.name = self.unique("Slow")
        (self.folder / "slow.py").write_text(SERVICE.replace("NAME", repr(self.name)))

    def start(self, *arguments: str) -> WorkerProcess:
        """Start a worker in the test's folder, with the project importable."""
        worker = WorkerProcess(*arguments, folder=self.folder, environment={"PYTHONPATH": str(ROOT)})
        self.addCleanup(worker.kill)
        return worker

    def client(self) -> Deferred[Any]:
        """Connect, and give a client of the slow calculator."""

        def connected(connection: rpc.Connection) -> Any:
            self.addCleanup(connection.close)
            return rpc.with_options(connection.client(Calculator, name=self.name), timeout=60.0)

        return rpc.connect(self.url).addCallback(connected)

    @inlineCallbacks
    def test_sigterm_finishes_the_calls_in_progress(self) -> Any:
        """A worker that is told to stop answers the requests in progress, and ends."""
        worker = self.start("rpc-worker", "--broker", self.url, "slow:service")
        worker.wait_until_serving(self.name)
        client = yield self.client()
        call = client.add(7, 5)
        yield deferToThread(worker.wait_for_line, "adding 7")
        worker.send(signal.SIGTERM)
        self.assertEqual((yield call), 12)
        self.assertEqual((yield deferToThread(worker.wait)), TERMINATED, worker.output())

    @inlineCallbacks
    def test_a_second_sigterm_abandons_the_calls_in_progress(self) -> Any:
        """A second signal ends the wait for calls in progress; another worker runs them."""
        first = self.start("rpc-worker", "--broker", self.url, "slow:service")
        first.wait_until_serving(self.name)
        client = yield self.client()
        call = rpc.with_options(client, timeout=120.0).add(7, 300)
        yield deferToThread(first.wait_for_line, "adding 7")
        first.send(signal.SIGTERM)
        # After "Received SIGTERM", a further signal may come before the wait for the call has begun.
        yield deferToThread(first.wait_for_line, "finishing 1 call, at most 30 s")
        first.send(signal.SIGTERM)
        self.assertEqual((yield deferToThread(first.wait)), TERMINATED, first.output())
        self.assertIn("stopping with 1 call in progress", first.output())
        second = self.start("rpc-worker", "--broker", self.url, "slow:service")
        yield deferToThread(second.wait_for_line, "adding 7")
        call.addErrback(lambda failure: failure.trap(CancelledError))
        call.cancel()

    @inlineCallbacks
    def test_requests_that_a_stopping_worker_has_not_begun_go_to_another(self) -> Any:
        """Twenty calls, four at once: those that wait when the worker stops are answered by the next one."""
        first = self.start("rpc-worker", "--broker", self.url, "slow:service")
        first.wait_until_serving(self.name)
        client = yield self.client()
        calls = [client.add(number, HELD) for number in range(20)]
        yield deferToThread(first.wait_for_line, "adding 3")
        first.send(signal.SIGTERM)
        yield deferToThread(first.wait_for_line, "finishing 4 calls")
        (self.folder / "released").touch()
        second = self.start("rpc-worker", "--broker", self.url, "slow:service")
        self.assertEqual((yield gatherResults(calls)), [number + HELD for number in range(20)])
        yield deferToThread(first.wait)
        self.assertEqual(first.output().count("adding "), 4, first.output())
        second.send(signal.SIGTERM)
        yield deferToThread(second.wait)

    @inlineCallbacks
    def test_requests_of_a_killed_worker_are_run_by_another(self) -> Any:
        """A worker that is killed has its requests run by another: acks come after replies."""
        first = self.start("rpc-worker", "--broker", self.url, "slow:service")
        first.wait_until_serving(self.name)
        client = yield self.client()
        calls = [client.add(number, 5) for number in range(8)]
        yield deferToThread(first.wait_for_line, "adding 3")
        first.send(signal.SIGKILL)
        self.start("rpc-worker", "--broker", self.url, "slow:service")
        self.assertEqual((yield gatherResults(calls)), [number + 5 for number in range(8)])

    @inlineCallbacks
    def test_serves_from_a_tac_file(self) -> Any:
        """A .tac file serves with the same Worker."""
        worker = self.tac()
        client = yield self.client()
        self.assertEqual((yield client.add(1, 1)), 2)
        worker.send(signal.SIGTERM)
        self.assertEqual((yield deferToThread(worker.wait)), TERMINATED)

    def tac(self) -> WorkerProcess:
        """Start a worker of a .tac file."""
        (self.folder / "slow.tac").write_text(
            dedent(f"""
            from twisted.application.service import Application
            import rpc, slow
            application = Application("slow")
            rpc.Worker({self.url!r}, [slow.service], drain_timeout=100.0).setServiceParent(application)
            """)
        )
        environment = {"PYTHONPATH": f"{ROOT}:{self.folder}"}
        worker = WorkerProcess("-y", "slow.tac", folder=self.folder, environment=environment)
        self.addCleanup(worker.kill)
        worker.wait_until_serving(self.name)
        return worker

    @inlineCallbacks
    def test_a_second_signal_ends_a_worker_of_a_tac_file(self) -> Any:
        """Its drain timeout is far away. SIGHUP counts as a signal, too."""
        for number, first, further in (
            (7, signal.SIGTERM, signal.SIGTERM),
            (8, signal.SIGHUP, signal.SIGINT),  # with another number: the broker delivers the first request again
        ):
            worker = self.tac()
            client = yield self.client()
            call = rpc.with_options(client, timeout=120.0).add(number, 300)
            call.addErrback(lambda failure: failure.trap(CancelledError, rpc.ConnectionLost))
            yield deferToThread(worker.wait_for_line, f"adding {number}")
            worker.send(first)
            yield deferToThread(worker.wait_for_line, f"Received {first.name}")
            worker.send(further)
            ended = yield deferToThread(worker.wait)
            self.assertEqual(ended, -first if first is signal.SIGTERM else 0, worker.output())
            self.assertRegex(worker.output(), "stopping with . calls? in progress")
            self.assertNotIn("Traceback", worker.output())
            call.cancel()

    @inlineCallbacks
    def test_sighup_finishes_the_calls_in_progress(self) -> Any:
        """The log has it. A service manager starts the worker again, or the terminal is gone."""
        for start in (self.tac, lambda: self.start("rpc-worker", "--broker", self.url, "slow:service")):
            worker = start()
            worker.wait_until_serving(self.name)
            client = yield self.client()
            call = client.add(7, 5)
            yield deferToThread(worker.wait_for_line, "adding 7")
            worker.send(signal.SIGHUP)
            self.assertEqual((yield call), 12)
            self.assertEqual((yield deferToThread(worker.wait)), 0, worker.output())
            self.assertIn("Received SIGHUP, shutting down.", worker.output())

    @inlineCallbacks
    def test_finds_modules_and_files_in_the_rundir(self) -> Any:
        """As the daemon will have them: twistd changes the folder after the command line was read."""
        (self.folder / "url").write_text(self.url)
        for rundir in (str(self.folder), self.folder.name):
            worker = WorkerProcess(
                *("--rundir", rundir, "rpc-worker", "slow:service"),
                folder=self.folder.parent,
                environment={"PYTHONPATH": str(ROOT), "RPC_BROKER_FILE": "url"},
            )
            self.addCleanup(worker.kill)
            worker.wait_until_serving(self.name)
            client = yield self.client()
            self.assertEqual((yield client.add(1, 1)), 2)
            worker.send(signal.SIGTERM)
            self.assertEqual((yield deferToThread(worker.wait)), TERMINATED, worker.output())

    def test_the_password_is_not_logged(self) -> None:
        """A refused login is told, with the user's name and without the password, and tried again."""
        url = self.url.replace("guest:guest", "guest:wrong-secret")
        worker = self.start("rpc-worker", "--on-refusal", "wait", "--broker", url, "slow:service")
        self.assertIn("403", worker.wait_for_line("no connection to"))
        worker.wait_for_line("no connection to")
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.wait(), TERMINATED)
        self.assertNotIn("wrong-secret", worker.output())


class MistakeTests(BrokerTestCase):
    """A wrong command line gives one message on standard error, and status 1."""

    def refused(self, *arguments: str, files: dict[str, str] | None = None, before: tuple[str, ...] = ()) -> str:
        """Run a worker that must not start; return its error.

        :param before: options of twistd itself.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        for name, text in (files or {}).items():
            (folder / name).write_text(dedent(text))
        ended = run_twistd(*before, "rpc-worker", *arguments, folder=folder)
        self.assertEqual(ended.returncode, 1, ended.stdout)
        self.assertNotIn("Traceback", ended.stderr)
        return ended.stderr

    def test_rejects_a_command_without_service(self) -> None:
        """Without a service, the usage is shown."""
        self.assertIn("name at least one service", self.refused())

    def test_rejects_a_rundir_that_does_not_exist(self) -> None:
        """Before twistd would fail with a traceback."""
        said = self.refused("slow:service", before=("--rundir", "nowhere"))
        self.assertEqual(said, "rpc-worker: --rundir=nowhere: No such file or directory\n")

    def test_rejects_a_user_who_cannot_read_python_or_the_service(self) -> None:
        """The error names the user, Python and the reason."""
        if os.getuid():
            self.skipTest("only root can change the user")
        said = self.refused(
            "slow:service", files={"slow.py": SERVICE.replace("NAME", "'Slow'")}, before=("--uid", "nobody")
        )
        self.assertIn(f"--uid: user nobody cannot run this program with {sys.executable}: ", said)
        self.assertIn("in folders that this user can read", said)

    def test_rejects_a_version_of_amqp_that_it_does_not_know(self) -> None:
        """The versions that it knows are named."""
        said = self.refused("--spec", "0-7", "slow:service", files={"slow.py": SERVICE.replace("NAME", "'Slow'")})
        self.assertIn("rpc-worker: spec='0-7': is no definition of AMQP", said)

    def test_rejects_a_service_without_colon(self) -> None:
        """A name without a colon."""
        self.assertIn("write it as MODULE:SERVICE", self.refused("services.calculator"))

    def test_rejects_a_module_that_does_not_exist(self) -> None:
        """A module that does not exist."""
        self.assertIn("there is no module 'nowhere' in ", self.refused("nowhere:service"))

    def test_rejects_a_module_that_raises(self) -> None:
        """The message has the exception and the line."""
        said = self.refused("broken:service", files={"broken.py": "import os\n1 / 0\n"})
        self.assertIn("ZeroDivisionError: division by zero", said)
        self.assertIn("broken.py, line 2", said)

    def test_rejects_a_module_without_the_service(self) -> None:
        """A module without the service."""
        self.assertIn("has no 'service'", self.refused("empty:service", files={"empty.py": ""}))

    def test_rejects_an_attribute_that_is_no_service(self) -> None:
        """An attribute that is something else."""
        self.assertIn(
            "is of the type int, not an rpc.ThriftService", self.refused("m:service", files={"m.py": "service = 1"})
        )

    def test_rejects_a_handler_that_lacks_a_method(self) -> None:
        """The missing methods are named, with their arguments."""
        source = """
            import rpc
            from generated.calculator import Calculator
            class Handler:
                def add(self, num1, num2): return num1 + num2
            service = rpc.ThriftService(Calculator, Handler())
        """
        said = self.refused("lacking:service", files={"lacking.py": source})
        self.assertIn("the handler Handler lacks", said)
        self.assertIn("calculate(logid, w)", said)
        self.assertNotIn("add(", said)

    def test_rejects_a_broker_url_that_cannot_be_parsed(self) -> None:
        """A URL that cannot be understood."""
        self.assertIn("amqp", self.refused("--broker", "http://localhost", "services.calculator:service"))

    def test_help_describes_each_option(self) -> None:
        """Each option is there."""
        ended = run_twistd("rpc-worker", "--help", folder=Path.cwd())
        self.assertEqual(ended.returncode, 0)
        for option in ("--broker", "--drain-timeout", "MODULE:SERVICE"):
            self.assertIn(option, ended.stdout)
