"""A reactor in a thread of its own, for callers in other threads."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from rpc.context import serving
from rpc.errors import ConnectionLost, Outcome
from rpc.loop_reactor import LoopReactor


class LoopThread:
    """Runs a reactor, on an event loop, until :meth:`stop`. The thread is a daemon: it does not keep a program from
    its end.

    :ivar reactor: for the functions that :meth:`call` calls.
    """

    def __init__(self) -> None:
        self._loop = asyncio.SelectorEventLoop()  # Twisted's reactor needs add_reader
        self.reactor = LoopReactor(self._loop)
        # So that nothing is begun after the loop's last pass. The handler of a signal may call, within a call.
        self._lock = threading.RLock()
        self._stopped = False
        self._begun: set[_Begun] = set()
        self._thread = threading.Thread(target=self._run, name="rpc.blocking", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Any]) -> Any:
        """Call `function` in the reactor's thread, and wait here for its result, or that of the Deferred it returns.

        An exception that is raised in this thread meanwhile, such as the ``KeyboardInterrupt`` of Ctrl-C, cancels the
        Deferred.

        :raises ConnectionLost: the thread was stopped; or Python ends, which has stopped it.
        :raises RuntimeError: this is the reactor's own thread, where waiting would stop the reactor.
        """
        self.check_thread()
        begun = _Begun(function, self._begun)
        try:
            if not self._schedule(begun.begin, _context()):
                raise ConnectionLost("the connection was closed", Outcome.NOT_SENT)
            return begun.wait()
        except BaseException:
            if not begun.ended:
                self._schedule(begun.cancel)
            raise
        finally:
            del begun  # the error has a reference to this frame

    def stop(self) -> None:
        """End the reactor and the thread. Calls that have not ended are cancelled."""
        self.check_thread()
        self._stop_soon()
        if not sys.is_finalizing():
            self._thread.join()

    def stop_after(self, function: Callable[[], Any]) -> None:
        """Call `function` in the reactor's thread, and stop when it has ended. This waits for neither."""
        self._schedule(lambda: maybeDeferred(function).addBoth(lambda _: self._stop_soon()))

    def _stop_soon(self) -> None:
        with self._lock:
            self._schedule(self._loop.stop)
            self._stopped = True

    def check_thread(self) -> None:
        """Raise an error in the reactor's own thread (``RuntimeError``)."""
        if threading.get_ident() == self._thread.ident:
            raise RuntimeError("rpc.blocking is used in its own thread, where it would wait for itself without end")

    def _schedule(self, function: Callable[[], object], context: Context | None = None) -> bool:
        """Call `function` in the reactor's thread, if that runs; return whether it does.

        At the end of Python, daemon threads stand still (``sys.is_finalizing``).
        """
        with self._lock:
            if self._stopped or sys.is_finalizing():
                return False
            self._loop.call_soon_threadsafe(function, context=context)
            return True

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:  # also after a SystemExit, which asyncio does not catch
            self._stopped = True
            for begun in list(self._begun):
                begun.cancel()
            self.reactor.close()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


def _context() -> Context | None:
    """Return the context for calls of this thread; ``None`` for the thread's own.

    When a handler's thread calls, the nested call inherits deadline and metadata. But only the worker's own thread may
    count nested calls.
    """
    served = serving.get()
    if served is None:
        return None
    context = copy_context()
    context.run(serving.set, served.in_another_thread())
    return context


class _Begun:
    """A function that runs in the reactor's thread for another thread, which waits for its result.

    The other thread waits by a plain lock. A signal can interrupt it at any moment. It could leave the lock of a
    ``concurrent.futures.Future`` locked, and so stop the reactor's thread.

    :ivar ended: whether it has a result or an error.
    """

    def __init__(self, function: Callable[[], Any], unfinished: set[_Begun]) -> None:
        """:param unfinished: has it from its beginning to its end."""
        self._function = function
        self._unfinished = unfinished
        self._deferred: Deferred[Any] | None = None
        self._waiting = threading.Lock()
        self._waiting.acquire()
        self._result: Any = None
        self._error: BaseException | None = None
        self.ended = False

    def wait(self) -> Any:
        """Wait in the other thread, and return the result."""
        self._waiting.acquire()
        try:
            if self._error is not None:
                raise self._error
            return self._result
        finally:
            self._error = None  # it has references to frames, and they to this
            del self

    def begin(self) -> None:
        """Call the function. In the reactor's thread, as the following methods."""
        self._unfinished.add(self)
        self._deferred = maybeDeferred(self._function)
        self._deferred.addCallbacks(self._succeeded, self._failed)

    def cancel(self) -> None:
        """The other thread waits no more."""
        if self._deferred is not None:
            self._deferred.cancel()

    def _succeeded(self, result: Any) -> None:
        self._result = result
        self._end()

    def _failed(self, failure: Failure) -> None:
        self._error = failure.value
        self._end()

    def _end(self) -> None:
        self._unfinished.discard(self)
        self.ended = True
        self._waiting.release()
