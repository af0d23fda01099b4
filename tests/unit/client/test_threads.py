"""Calls of other threads than the reactor's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.client.caller_in_memory import CallerInMemory


class ThreadTests(SynchronousTestCase):
    """Twisted is not safe for threads: such a call would be lost now and then."""

    def test_a_call_of_another_thread_raises_at_once(self) -> None:
        """Before there was a connection, the reactor's thread is not known."""
        caller = CallerInMemory()
        client = caller.client()
        with ThreadPoolExecutor(1) as pool:
            error = pool.submit(client.add, 1, 2).exception()
            self.assertIsInstance(error, RuntimeError)
            self.assertIn("use rpc.blocking in threads", str(error))
            self.assertEqual(len(caller.subject.pending.calls), 0)
            caller.link.thread = None
            self.assertFalse(pool.submit(client.add, 1, 2).exception())
        self.assertEqual(len(caller.subject.pending.calls), 1)
