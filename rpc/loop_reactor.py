"""A Twisted reactor that lives on a running asyncio event loop."""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from typing import Any

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import ReactorBase
from twisted.python.failure import Failure

from rpc import monotonic


class LoopReactor(AsyncioSelectorReactor):
    """A reactor for one connection. It neither starts nor stops the loop.

    It is never Twisted's global reactor, and handles no signals. So a process can have any number of them, one after
    the other and in several threads, beside a global reactor that runs or not.
    """

    _registerAsIOThread = False  # Twisted notes one thread a process; it is the global reactor's
    seconds = staticmethod(monotonic.seconds)

    def __init__(self, loop: AbstractEventLoop) -> None:
        """
        :param loop: the running loop, or one that runs later. It must have ``add_reader``: uvloop has it, Windows'
            proactor loop has not.
        """
        super().__init__(loop)
        self.loop = loop
        self._closed = False
        self._threads = ExecutorThreads(loop)
        self.startRunning(installSignalHandlers=False)

    def getThreadPool(self) -> Any:
        """Return the threads that look up host names: the loop's own, which end with the loop."""
        return self._threads

    def crash(self) -> None:
        """Stop, as at the end of a shutdown. The loop runs on."""
        ReactorBase.crash(self)

    def close(self) -> None:
        """Take everything from the loop. Connections that are still open are lost."""
        self.disconnectAll()
        self._closed = True
        wakers = list(self._internalReaders)
        self._internalReaders.clear()  # disconnectAll leaves them
        for waker in wakers:
            self.removeReader(waker)
            waker.connectionLost(Failure(ConnectionError("the reactor is closed")))
        for call in self.getDelayedCalls():
            call.cancel()
        timer: TimerHandle | None = self._timerHandle
        if timer is not None:
            timer.cancel()

    def _reschedule(self) -> None:
        """Set the loop's timer, but not after :meth:`close`: the lookup of a host name may end later."""
        if not self._closed:
            super()._reschedule()

    def abandon(self) -> None:
        """Close the sockets, but leave the loop alone: it is closed already. Or it is the parent's, after a fork: the
        parent's selector is that of the child as well (epoll(7), "Questions and answers").
        """
        for selectable in {*self.getReaders(), *self.getWriters()}:
            if selectable in self._internalReaders:  # the waker, which has a pipe
                selectable.connectionLost(Failure(ConnectionError("the reactor is abandoned")))
            else:
                selectable.socket.close()


class ExecutorThreads:
    """The threads of a loop's default executor, with the one method of Twisted's pools that Twisted calls."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop

    def callInThreadWithCallback(
        self, on_result: Callable[[bool, Any], object], function: Callable[..., Any], *args: Any, **kw: Any
    ) -> None:
        """Call `function` in a thread, and there `on_result` with whether it succeeded, and its result or failure."""

        def run() -> None:
            try:
                success, result = True, function(*args, **kw)
            except BaseException:
                success, result = False, Failure()
            on_result(success, result)

        self._loop.run_in_executor(None, run)
