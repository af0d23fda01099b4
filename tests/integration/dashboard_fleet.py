"""A program for tests of the dashboard: a worker with services of any names, which also calls them.

``python -m tests.integration.dashboard_fleet NAME...`` prints ``fleet serves`` when all are served. Each service is
called a few times a second: ``add`` has a result, and ``blob`` fails with an error whose text has its argument.
"""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler

SECRET = "an argument that nobody must see"

INTERVAL = 0.25
"""Seconds between two rounds of calls."""

AT_A_TIME = 50
"""Services that are called in a round."""


class Failing(CalculatorHandler):
    """One of its methods fails."""

    def blob(self, data: bytes) -> bytes:
        """Fail."""
        raise LookupError(data.decode())


class Fleet:
    """Services and their calls."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.round = 0
        services = [rpc.ThriftService(Calculator, Failing(), name=name) for name in names]
        self.worker = rpc.Worker(services=services, stats=True)
        self.connection = rpc.Connection()

    async def run(self) -> None:
        """Serve and call until the program ends."""
        self.worker.startService()
        self.connection.startService()
        await self.worker.when_serving()
        self.clients = [self.connection.client(Calculator, name=name, timeout=5.0) for name in self.names]
        print("fleet serves", flush=True)
        LoopingCall(self.call).start(INTERVAL)
        await Deferred()

    def call(self) -> None:
        """Call some of the services."""
        self.round += 1
        for number in range(min(AT_A_TIME, len(self.clients))):
            client = self.clients[(self.round * AT_A_TIME + number) % len(self.clients)]
            calls = [client.add(1, 2)] + ([client.blob(SECRET.encode())] if self.round % 4 == 0 else [])
            for each in calls:
                each.addErrback(lambda _: None)


if __name__ == "__main__":
    react(lambda _: Deferred.fromCoroutine(Fleet(sys.argv[1:]).run()))
