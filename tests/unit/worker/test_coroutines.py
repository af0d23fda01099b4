"""Coroutines of handlers in an event loop of asyncio."""

from __future__ import annotations

import asyncio
import gc
import sys
import unittest
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from rpc.worker.coroutines import run_coroutine


class CoroutineTests(SynchronousTestCase):
    """Twisted's asyncio reactor runs the handlers so. Here a loop of the test does."""

    def run_handler(self, handler: Callable[[], Coroutine[Any, Any, Any]], *, eager: bool = False) -> Any:
        """Run a handler in a new loop, and return its result."""

        async def main() -> Any:
            loop = asyncio.get_running_loop()
            if eager:
                factory: Any = asyncio.eager_task_factory  # type: ignore[attr-defined]  # Python 3.12
                loop.set_task_factory(factory)
            return await run_coroutine(handler()).asFuture(loop)

        return asyncio.run(main(), debug=True)

    async def await_both(self) -> list[int]:
        """Await a Deferred that has a result already, and one that has not."""
        later: Deferred[int] = Deferred()
        asyncio.get_running_loop().call_soon(later.callback, 4)
        current = asyncio.current_task()
        assert current is not None
        return [
            await asyncio.sleep(0, 1),
            await succeed(2),
            await asyncio.wait_for(asyncio.sleep(0, 3), 5),
            await later,
        ]

    def test_awaits_futures_and_deferreds(self) -> None:
        """In any order."""
        self.assertEqual(self.run_handler(self.await_both), [1, 2, 3, 4])

    @unittest.skipIf(sys.version_info < (3, 12), "Python has eager tasks from 3.12 on")
    def test_runs_as_an_eager_task(self) -> None:
        """It begins before ``create_task`` has returned."""
        self.assertEqual(self.run_handler(self.await_both, eager=True), [1, 2, 3, 4])

    def test_an_error_of_a_deferred_is_raised_where_it_is_awaited(self) -> None:
        """The handler may catch it, and go on."""

        async def handler() -> str:
            failing: Deferred[None] = Deferred()
            asyncio.get_running_loop().call_soon(failing.errback, ValueError("no"))
            try:
                await failing
            except ValueError as error:
                return f"{error}{await asyncio.sleep(0, '!')}"
            raise AssertionError

        self.assertEqual(self.run_handler(handler), "no!")

    def test_no_error_of_a_handler_ends_the_event_loop(self) -> None:
        """asyncio raises SystemExit and KeyboardInterrupt of a task out of the loop, which would end the worker."""
        for error in (SystemExit(3), KeyboardInterrupt(), StopIteration(), asyncio.CancelledError(), ValueError()):

            async def handler(error: BaseException = error) -> None:
                await asyncio.sleep(0)
                raise error

            async def main(handler: Callable[[], Coroutine[Any, Any, Any]] = handler) -> Any:
                failed = run_coroutine(handler())
                caught: list[Any] = []
                failed.addErrback(caught.append)
                while not caught:
                    await asyncio.sleep(0)
                return caught[0].value

            expected = RuntimeError if isinstance(error, StopIteration) else type(error)
            self.assertIsInstance(asyncio.run(main()), expected)

    def test_a_cancelled_handler_drops_the_error_of_its_deferred(self) -> None:
        """Also when the Deferred has failed in the same turn. Otherwise, it would be logged as unhandled."""
        cancelled = []

        async def main(*, fails_first: bool) -> None:
            awaited: Deferred[None] = Deferred()

            async def handler() -> None:
                try:
                    await awaited
                except asyncio.CancelledError:
                    cancelled.append(awaited.called)
                    raise

            running = run_coroutine(handler())
            await asyncio.sleep(0.001)
            if fails_first:
                awaited.errback(ValueError("too late"))
            running.cancel()
            running.addErrback(lambda _: None)
            while not running.called:
                await asyncio.sleep(0)

        for fails_first in (False, True):
            asyncio.run(main(fails_first=fails_first))
        gc.collect()
        self.assertEqual(cancelled, [True, True])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_loop_that_ends_ends_its_handlers(self) -> None:
        """``asyncio.run`` cancels its tasks; the resources of a handler are given back."""
        given_back = []

        async def main() -> None:
            async def handler() -> None:
                try:
                    await Deferred()
                finally:
                    given_back.append(True)

            run_coroutine(handler()).addErrback(lambda _: None)
            await asyncio.sleep(0.001)

        asyncio.run(main())
        self.assertEqual(given_back, [True])
