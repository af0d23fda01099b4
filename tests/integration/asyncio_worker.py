"""A worker for tests, under Twisted's asyncio reactor: its handlers await asyncio futures, and Deferreds."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

import rpc
from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Numbers, Work
from generated.shared.ttypes import SharedStruct
from services.calculator import CalculatorHandler
from tests.processes import WorkerProcess
from tests.support import BrokerTestCase
from tools.processes import PROJECT

Calculator: Any = CalculatorStub
NAME = os.environ.get("CALCULATOR", "Calculator")

ASYNCIO, TWISTED = 1, 2
"""Keys of ``getStruct`` for which it waits without end, for what is in the name."""

WAITING, CANCELLED = Numbers([1]), Numbers([2])
"""Questions to ``sum``: how many calls have begun to wait so, and how many of them were cancelled."""


@implementer(CalculatorStub.Iface)
class Handler:
    """Adds with libraries of asyncio; calls itself between."""

    def __init__(self, own: Any) -> None:
        self._calculator = CalculatorHandler()
        self.ping, self.echo, self.blob = self._calculator.ping, self._calculator.echo, self._calculator.blob
        self.calculate, self.zip = self._calculator.calculate, self._calculator.zip
        self._own = own
        self._waiting = 0
        self._cancelled = 0

    async def add(self, num1: int, num2: int) -> int:
        """Raise an error where the current task or the current call is not known."""
        numbers = await asyncio.gather(asyncio.sleep(0, num1), asyncio.wait_for(asyncio.sleep(0.001, num2), 5))
        assert asyncio.current_task() is not None
        assert rpc.current_call().method == "add"  # type: ignore[union-attr]
        echoed = await self._own.echo(Work(num1, num2))
        assert rpc.current_call().method == "add"  # type: ignore[union-attr]
        assert (echoed.num1, echoed.num2) == tuple(numbers)
        return self._calculator.add(*numbers)

    async def getStruct(self, key: int) -> SharedStruct:
        """Wait, and count the call and its cancellation; or fail as the nested call does."""
        self._waiting += key in (ASYNCIO, TWISTED)
        try:
            if key == ASYNCIO:
                await asyncio.sleep(60)
            elif key == TWISTED:
                await Deferred()
            await self._own.add("one", 2)
        except asyncio.CancelledError:
            self._cancelled += 1
            raise
        except rpc.InvalidRequest as error:
            return SharedStruct(key, str(error))
        raise AssertionError

    def sum(self, numbers: Numbers) -> int:
        """Return one of the counts."""
        return self._waiting if numbers == WAITING else self._cancelled


service = rpc.ThriftService(
    Calculator,
    factory=lambda connection: Handler(connection.client(Calculator, name=NAME)),
    name=NAME,
)


def asyncio_worker(url: str, name: str) -> WorkerProcess:
    """Start the worker, and wait until it serves."""
    command = ("--reactor=asyncio", "rpc-worker", f"{__name__}:service")
    worker = WorkerProcess(*command, folder=PROJECT, environment={"RPC_BROKER": url, "CALCULATOR": name})
    worker.wait_until_serving(name)
    return worker


class AsyncioWorkerTestCase(BrokerTestCase):
    """Test cases with this worker, under a name of the class's own."""

    timeout = 60.0
    name: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Start the worker."""
        cls.name = f"Calculator.{secrets.token_hex(4)}"
        cls.addClassCleanup(asyncio_worker(cls.url, cls.name).close)
