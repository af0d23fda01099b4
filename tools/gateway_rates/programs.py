"""The processes of a measurement: ``python -m tools.gateway_rates.programs ROLE ADDRESS [CALLS IN_FLIGHT]``.

A client makes a tenth of its calls first, which do not count, and prints the calls a second of the others.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocolAcceleratedFactory
from thrift.Thrift import TMessageType
from thrift.transport.TTwisted import ThriftClientProtocol, ThriftServerFactory
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.protocols.basic import Int32StringReceiver

import rpc
from generated.calculator import Calculator as CalculatorStub
from rpc.envelope import CODECS
from services.calculator import CalculatorHandler

Calculator: Any = CalculatorStub
reactor: Any = global_reactor

LISTENS = "listens on port "


async def serve(_: str) -> None:
    """Thrift's own server."""
    factory = ThriftServerFactory(Calculator.Processor(CalculatorHandler()), TBinaryProtocolAcceleratedFactory())
    port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    print(f"{LISTENS}{port.getHost().port}", flush=True)
    await Deferred()


async def direct(address: str, calls: int, in_flight: int) -> None:
    """This project's client, without a gateway."""
    connection = await rpc.connect(address)
    client: Any = connection.client(CalculatorStub)
    await measure(client.add, calls, in_flight)
    await connection.close()


async def stock(address: str, calls: int, in_flight: int) -> None:
    """Thrift's client for Twisted, unmodified."""
    protocol = ThriftClientProtocol(Calculator.Client, TBinaryProtocolAcceleratedFactory())
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", int(address)), protocol)
    await measure(protocol.client.add, calls, in_flight)


class Frames(Int32StringReceiver):
    """Sends one message, encoded before, again and again. So it takes next to no time from the others."""

    def __init__(self) -> None:
        codec = CODECS["binary"]
        self._message = codec.encode("add", TMessageType.CALL, 0, Calculator.add_args(1, 2))
        self._answer = codec.encode("add", TMessageType.REPLY, 0, Calculator.add_result(3))
        self._left = self._unanswered = 0
        self._done: Deferred[None] = Deferred()

    def run(self, calls: int, in_flight: int) -> Deferred[None]:
        """Make calls. Fires when all have been answered."""
        self._left, self._unanswered, self._done = calls - in_flight, calls, Deferred()
        for _ in range(in_flight):
            self.sendString(self._message)
        return self._done

    def stringReceived(self, string: bytes) -> None:
        """Take an answer, and send the next message."""
        assert string == self._answer, string
        self._unanswered -= 1
        if self._left:
            self._left -= 1
            self.sendString(self._message)
        elif not self._unanswered:
            self._done.callback(None)


async def frames(address: str, calls: int, in_flight: int) -> None:
    """A client that costs little."""
    protocol = Frames()
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", int(address)), protocol)
    await protocol.run(max(in_flight, calls // 10), in_flight)
    began = time.perf_counter()
    await protocol.run(calls, in_flight)
    print(calls / (time.perf_counter() - began), flush=True)


async def measure(add: Callable[[int, int], Deferred[int]], calls: int, in_flight: int) -> None:
    """Make calls, and print their rate."""
    await closed_loop(add, max(in_flight, calls // 10), in_flight)
    began = time.perf_counter()
    await closed_loop(add, calls, in_flight)
    print(calls / (time.perf_counter() - began), flush=True)


def closed_loop(add: Callable[[int, int], Deferred[int]], calls: int, in_flight: int) -> Deferred[None]:
    """Keep so many calls in flight. Fires when all are answered."""
    done: Deferred[None] = Deferred()
    begun = settled = 0

    def begin() -> None:
        nonlocal begun
        begun += 1
        add(begun, 1).addCallbacks(answered, done.errback, (begun,))

    def answered(result: int, number: int) -> None:
        nonlocal settled
        assert result == number + 1, (result, number)
        settled += 1
        if begun < calls:
            begin()
        elif settled == calls:
            done.callback(None)

    for _ in range(min(in_flight, calls)):
        begin()
    return done


ROLES = {"serve": serve, "direct": direct, "stock": stock, "frames": frames}


def main(role: str, *arguments: str) -> None:
    """Run a process."""
    problems: list[Any] = []

    def begin() -> None:
        address, *numbers = arguments
        work: Any = ROLES[role]
        Deferred.fromCoroutine(work(address, *map(int, numbers))).addErrback(problems.append).addBoth(
            lambda _: reactor.stop()
        )

    reactor.callWhenRunning(begin)
    reactor.run()
    if problems:
        problems[0].raiseException()


if __name__ == "__main__":
    main(*sys.argv[1:])
