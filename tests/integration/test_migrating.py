"""docs/migrating.md under load: processes of txamqp.contrib.thrift are replaced one at a time, and no call is lost.

The programs are those of the page. Only the broker's URL is changed. Beside them, an old and a new client call all the
time, each with several calls in progress.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.integration.documents import ROOT, blocks
from tests.processes import WorkerProcess
from tests.support import BrokerTestCase, skip_without_transient_queues
from tools.processes import Process

PAGE = ROOT / "docs" / "migrating.md"
OLD_NAMES, NEW_NAMES = "services.sums:old_names", "services.sums:new_names"
REPLIES_OF_OLD_SERVERS: dict[str, object] = {"reply_exchange": "responses", "uncorrelated_replies": True}

LOAD = """
import json, signal, sys
from twisted.internet import defer, task
from twisted.internet.task import react

LANES, LIMIT, LEAST = 5, 20.0, 51
asked = right = 0
stopping = False

def stop(*_):
    global stopping
    stopping = True

@defer.inlineCallbacks
def lane(reactor, sums):
    global asked, right
    while not stopping or asked < LEAST:
        asked += 1
        number = asked
        try:
            answer = yield defer.maybeDeferred(sums.add, number, 1).addTimeout(LIMIT, reactor)
            right += answer == number + 1
        except Exception as error:
            print(repr(error), flush=True)
        yield task.deferLater(reactor, 0.002, lambda: None)

@defer.inlineCallbacks
def main(reactor):
    sums = yield client()
    signal.signal(signal.SIGTERM, stop)
    yield sums.add(0, 0)
    print("calling", flush=True)
    yield defer.gatherResults([lane(reactor, sums) for _ in range(LANES)])
    print("DONE " + json.dumps([asked, right]), flush=True)

react(main)
"""

OLD_CLIENT = """
from generated.sums import Sums
from old_rpc import PROTOCOL, connect

def client():
    return connect().addCallback(lambda it: it.createThriftClient(
        "responses", "services", "sums", Sums.Client, iprot_factory=PROTOCOL, oprot_factory=PROTOCOL))
"""

NEW_CLIENT = """
import rpc
from generated.sums import Sums

def client():
    return rpc.connect("amqp://localhost").addCallback(lambda it: it.client(Sums, **OPTIONS))
"""
OLD_NAMES_OF_CLIENTS: dict[str, object] = {"name": "sums", "exchange": "services"}


class MigrationTests(BrokerTestCase):
    """The steps of the page, with processes that call all the time."""

    timeout = 180.0

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await skip_without_transient_queues(self)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.url = self.virtual_host()  # type: ignore[misc]  # of this test alone
        for block in blocks(PAGE):
            if block.file_name is not None:
                self.write(block.file_name, block.text)
        self.write("services/__init__.py", "")
        compiler = str(Path(sys.executable).with_name("thrift-rpc"))
        subprocess.run([compiler, "compile", "idl/", "--out", "generated/"], cwd=self.folder, check=True)

    def write(self, name: str, text: str) -> None:
        """Write a file of the page, with the test's broker."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("amqp://localhost", self.url))

    def old_server(self) -> WorkerProcess:
        """Start a server as the page does."""
        server = WorkerProcess("-y", "old_server.tac", folder=self.folder, environment={"PYTHONPATH": "."})
        self.addCleanup(server.kill)
        server.wait_for("serving sums, the old way")
        return server

    def worker(self, *names: str) -> WorkerProcess:
        """Start a worker as the page does."""
        worker = WorkerProcess("rpc-worker", "--broker", self.url, *names, folder=self.folder)
        self.addCleanup(worker.kill)
        worker.wait_until_serving(*("sums" if name == OLD_NAMES else "Sums" for name in names))
        return worker

    def load(self, name: str, client: str, options: Mapping[str, object] | None = None) -> Process:
        """Start a client that calls until it is stopped."""
        self.write(f"{name}.py", f"OPTIONS = {options or {}!r}\n{client}{LOAD}")
        load = Process(name, [sys.executable, f"{name}.py"], folder=self.folder, environment={"PYTHONPATH": "."})
        self.addCleanup(load.kill)
        load.wait_for_line("calling")
        return load

    def end(self, worker: WorkerProcess) -> None:
        """Stop a server or worker in order."""
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.wait(), -signal.SIGTERM, worker.output())

    def assert_no_call_was_lost(self, load: Process) -> None:
        """Stop a client, and read its account."""
        load.send(signal.SIGTERM)
        line = load.wait_for_line("DONE ")
        asked, right = json.loads(line.partition("DONE ")[2])
        self.assertEqual((right, load.output().count("Error")), (asked, 0), load.output())
        self.assertGreater(asked, 50)

    def test_servers_first(self) -> None:
        """Two old servers, then two workers, then new clients, then the new names."""
        old_servers = [self.old_server(), self.old_server()]
        old_client = self.load("old_load", OLD_CLIENT)
        workers = []
        for server in old_servers:
            workers.append(self.worker(OLD_NAMES))
            time.sleep(0.5)  # requests go to both
            self.end(server)
        new_client = self.load("new_load", NEW_CLIENT, OLD_NAMES_OF_CLIENTS)
        time.sleep(0.5)
        self.assert_no_call_was_lost(old_client)
        both = self.worker(OLD_NAMES, NEW_NAMES)
        for worker in workers:
            self.end(worker)
        newest_client = self.load("newest_load", NEW_CLIENT)
        self.assert_no_call_was_lost(new_client)
        last = self.worker(NEW_NAMES)
        self.end(both)
        time.sleep(0.5)
        self.assert_no_call_was_lost(newest_client)
        self.end(last)

    def test_clients_first(self) -> None:
        """A new client beside an old one on an old server, which a worker then replaces."""
        server = self.old_server()
        old_client = self.load("old_load", OLD_CLIENT)
        new_client = self.load("new_load", NEW_CLIENT, OLD_NAMES_OF_CLIENTS | REPLIES_OF_OLD_SERVERS)
        time.sleep(0.5)
        self.assert_no_call_was_lost(old_client)
        worker = self.worker(OLD_NAMES)
        time.sleep(0.5)
        self.end(server)
        time.sleep(0.5)
        self.assert_no_call_was_lost(new_client)
        self.end(worker)
