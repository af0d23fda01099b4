"""Helpers of the demo's steps: run the reactor so that signals end it in order; make many calls, and count them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Coroutine, Iterable
from types import FrameType
from typing import Any

import attrs
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.python.failure import Failure

reactor: Any = global_reactor

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Signals end the demo through its own ``with`` blocks, so that nothing is left; further ones are ignored then.

    Twisted's own handlers would only stop the reactor, which runs for a part of the time.
    """

    def __init__(self) -> None:
        self._running: Deferred[None] | None = None
        self._exit: SystemExit | None = None
        for number in SIGNALS:
            signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        self._exit = SystemExit(128 + number)
        if self._running is None:
            raise self._exit
        reactor.callFromThread(self._running.cancel)

    def run(self, steps: Coroutine[Deferred[Any], Any, None]) -> None:
        """Run the reactor until `steps` are through; raise their exception.

        :raises SystemExit: a signal came; the steps were cancelled.
        """
        failures: list[Failure] = []

        def begin() -> None:
            self._running = Deferred.fromCoroutine(steps)
            self._running.addErrback(failures.append)
            self._running.addCallback(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
        self._running = None
        if self._exit is not None:
            raise self._exit
        for failure in failures:
            failure.raiseException()


@attrs.define
class Tally:
    """How the calls of one method went.

    :ivar method: its name, for the table.
    :ivar calls: how many are made.
    :ivar answered: how many had the answer that was expected.
    :ivar problems: of the other calls, in words.
    :ivar seconds: from the first call to the last answer.
    """

    method: str
    calls: int
    answered: int = 0
    problems: list[str] = attrs.field(factory=list)
    seconds: float = 0.0

    @property
    def settled(self) -> int:
        """How many are over, well or not."""
        return self.answered + len(self.problems)


async def call_all(
    tally: Tally,
    method: Callable[..., Deferred[Any]],
    calls: Iterable[tuple[tuple[Any, ...], Any]],
    in_flight: int,
    settled: Callable[[], None],
) -> None:
    """Call `method` with each of `calls`, arguments and the answer to expect, up to `in_flight` at a time.

    After the first problem no more calls are made. `settled` is called after each call.
    """
    left = iter(calls)

    async def lane() -> None:
        for arguments, expected in left:
            if tally.problems:
                return
            try:
                answer = await method(*arguments)
            except CancelledError:
                raise
            except Exception as error:
                tally.problems.append(f"{arguments}: {type(error).__name__}: {error}")
            else:
                if answer == expected:
                    tally.answered += 1
                else:
                    tally.problems.append(f"{arguments}: {answer!r} instead of {expected!r}")
            settled()

    began = time.monotonic()
    await gatherResults([Deferred.fromCoroutine(lane()) for _ in range(in_flight)], consumeErrors=True)
    tally.seconds = time.monotonic() - began
