"""An event loop in a thread of its own, for callers in other threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rpc.errors import ConnectionLost, Outcome

T = TypeVar("T")


class LoopThread:
    """Runs an event loop until :meth:`stop`. The thread is a daemon: it does not keep a program from its end."""

    def __init__(self) -> None:
        self._loop = asyncio.SelectorEventLoop()  # Twisted's reactor needs add_reader
        self._stopping = asyncio.Event()
        self._lock = threading.Lock()  # so that nothing is begun after the loop's last pass
        self._closed = False
        self._unfinished: set[_Begun] = set()
        self._thread = threading.Thread(target=self._run, name="rpc.blocking", daemon=True)
        self._thread.start()

    def call(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Call `begin` in the loop's thread, and wait here for the result of what it returns.

        An exception that is raised in this thread meanwhile, such as the ``KeyboardInterrupt`` of Ctrl-C, cancels it.

        :raises ConnectionLost: the thread was stopped.
        :raises RuntimeError: this is the loop's own thread, where waiting would stop the loop.
        """
        if threading.get_ident() == self._thread.ident:
            raise RuntimeError("rpc.blocking is used in its own thread, where it would wait for itself without end")
        begun = _Begun(begin, self._unfinished)
        with self._lock:
            if self._closed:
                raise ConnectionLost("the connection was closed", Outcome.NOT_SENT)
            self._loop.call_soon_threadsafe(begun.start)
        try:
            result: T = begun.outcome.result()
            return result
        finally:
            if not begun.outcome.done():
                self._loop.call_soon_threadsafe(begun.cancel)

    def stop(self) -> None:
        """End the loop and the thread. All that was begun is waited for."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._work())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    async def _work(self) -> None:
        await self._stopping.wait()
        while self._unfinished:
            await asyncio.sleep(0)


class _Begun:
    """What was begun in the loop's thread for another thread.

    :ivar outcome: its result, for the other thread.
    """

    def __init__(self, begin: Callable[[], Awaitable[Any]], unfinished: set[_Begun]) -> None:
        """:param unfinished: has it while it works."""
        self._begin = begin
        self._unfinished = unfinished
        self._future: asyncio.Future[Any] | None = None
        self.outcome: Future[Any] = Future()

    def start(self) -> None:
        """Begin. In the loop's thread, as the other methods."""
        try:
            self._future = asyncio.ensure_future(self._begin())
        except BaseException as error:
            self.outcome.set_exception(error)
        else:
            self._unfinished.add(self)
            self._future.add_done_callback(self._done)

    def cancel(self) -> None:
        """The other thread waits no more."""
        if self._future is not None:
            self._future.cancel()

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._unfinished.discard(self)
        if future.cancelled():
            self.outcome.cancel()
            return
        error = future.exception()
        if error is None:
            self.outcome.set_result(future.result())
        else:
            self.outcome.set_exception(error)
