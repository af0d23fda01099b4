"""``--metrics-port`` and ``--access-log`` of ``thrift-rpc serve`` and ``twistd rpc-worker``, as processes."""

from __future__ import annotations

import contextlib  # its suppress, as a name of this module, would be taken for trial's list of warnings
import json
import os
import signal
import socket
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from tests.integration.serve_case import ROOT, ServeTestCase
from tests.integration.test_worker_process import run_twistd
from tests.processes import WorkerProcess
from tools.processes import Process


def samples(text: str) -> dict[tuple[str, str | None, str | None], float]:
    """Return the samples of a page by name, ``rpc_method`` and ``worker``. Prometheus' own parser reads it."""
    return {
        (sample.name, sample.labels.get("rpc_method"), sample.labels.get("worker")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def url_of(program: Process) -> str:
    """Block until a program has the page; return its URL."""
    line = program.wait_for_line("/metrics")
    return next(url.strip() for url in line.partition("pages: ")[2].split(", ") if url.strip().endswith("/metrics"))


class MetricsPortTests(ServeTestCase):
    """A worker with the options."""

    def twistd(self, *options: str, path: str = str(ROOT)) -> WorkerProcess:
        """Start the plugin."""
        arguments = ("rpc-worker", "--broker", self.url, *options, "slow:service")
        worker = WorkerProcess(*arguments, folder=self.folder, environment={"PYTHONPATH": path})
        self.addCleanup(worker.kill)
        return worker

    async def call(self) -> None:
        """Call the service."""
        connection = await rpc.connect(self.url)
        self.addCleanup(connection.close)
        self.assertEqual(await connection.client(Calculator, name=self.name, app_id="test").add(2, 0), 2)

    async def test_serves_the_metrics_of_its_calls(self) -> None:
        """Both programs. There is no other page, and no line of the log for each scrape."""
        for start in (
            lambda: self.serve("--metrics-port", "0", "slow:service"),
            lambda: self.twistd("--metrics-port", "0"),
        ):
            program = start()
            url = await deferToThread(url_of, program)
            self.assertTrue(url.startswith("http://127.0.0.1:"), url)
            await deferToThread(program.wait_for, f"serving {self.name} from")
            await self.call()
            status, text = await self.get(url)
            self.assertEqual(status, 200)
            found = samples(text)
            self.assertEqual(found["rpc_server_call_duration_seconds_count", f"{self.name}/add", None], 1)
            self.assertEqual(found["rpc_server_connections", None, None], 1)
            self.assertIn(("process_resident_memory_bytes", None, None), found)
            for page in ("/", "/live"):
                self.assertEqual((await self.get(url.replace("/metrics", page)))[0], 404)
            program.send(signal.SIGTERM)
            await deferToThread(program.wait)
            self.assertNotIn("GET /metrics", program.output())

    async def until(self, url: str, **values: float) -> dict[tuple[str, str | None, str | None], float]:
        """Wait until ``rpc_worker_up`` of each worker is so; return the samples."""
        while True:
            found = samples((await self.get(url))[1])
            if all(found.get(("rpc_worker_up", None, name[1:])) == value for name, value in values.items()):
                return found
            await deferLater(reactor, 0.05)

    async def test_one_port_has_the_metrics_of_all_worker_processes(self) -> None:
        """Also after a restart. A process that hangs is missing, and the others are there. They stay on 127.0.0.1."""
        options = ("--metrics-port", "0", "--metrics-interface", "127.0.0.2", "--workers", "2")
        program = self.serve(*options, "slow:service")
        url = await deferToThread(url_of, program)
        self.assertTrue(url.startswith("http://127.0.0.2:"), url)
        pids = [await deferToThread(program.worker_pid) for _ in range(2)]
        for _ in range(6):
            await self.call()
        counted = "rpc_server_call_duration_seconds_count", f"{self.name}/add"
        found = await self.until(url, w1=1, w2=1)
        self.assertEqual(sum(value for key, value in found.items() if key[:2] == counted), 6)
        for worker in "12":
            self.assertEqual(found["rpc_server_connections", None, worker], 1)
        os.kill(pids[0], signal.SIGSTOP)
        found = samples((await self.get(url))[1])
        self.assertEqual(sorted(value for key, value in found.items() if key[0] == "rpc_worker_up"), [0, 1])
        self.assertIn("has not told its metrics: TimeoutError: no answer in 5 s", program.output())
        os.kill(pids[0], signal.SIGCONT)
        program.send(signal.SIGHUP)
        await deferToThread(program.wait_for, "all worker processes were replaced")
        found = await self.until(url, w1=1, w2=1)
        self.assertEqual(sum(value for key, value in found.items() if key[:2] == counted), 0)
        await self.call()
        found = samples((await self.get(url))[1])
        self.assertEqual(sum(value for key, value in found.items() if key[:2] == counted), 1)
        program.send(signal.SIGTERM)
        self.assertEqual(await deferToThread(program.wait), 0, program.output())

    async def test_health_and_metrics_share_a_port(self) -> None:
        """If both options have it. 0 is the same free one."""
        program = self.serve("--metrics-port", "0", "--health-port", "0", "slow:service")
        url = await deferToThread(url_of, program)
        await deferToThread(program.wait_for, f"serving {self.name} from")
        self.assertEqual((await self.get(url.replace("/metrics", "/live"))), (200, "live"))
        self.assertEqual((await self.get(url))[0], 200)

    async def test_a_client_that_asks_a_thousand_times_at_once_gets_one_answer(self) -> None:
        """So it holds the worker for no longer, and its unread answers take no memory."""
        program = self.serve("--metrics-port", "0", "slow:service")
        url = await deferToThread(url_of, program)
        host, port = url.removeprefix("http://").partition("/")[0].split(":")

        def ask() -> bytes:
            with socket.create_connection((host, int(port)), timeout=30) as client:
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
                answer = b""
                with contextlib.suppress(ConnectionResetError):  # the server has not read all requests
                    while data := client.recv(65536):
                        answer += data
                return answer

        self.assertEqual((await deferToThread(ask)).count(b"HTTP/1.1 200 OK"), 1)
        self.assertEqual((await self.get(url))[0], 200)

    async def test_writes_an_access_log(self) -> None:
        """As JSON: the object is the end of the line."""
        for start in (
            lambda: self.serve("--access-log", "json", "slow:service"),
            lambda: self.twistd("--access-log", "json"),
        ):
            program = start()
            await deferToThread(program.wait_for, f"serving {self.name} from")
            await self.call()
            line = await deferToThread(program.wait_for_line, '"method": "add"')
            found: dict[str, Any] = json.loads(line[line.index("{") :])
            self.assertEqual((found["service"], found["outcome"], found["caller"]), (self.name, "returned", "test"))
            program.send(signal.SIGTERM)
            await deferToThread(program.wait)

    def test_twistd_refuses_wrong_options_in_one_line(self) -> None:
        """They are named, with their values."""
        for options, said in (
            (("--metrics-port", "many"), "rpc-worker: --metrics-port: 'many' is no whole number from 0 to 65535"),
            (("--metrics-port", "65536"), "rpc-worker: --metrics-port: '65536' is no whole number from 0 to 65535"),
            (("--access-log", "xml"), "rpc-worker: --access-log: 'xml' is not one of 'text', 'json'"),
            (("--drain-timeout", "soon"), "rpc-worker: --drain-timeout: 'soon' is no number of seconds, 0 or more"),
            (("--drain-timeout", "-1"), "rpc-worker: --drain-timeout: '-1' is no number of seconds, 0 or more"),
        ):
            ended = run_twistd("rpc-worker", *options, "slow:service", folder=self.folder)
            self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1), ended.stderr)
            self.assertIn(said, ended.stderr)

    def test_names_the_missing_extra(self) -> None:
        """With the command that installs it. So do programs with worker processes."""
        (self.folder / "prometheus_client.py").write_text("raise ImportError('not here')\n")
        path = f"{self.folder}:{ROOT}"
        words = ("--metrics-port: rpc.metrics needs prometheus-client", "thrift-amqp-rpc[metrics]")
        self.twistd("--metrics-port", "0", path=path).wait_for(*words)
        for more in ((), ("--workers", "1")):
            program = self.serve("--metrics-port", "0", *more, "slow:service", PYTHONPATH=path)
            self.assertEqual(program.wait(60), 2, program.output())
            self.assertIn(words[0], program.output())
