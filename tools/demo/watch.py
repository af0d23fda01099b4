"""The dashboard beside the demo's workers, while calls go on: ``scripts/demo --watch``."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Operation, Work
from generated.kvstore import KeyValueStore
from generated.report import Report
from tools.processes import Process

reactor: Any = global_reactor

LANES = 30
"""Callers, each with one call at a time."""

LONGEST_PAUSE = 0.2
"""Seconds between two calls of a caller, at most."""

ADDRESS = "dashboard: "
"""Before the page's address, in the output of the dashboard."""


def start_dashboard(broker_url: str, port: int) -> Process:
    """Start ``thrift-rpc dashboard``.

    :param port: 0 for a free one.
    """
    command = [str(Path(sys.executable).with_name("thrift-rpc")), "dashboard", "--port", str(port)]
    return Process("the dashboard", command, environment={"RPC_BROKER": broker_url})


def address_of(dashboard: Process) -> str:
    """Block until the page is served; return its address.

    :raises tools.processes.ProcessFailed: it ended, or is not served in time.
    """
    return dashboard.wait_for_line(ADDRESS).partition(ADDRESS)[2].strip()


class Traffic:
    """Calls of all three services, at a moderate rate. Some of them end with an error."""

    def __init__(self, connection: rpc.Connection) -> None:
        self._calculator = connection.client(Calculator, timeout=5.0)
        self._store = connection.client(KeyValueStore, timeout=5.0)
        self._report = connection.client(Report, timeout=5.0)
        self._hasty = connection.client(Report, timeout=0.01)

    async def run(self) -> None:
        """Call until cancelled."""
        await gatherResults([Deferred.fromCoroutine(self._lane()) for _ in range(LANES)], consumeErrors=True)

    async def _lane(self) -> None:
        while True:
            try:
                await self._some_call()
            except CancelledError:
                raise
            except Exception:  # noqa: S110  # the page shows it
                pass
            await deferLater(reactor, random.random() * LONGEST_PAUSE)

    def _some_call(self) -> Any:
        """Make a call: additions most often, and seldom one that is late, or has a wrong argument."""
        key = f"watch:{random.randrange(200)}"
        calls = {
            lambda: self._calculator.add(1, 2): 50,
            lambda: self._calculator.calculate(1, Work(1, random.randrange(3), Operation.DIVIDE)): 5,
            lambda: self._store.put(key, b"a line of text"): 15,
            lambda: self._store.get(key): 25,
            lambda: self._report.summarize("watch:", 50): 4,
            lambda: self._hasty.summarize("watch:", 200): 1,
        }
        (call,) = random.choices(list(calls), list(calls.values()))
        return call()


async def watch(broker_url: str) -> None:
    """Call until cancelled."""
    connection = await rpc.connect(broker_url)
    try:
        await Traffic(connection).run()
    finally:
        await connection.close()
