"""``rpc.blocking``: plain programs, threads and forked processes call, and wait."""

from __future__ import annotations

import gc
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

import rpc
import rpc.blocking
from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import InvalidOperation, Numbers, Operation, Work
from rpc.blocking.loop_thread import LoopThread
from rpc.errors import BrokerUnreachable, CallTimedOut, ConfigurationError, ConnectionLost, InvalidRequest, Outcome
from tests.integration.asyncio_worker import ASYNCIO, asyncio_worker
from tests.integration.documents import ROOT
from tests.support import BrokerTestCase

Calculator: Any = CalculatorStub


class BlockingTests(BrokerTestCase):
    """The worker is a process, and the test waits as a plain program does."""

    timeout = 60.0
    name: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Start the worker."""
        cls.name = f"Calculator.{secrets.token_hex(4)}"
        cls.addClassCleanup(asyncio_worker(cls.url, cls.name).close)

    def setUp(self) -> None:
        self.connection = rpc.blocking.connect(self.url)
        self.addCleanup(self.connection.close)
        self.client = self.connection.client(Calculator, name=self.name, timeout=20.0)

    def test_calls_and_waits(self) -> None:
        """Results and errors are those of other clients."""
        self.assertEqual(self.client.add(1, num2=2), 3)
        with self.assertRaises(InvalidOperation):
            self.client.calculate(1, Work(1, 0, Operation.DIVIDE))
        with self.assertRaises(InvalidRequest):
            self.client.add("one", 2)
        with self.assertRaisesRegex(TypeError, "missing"):
            self.client.add(1)
        reply = rpc.blocking.with_reply(self.client.echo, Work(1, comment="x"))
        self.assertEqual((reply.value.comment, reply.headers), ("x", {}))
        self.assertEqual(rpc.blocking.with_options(self.client, protocol="json").blob(b"\xff"), b"\xff")
        self.assertIsNone(self.client.zip())
        self.assertIn("(num1, num2)", repr(self.client.add))
        self.assertIn("add", dir(self.client))

    def test_a_call_ends_by_its_deadline(self) -> None:
        """With the error and the outcome of other clients."""
        with self.assertRaises(CallTimedOut) as caught:
            rpc.blocking.with_options(self.client, timeout=0.2).getStruct(ASYNCIO)
        self.assertIs(caught.exception.outcome, Outcome.UNKNOWN)

    def test_any_number_of_threads_share_a_client(self) -> None:
        """Each gets its own answers."""
        with ThreadPoolExecutor(16) as pool:
            sums = list(pool.map(lambda number: self.client.add(number, 1), range(400)))
        self.assertEqual(sums, [*range(1, 401)])

    def test_closing_ends_the_calls_of_all_threads(self) -> None:
        """None waits on, whenever it was begun; later ones fail at once. No thread and no descriptor stays."""
        errors: list[BaseException] = []

        def call_on() -> None:
            try:
                while True:
                    self.client.add(1, 1)
            except BaseException as error:
                errors.append(error)

        def wait() -> None:
            try:
                self.client.getStruct(ASYNCIO)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=target) for target in (*[call_on] * 6, wait)]
        for thread in threads:
            thread.start()
        while self.client.sum(Numbers([])) < 0:
            pass
        self.connection.close()
        self.connection.close()
        for thread in threads:
            thread.join(20)
            self.assertFalse(thread.is_alive())
        self.assertEqual([type(error) for error in errors], [ConnectionLost] * 7)
        with self.assertRaises(ConnectionLost) as caught:
            self.client.add(1, 1)
        self.assertIs(caught.exception.outcome, Outcome.NOT_SENT)
        with self.assertRaises(ConnectionLost):
            self.connection.client(Calculator)

    def test_a_broker_that_is_not_there(self) -> None:
        """The error is the usual one; thread and descriptors are given back. So they are after other connections."""
        before = threading.active_count(), open_descriptors()
        for url, error in (("amqp://127.0.0.1:1", BrokerUnreachable), ("http://a", rpc.errors.InvalidURI)):
            with self.assertRaises(error):
                rpc.blocking.connect(url)
        with rpc.blocking.connect(self.url) as other:
            self.assertEqual(other.client(Calculator, name=self.name).add(1, 2), 3)
            with self.assertRaises(ConfigurationError):
                other.client(Calculator, timeout=-1.0)
        self.assertEqual((threading.active_count(), open_descriptors()), before)

    def test_ctrl_c_cancels_the_call(self) -> None:
        """The signal ends the waiting, and the worker is told."""
        before = self.client.sum(Numbers([]))
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, handler)
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            self.client.getStruct(ASYNCIO)
        timer.join()
        while self.client.sum(Numbers([])) == before:
            time.sleep(0.01)

    def in_child(self, function: Callable[[], Any]) -> Any:
        """Return what `function` returns in a forked process, or the text of its error."""
        receiver, sender = multiprocessing.Pipe(duplex=False)
        child = os.fork()
        if not child:
            try:
                sender.send(function())
            except BaseException as error:
                sender.send(repr(error))
            finally:
                os._exit(0)
        sender.close()
        try:
            self.assertTrue(receiver.poll(30), "the child hangs")
            return receiver.recv()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def test_a_forked_process_connects_anew(self) -> None:
        """With the clients that it has got. Its parent's connection goes on, and ends when the parent ends it."""
        self.assertEqual(self.client.add(0, 0), 0)
        answers = self.in_child(lambda: [self.client.add(number, 1) for number in range(20)])
        self.assertEqual(answers, [*range(1, 21)])
        self.assertEqual(self.client.add(5, 5), 10)
        grandchild = self.in_child(lambda: (self.client.add(1, 1), self.in_child(lambda: self.client.add(2, 2))))
        self.assertEqual(grandchild, (2, 4))
        self.assertEqual(self.client.add(5, 6), 11)

    def test_a_process_that_is_forked_while_threads_call(self) -> None:
        """Locks that other threads of the parent hold do not keep the child waiting."""
        stop = threading.Event()

        def call_on() -> None:
            while not stop.is_set():
                self.client.add(1, 1)

        threads = [threading.Thread(target=call_on) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(5):
                self.assertEqual(self.in_child(partial(self.client.add, number, 1)), number + 1)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def test_a_forked_process_of_a_closed_connection_has_none(self) -> None:
        """It does not open one by itself."""
        self.connection.close()
        self.assertIn("the connection was closed", self.in_child(lambda: self.client.add(1, 1)))

    def test_the_program_ends(self) -> None:
        """Also when the connection is not closed."""
        program = (
            "import rpc.blocking\n"
            "from generated.calculator import Calculator\n"
            f"connection = rpc.blocking.connect({self.url!r})\n"
            f"print(connection.client(Calculator, name={self.name!r}).add(1, 2))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"3\n", b""))

    def test_waiting_in_its_own_thread_is_refused(self) -> None:
        """An interceptor that calls a blocking client would wait for itself."""
        thread = LoopThread()
        self.addCleanup(thread.stop)

        async def call() -> None:
            thread.call(call)

        with self.assertRaisesRegex(RuntimeError, "its own thread"):
            thread.call(call)


def open_descriptors() -> int:
    """Return the number of open files and sockets of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
