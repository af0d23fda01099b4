"""The base of tests of ``thrift-rpc serve``: a service in a module of its own, and programs that serve it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from tests.processes import ServeProcess
from tests.support import BrokerTestCase

ROOT = Path(__file__).parents[2]

HELD = 1_000_000
"""The second number of a sum that takes until :meth:`ServeTestCase.release`."""

SERVICE = """
import os
from twisted.internet import reactor, task
import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler

EXTRA = 0

class Slow(CalculatorHandler):
    async def add(self, num1, num2):
        print(f"adding {num1}", flush=True)
        if num2 == HELD:
            while not os.path.exists(RELEASED):
                await task.deferLater(reactor, 0.02)
        else:
            await task.deferLater(reactor, num2 / 10)
        return num1 + num2 + EXTRA

service = rpc.ThriftService(Calculator, Slow(), name=NAME)
"""


def get(url: str) -> tuple[int, str]:
    """Return the status and the text of a page."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310  # a URL of the test
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode().strip()


class ServeTestCase(BrokerTestCase):
    """A folder with a module ``slow`` and its service. ``add(a, b)`` takes b tenths of a second, or is :data:`HELD`."""

    timeout = 120.0

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.name = self.unique("Slow")
        self._released = Path(self.mktemp()).absolute()
        self.write_module(SERVICE)

    def write_module(self, text: str) -> None:
        """Replace the module."""
        values = {"NAME": self.name, "HELD": HELD, "RELEASED": str(self._released)}
        text = re.sub(rf"\b({'|'.join(values)})\b", lambda found: repr(values[found[0]]), text)
        (self.folder / "slow.py").write_text(text)

    def release(self) -> None:
        """Let the calls go on that are held, and those that follow until :meth:`hold`."""
        self._released.touch()

    def hold(self) -> None:
        """Hold calls again, after :meth:`release`."""
        self._released.unlink()

    def serve(self, *arguments: str, url: str | None = None, **environment: str) -> ServeProcess:
        """Start the program in the test's folder, with the project importable."""
        variables = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "RPC_BROKER": url or self.url}
        program = ServeProcess(*arguments, folder=self.folder, environment={**variables, **environment})
        self.addCleanup(program.end)
        return program

    def client(self) -> Deferred[Any]:
        """Connect, and give a client of the service."""

        def connected(connection: rpc.Connection) -> Any:
            self.addCleanup(connection.close)
            return rpc.with_options(connection.client(Calculator, name=self.name), timeout=60.0)

        return rpc.connect(self.url).addCallback(connected)

    def get(self, url: str) -> Deferred[tuple[int, str]]:
        """Get a page, while the test's own reactor goes on."""
        return deferToThread(get, url)

    @property
    def wrong_password(self) -> str:
        """The broker's URL with a password that it rejects."""
        return self.url.replace("guest:guest", "guest:wrong-secret")
