"""Ctrl-C in a client program that ``react`` runs: it ends at once, and prints no traceback."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread

import rpc
from generated.kvstore import KeyValueStore
from tests.support import BrokerTestCase
from tools.processes import Process

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater, react
import rpc
from generated.kvstore import KeyValueStore

async def main(reactor):
    url, name = sys.argv[1:]
    connection = await rpc.connect(url)
    client = connection.client(KeyValueStore, name=name, timeout=60.0)
"""


class NeverAnswers:
    """A handler whose calls are in progress until the worker ends."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: Deferred()


class InterruptTests(BrokerTestCase):
    """One worker, whose methods never return; clients as processes."""

    timeout = 60.0

    def setUp(self) -> Any:
        self.name = self.unique("Never")
        service = rpc.ThriftService(KeyValueStore, NeverAnswers(), name=self.name, concurrency=1000)
        worker = rpc.Worker(self.url, [service], drain_timeout=0)
        worker.startService()
        self.addCleanup(worker.stopService)
        return worker.when_serving()

    @inlineCallbacks
    def check(self, rest: str, status: int = 0) -> Any:
        """Run a program, press Ctrl-C when it has printed a line, and check that it prints nothing more."""
        program = PROGRAM + indent(dedent(rest), "    ") + "\nreact(main)\n"
        command = [sys.executable, "-c", program, self.url, self.name]
        client = Process("client", command, environment={"PYTHONPATH": str(ROOT)})
        self.addCleanup(client.close)
        yield deferToThread(client.wait_for_line, "now")
        client.send(signal.SIGINT)
        ended = yield deferToThread(client.wait)
        self.assertEqual((ended, client.output()), (status, "now\n"))

    def test_ends_while_a_call_is_in_progress(self) -> Any:
        """The call is not idempotent: a loss of the connection would fail it."""
        return self.check(
            """
            reactor.callLater(0.3, print, "now", flush=True)
            await client.remove("key")
            """
        )

    def test_ends_while_many_calls_are_in_progress(self) -> Any:
        """One Deferred waits for all."""
        return self.check(
            """
            reactor.callLater(0.3, print, "now", flush=True)
            await gatherResults([client.remove("key") for _ in range(100)])
            """
        )

    def test_ends_while_nothing_waits_for_the_calls(self) -> Any:
        """Their errors would be unhandled."""
        return self.check(
            """
            for _ in range(100):
                client.remove("key")
            reactor.callLater(0.3, print, "now", flush=True)
            await Deferred()
            """
        )

    def test_ends_while_a_block_closes_the_connection(self) -> Any:
        """The connection would be closed after the call."""
        return self.check(
            """
            reactor.callLater(0.3, print, "now", flush=True)
            try:
                await client.remove("key")
            finally:
                await connection.close()
            """
        )

    def test_ends_while_it_connects(self) -> Any:
        """The second connection is refused again and again."""
        return self.check(
            """
            other = rpc.Connection("amqp://127.0.0.1:1")
            other.startService()
            reactor.callLater(0.3, print, "now", flush=True)
            await other.client(KeyValueStore, name=name, timeout=60.0).remove("key")
            """
        )
