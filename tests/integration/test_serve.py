"""``thrift-rpc serve`` in one process: it serves, tells its state, and ends with a status that says how."""

from __future__ import annotations

import json
import signal
import socket
import sys
import unittest
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.integration.serve_case import HELD, ROOT, SERVICE, ServeTestCase
from tests.namespaces import container
from tools.nodes.rabbitmq import free_ports
from tools.processes import Process

READY = (200, "ready: all services are consumed")

ASYNCIO_SERVICE = """
import asyncio
import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler

class Sleeping(CalculatorHandler):
    async def add(self, num1, num2):
        await asyncio.sleep(0.01)
        return num1 + num2

service = rpc.ThriftService(Calculator, Sleeping(), name=NAME)
"""


class ServeTests(ServeTestCase):
    """One process."""

    @inlineCallbacks
    def test_serves_and_finishes_its_calls_on_sigterm(self) -> Any:
        """Meanwhile /ready is 503, /live is 200, and the ready file is gone. There is no pid file."""
        ready = self.folder / "ready"
        program = self.serve("--health-port", "0", "--ready-file", str(ready), "slow:service")
        url = yield deferToThread(program.health_url)
        program.wait_for(f"serving {self.name} from")
        self.assertEqual((yield self.get(f"{url}/ready")), READY)
        self.assertEqual((yield self.get(f"{url}/live")), (200, "live"))
        self.assertEqual(ready.read_text(), f"{program.pid}\n")
        client = yield self.client()
        call = client.add(7, HELD)
        yield deferToThread(program.wait_for_line, "adding 7")
        program.send(signal.SIGTERM)
        yield deferToThread(program.wait_for_line, "finishing 1 call")
        self.assertEqual((yield self.get(f"{url}/ready")), (503, "not ready: stopping, or stopped"))
        self.assertEqual((yield self.get(f"{url}/live")), (200, "live"))
        self.assertFalse(ready.exists())
        self.release()
        self.assertEqual((yield call), 7 + HELD)
        self.assertEqual((yield deferToThread(program.wait)), 0, program.output())
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["slow.py"])

    @inlineCallbacks
    def test_handlers_that_use_asyncio_are_served_by_its_reactor(self) -> Any:
        """In this process and in worker processes."""
        self.write_module(ASYNCIO_SERVICE)
        client = yield self.client()
        for more in ((), ("--workers", "1")):
            program = self.serve("--reactor", "asyncio", *more, "slow:service")
            yield deferToThread(program.wait_for, f"serving {self.name} from")
            self.assertEqual((yield client.add(1, 2)), 3)
            program.send(signal.SIGTERM)
            self.assertEqual((yield deferToThread(program.wait)), 0, program.output())

    def test_sighup_ends_it_and_a_quiet_log_has_only_what_needs_action(self) -> None:
        """As a closed terminal sends it. A line about a broker that is gone would be there."""
        ready = self.folder / "ready"
        program = self.serve("--log-level", "warn", "--ready-file", str(ready), "slow:service")
        program.wait_until(lambda: ready.exists() or None, "was not ready", 60)
        program.send(signal.SIGHUP)
        self.assertEqual(program.wait(), 0, program.output())
        self.assertEqual(program.output(), "")
        port = free_ports(1)[0]
        program = self.serve(
            "--log-level", "warn", "--connect-timeout", "0.5", "slow:service", url=f"amqp://127.0.0.1:{port}"
        )
        self.assertEqual(program.wait(60), 1, program.output())
        self.assertIn(" warn ", program.output())
        self.assertIn("no connection to amqp://", program.output())
        self.assertNotIn(" info ", program.output())

    @inlineCallbacks
    def test_a_second_signal_ends_it_at_once(self) -> Any:
        """The call in progress is given up."""
        program = self.serve("slow:service")
        program.wait_for(f"serving {self.name} from")
        client = yield self.client()
        client.add(7, HELD).addErrback(lambda _: None)
        yield deferToThread(program.wait_for_line, "adding 7")
        program.send(signal.SIGINT)
        yield deferToThread(program.wait_for_line, "finishing 1 call")
        program.send(signal.SIGINT)
        self.assertEqual((yield deferToThread(program.wait)), 0, program.output())
        self.assertIn("stopping with 1 call in progress", program.output())

    def test_tells_the_service_manager_its_state(self) -> None:
        """READY when it serves, WATCHDOG before half of the time is over, STOPPING when it stops."""
        path = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(30)
            program = self.serve("slow:service", NOTIFY_SOCKET=str(path), WATCHDOG_USEC="1000000")

            def lines_until(wanted: str) -> list[str]:
                """Return all that is told, to a line."""
                lines: list[str] = []
                while wanted not in lines:
                    lines += manager.recv(4096).decode().splitlines()
                return lines

            self.assertIn("X_READINESS=DISCONNECTED", lines_until("READY=1"))
            program.wait_for(f"serving {self.name} from")
            lines_until("WATCHDOG=1")
            lines_until("WATCHDOG=1")
            program.send(signal.SIGTERM)
            self.assertIn("X_READINESS=STOPPING", lines_until("STOPPING=1"))
            self.assertEqual(program.wait(), 0, program.output())

    @inlineCallbacks
    def test_options_come_from_command_line_environment_and_file(self) -> Any:
        """In this order. The log is JSON by the file, and names slow calls by the environment."""
        config = self.folder / "serve.toml"
        config.write_text(
            'broker = "amqp://nowhere.invalid"\nservices = ["slow:service"]\nlog-format = "json"\n'
            "slow_call = 30\nhealth-port = 0\ndrain-timeout = 0.5\n"
        )
        program = self.serve("--drain-timeout", "20", RPC_CONFIG=str(config), RPC_SLOW_CALL="0.05")
        program.wait_for(f"serving {self.name} from")
        client = yield self.client()
        self.assertEqual((yield client.add(1, 2)), 3)
        call = client.add(7, HELD)
        yield deferToThread(program.wait_for_line, "adding 7")
        program.send(signal.SIGTERM)
        yield deferToThread(program.wait_for_line, "finishing 1 call")
        self.release()
        self.assertEqual((yield call), 7 + HELD)
        self.assertEqual((yield deferToThread(program.wait)), 0, program.output())
        events = [json.loads(line) for line in program.output().splitlines()]
        messages = [event["message"] for event in events]
        slow = next(message for message in messages if message.startswith("slow call: "))
        self.assertRegex(slow, rf"slow call: {self.name}\.add took \d+\.\d\d s, and returned; message id .+")
        self.assertIn(f"{self.name}: finishing 1 call, at most 20 s", messages)
        self.assertEqual({event["process"] for event in events}, {program.pid})

    def test_ends_when_the_broker_lets_nobody_in(self) -> None:
        """With status 1 and the reason: a wrong password that it would wait for, and a port without a broker."""
        # Long enough for the broker to answer: the message then has its reason.
        arguments = ("--connect-timeout", "5", "--on-refusal", "wait", "slow:service")
        for url, reason in (
            (self.wrong_password, "ACCESS_REFUSED"),
            (f"amqp://127.0.0.1:{free_ports(1)[0]}", "refused"),
        ):
            program = self.serve(*arguments, url=url)
            self.assertEqual(program.wait(60), 1, program.output())
            self.assertIn("the worker ends: for 5 s, not all services could be consumed: ", program.output())
            self.assertIn(reason, program.output())

    @inlineCallbacks
    def test_says_that_there_is_no_connection(self) -> Any:
        """Not only that services are not consumed: the operator looks at the broker then, not at queues."""
        program = self.serve("--health-port", "0", "slow:service", url=f"amqp://127.0.0.1:{free_ports(1)[0]}")
        url = yield deferToThread(program.health_url)
        answer = yield self.get(f"{url}/ready")
        self.assertEqual(answer, (503, "not ready: no connection to the broker; the log has the reason"))

    def test_ends_when_a_queue_has_other_arguments(self) -> None:
        """The queue of an earlier version stays, and is waited for as long as the timeout says."""
        program = self.serve("slow:service")
        program.wait_for(f"serving {self.name} from")
        program.end()
        self.write_module(SERVICE.replace("name=NAME", "name=NAME, backlog=5"))
        program = self.serve("--connect-timeout", "5", "--on-refusal", "wait", "slow:service")
        self.assertEqual(program.wait(60), 1, program.output())
        self.assertRegex(program.output(), "the worker ends: for 5 s, not all services .*x-max-length")

    def test_ends_when_the_broker_refuses_it(self) -> None:
        """At once, with status 1."""
        program = self.serve("slow:service", url=self.wrong_password)
        self.assertEqual(program.wait(60), 1, program.output())
        self.assertIn("the worker ends: the broker refuses it", program.output())

    @inlineCallbacks
    def test_what_a_handler_has_opened_is_closed_after_the_last_call(self) -> Any:
        """By Twisted's event, in this process and in a worker process."""
        self.write_module(
            SERVICE + '\nreactor.addSystemEventTrigger("during", "shutdown", lambda: print("closed", flush=True))\n'
        )
        client = yield self.client()
        for words in ((), ("--workers", "1")):
            program = self.serve(*words, "slow:service")
            yield deferToThread(program.wait_for, f"serving {self.name} from")
            adding = client.add(2, HELD)
            yield deferToThread(program.wait_for, "adding 2")
            program.send(signal.SIGTERM)
            yield deferToThread(program.wait_for, "finishing 1 call")
            self.release()
            self.assertEqual((yield adding), 2 + HELD)
            self.assertEqual((yield deferToThread(program.wait)), 0, program.output())
            self.assertRegex(program.output(), "(?s)all calls in progress have finished.*: closed")
            self.hold()

    def test_the_least_log_says_why_the_program_ends(self) -> None:
        """A refused login, a broker that is not there, a port in use: with ``--log-level critical``, no other line."""
        nowhere = f"amqp://127.0.0.1:{free_ports(1)[0]}"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            for arguments, url, words in (
                ((), self.wrong_password, "the worker ends: the broker refuses it: "),
                (("--connect-timeout", "0.5"), nowhere, "the worker ends: for 0.5 s, "),
                (("--health-port", port), self.url, f"--health-port: cannot listen on 127.0.0.1 port {port}: "),
            ):
                program = self.serve("--log-level", "critical", *arguments, "slow:service", url=url)
                self.assertIn(program.wait(60), (1, 2), program.output())
                (line,) = program.output().splitlines()
                self.assertIn(f": {words}", line)

    def test_the_least_log_of_a_supervisor_says_why_it_ends(self) -> None:
        """Its workers say the reason, and it says that this ends the program."""
        program = self.serve("--log-level", "critical", "--workers", "1", "slow:service", url=self.wrong_password)
        self.assertEqual(program.wait(60), 1, program.output())
        self.assertRegex(program.output(), "(?s)the worker ends: the broker refuses it.*no worker process can serve")


class BlockedBrokerTests(ServeTestCase):
    """A broker with an alarm."""

    own_broker = True

    @inlineCallbacks
    def test_is_not_ready_while_the_broker_is_blocked(self) -> Any:
        """Live all the same, and ready again after the alarm."""
        ready = self.folder / "ready"
        program = self.serve("--health-port", "0", "--ready-file", str(ready), "slow:service")
        url = yield deferToThread(program.health_url)
        for blocked, answer in (
            (True, (503, "not ready: the broker is blocked, and takes no messages")),
            (False, READY),
        ):
            yield deferToThread(self.broker.set_memory_alarm, blocked)
            while (yield self.get(f"{url}/ready")) != answer or ready.exists() is blocked:
                yield deferLater(reactor, 0.05)
            self.assertEqual((yield self.get(f"{url}/live")), (200, "live"))


@unittest.skipUnless(container(), "no PID namespace can be made here: neither by root nor by a user namespace")
class ContainerTests(ServeTestCase):
    """Process 1 of a PID namespace, as in a container."""

    unfinished: Any = None
    """The call that the last program had begun when it was killed."""

    def start(self, command: str, *arguments: str) -> Process:
        """Start a program in a namespace of its own."""
        program = Process(
            "container",
            [*(container() or ()), str(Path(sys.executable).with_name(command)), *arguments],
            folder=self.folder,
            environment={"PYTHONPATH": str(ROOT), "RPC_BROKER": self.url},
        )
        self.addCleanup(program.end)
        return program

    @inlineCallbacks
    def live_once(self, program: Process, client: Any, *files: str) -> Any:
        """Wait until a program serves, and has finished the calls of the killed one before it; begin a call, and kill
        the program, and with it the namespace.
        """
        yield deferToThread(program.wait_for, f"serving {self.name} from")
        if self.unfinished is not None:
            yield deferToThread(program.wait_for_line, "adding 7")
            self.release()
            self.assertEqual((yield self.unfinished), 7 + HELD)
            self.hold()
        self.unfinished = client.add(7, HELD).addErrback(lambda _: None)
        yield deferToThread(program.wait_for_line, "adding 7")
        for name in files:
            path = self.folder / name
            yield deferToThread(program.wait_until, lambda path=path: path.exists() or None, f"has no {path}", 30.0)
        program.kill()

    @inlineCallbacks
    def test_a_killed_container_starts_again(self) -> Any:
        """And finishes the call that was begun. Also with files that are left over, and with worker processes."""
        client = yield self.client()
        files = ("serve.pid", "ready")
        for more in ((), ("--workers", "1")):
            for _ in range(2):
                options = ("--pidfile", "serve.pid", "--ready-file", "ready", *more)
                program = self.start("thrift-rpc", "serve", *options, "slow:service")
                yield self.live_once(program, client, *files)
                self.assertEqual((self.folder / "serve.pid").read_text(), "1\n")
                self.assertTrue((self.folder / "ready").exists())

    @inlineCallbacks
    def test_a_killed_container_of_twistd_starts_again(self) -> Any:
        """As the page tells to start it. Without ``--pidfile=`` the second start is refused."""
        client = yield self.client()
        for options in (("--pidfile=",), ("--pidfile=",), ()):
            yield self.live_once(self.start("twistd", "-n", *options, "rpc-worker", "slow:service"), client)
        refused = self.start("twistd", "-n", "rpc-worker", "slow:service")
        self.assertEqual((yield deferToThread(refused.wait)), 1, refused.output())
        self.assertIn("Another twistd server is running, PID 1", " ".join(refused.output().split()))
