"""Runs the coroutines of handlers, on Twisted's reactor or in an asyncio event loop."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Future
from asyncio.events import _get_running_loop
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rpc.context import enters_context


def run_coroutine(handler: Coroutine[Any, Any, Any]) -> Deferred[Any]:
    """Run a handler's coroutine, and return the Deferred of its result. Cancelling the Deferred cancels the coroutine.

    Where an asyncio loop runs, below Twisted's asyncio reactor, the coroutine is a task of it. So it may await futures
    and coroutines of asyncio as well as Deferreds, and libraries find the current task.
    """
    loop = _get_running_loop()
    if loop is None:
        return Deferred.fromCoroutine(handler)
    return Deferred.fromFuture(loop.create_task(_run_in_task(handler, loop)))


@enters_context
async def _run_in_task(handler: Coroutine[Any, Any, Any], loop: AbstractEventLoop) -> Any:
    """Return the handler's result. asyncio lets these two errors of a task end the event loop, and so the worker.

    A Deferred that gets a failure as its result has failed.
    """
    try:
        return await _awaiting_deferreds(handler, loop)
    except (SystemExit, KeyboardInterrupt):
        return Failure()


@coroutine
def _awaiting_deferreds(handler: Coroutine[Any, Any, Any], loop: AbstractEventLoop) -> Generator[Any, Any, Any]:
    """Run `handler`. Each Deferred that it awaits is waited for by a future, which a task understands."""
    resume: Callable[[], Any] = partial(handler.send, None)
    while True:
        try:
            awaited = resume()
        except StopIteration as stop:
            return stop.value
        try:
            if isinstance(awaited, Deferred):
                yield from _fired(awaited, loop)
                resume = partial(handler.send, None)  # the Deferred's own __await__ takes the result from it
            else:
                resume = partial(handler.send, (yield awaited))
        except BaseException as error:
            resume = partial(handler.throw, error)


def _fired(deferred: Deferred[Any], loop: AbstractEventLoop) -> Generator[Any, None, None]:
    """Wait until a Deferred has fired. Its result stays. When the task is cancelled, the Deferred is."""
    future: Future[None] = loop.create_future()

    def fire(result: Any) -> Any:
        if not future.done():
            future.set_result(None)
        return result

    deferred.addBoth(fire)
    try:
        yield from future
    except CancelledError:
        deferred.cancel()
        deferred.addErrback(_drop)
        raise


def _drop(failure: Failure) -> None:
    """The handler does not wait for this error any more."""
