"""The base of the tests of calls over a real broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers, Work
from generated.shared.ttypes import SharedStruct
from tests.services.support import ServiceTestCase

PROJECT = Path(__file__).parents[2]


def pause(seconds: float = 0.0) -> Deferred[None]:
    """Fires later, with nothing."""
    waited: Deferred[None] = deferLater(reactor, seconds)
    return waited


class Handler:
    """A calculator whose calls the test can hold.

    :ivar held: calls that wait, in order: fire them to let them go on.
    :ivar most: the most that ran at once.
    """

    def __init__(self) -> None:
        self.held: list[Deferred[int]] = []
        self.arrived: list[Deferred[None]] = []
        self.ran: list[Any] = []
        self.running = self.most = 0

    def hold(self) -> Deferred[int]:
        """Hold a call."""
        held: Deferred[int] = Deferred()
        self.held.append(held)
        for waiting in self.arrived[:]:
            self.arrived.remove(waiting)
            waiting.callback(None)
        return held

    async def holding(self, count: int) -> None:
        """Wait until so many calls are held."""
        while len(self.held) < count:
            arrived: Deferred[None] = Deferred()
            self.arrived.append(arrived)
            await arrived

    def release(self) -> None:
        """Let all held calls go on."""
        held, self.held = self.held, []
        for call in held:
            call.callback(7)

    def ping(self) -> None:
        self.ran.append("ping")

    def add(self, num1: int, num2: int) -> int:
        return num1 + num2

    def calculate(self, logid: int, w: Work) -> Deferred[int]:
        self.ran.append(logid)
        self.running += 1
        self.most = max(self.most, self.running)

        def done(result: int) -> int:
            self.running -= 1
            return result

        return self.hold().addCallback(done)

    async def sum(self, numbers: Numbers) -> int:
        await pause()
        return sum(numbers.values)

    @inlineCallbacks
    def echo(self, work: Work) -> Any:
        yield pause()
        return work

    def blob(self, data: bytes) -> bytes:
        return data

    def getStruct(self, key: int) -> SharedStruct:
        return SharedStruct(key, "text")

    def zip(self) -> Any:
        self.ran.append("zip")


class CallTestCase(ServiceTestCase):
    """A service under a name of its own, and a client of it."""

    timeout = 60.0

    async def serve_and_call(self, handler: Any = None, **options: Any) -> Any:
        """Serve, and give a client when the service answers; ``self.name``, ``self.handler`` and ``self.worker``."""
        self.name = self.unique("Calculator")
        self.handler = handler or Handler()
        self.worker = self.serve(rpc.ThriftService(Calculator, self.handler, name=self.name, **options))
        client = await self.client(Calculator, "ping", name=self.name)
        self.handler.ran = []
        return client

    def execution(self) -> Any:
        """Return the part that runs the requests of the first service."""
        return next(iter(self.worker._served.values())).dispatcher._execution

    async def assert_fails(self, call: Deferred[Any], error: type[Exception], outcome: Any = None) -> Any:
        """The call fails with `error`, which is returned."""
        try:
            result = await call
        except error as caught:
            if outcome is not None:
                self.assertIs(caught.outcome, outcome)  # type: ignore[attr-defined]
            return caught
        raise AssertionError(f"no {error.__name__} but {result!r}")
