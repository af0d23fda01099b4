"""``rpc.blocking``: plain programs, threads and forked processes call, and wait."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

import rpc
import rpc.blocking
from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import InvalidOperation, Operation, Work
from rpc.blocking.loop_thread import LoopThread
from rpc.context import CallContext, inherited_call, serving
from rpc.errors import BrokerUnreachable, CallTimedOut, ConfigurationError, ConnectionLost, InvalidRequest, Outcome
from tests.integration.asyncio_worker import ASYNCIO, CANCELLED, WAITING, AsyncioWorkerTestCase
from tests.integration.documents import ROOT

Calculator: Any = CalculatorStub


class BlockingTests(AsyncioWorkerTestCase):
    """The worker is a process, and the test waits as a plain program does."""

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
        self.client.ping()  # the set-up of the connection's channel takes no time of the next call
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
        self.client.sum(CANCELLED)
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
        waiting, cancelled = self.client.sum(WAITING), self.client.sum(CANCELLED)
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, handler)

        def interrupt() -> None:
            while self.client.sum(WAITING) == waiting:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        with self.assertRaises(KeyboardInterrupt):
            thread.start()
            self.client.getStruct(ASYNCIO)
        thread.join()
        while self.client.sum(CANCELLED) == cancelled:
            time.sleep(0.01)

    def in_child(self, function: Callable[[], Any]) -> Any:
        """Return the result of `function` in a forked process, or the text of its error."""
        receiver, sender = multiprocessing.Pipe(duplex=False)
        with warnings.catch_warnings():
            # Python 3.12 and later warn: the child could wait for locks of other threads. Here, it must not.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
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

    def test_the_program_ends_with_connections_that_python_closes(self) -> None:
        """A suspended generator is closed when Python ends, and so are objects. Threads stand still then."""
        program = (
            "import rpc.blocking\n"
            "from generated.calculator import Calculator\n"
            "def client():\n"
            f"    with rpc.blocking.connect({self.url!r}) as connection:\n"
            f"        yield connection.client(Calculator, name={self.name!r})\n"
            "clients = client()\n"
            "class Last:\n"
            "    client = next(clients)\n"
            "    def __del__(self):\n"
            "        try:\n"
            "            self.client.add(1, 2)\n"
            "        except rpc.ConnectionLost as error:\n"
            "            print(error)\n"
            "last = Last()\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"the connection was closed\n", b""))

    def test_a_connection_that_is_not_closed_ends_with_its_last_client(self) -> None:
        """Python tells it, as it does for files."""
        connection = rpc.blocking.connect(self.url)
        client = connection.client(Calculator, name=self.name)
        opened = connection._open
        assert opened is not None
        del connection
        self.assertEqual(client.add(1, 2), 3)
        gc.collect()  # the garbage of earlier tests, which may warn as well
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del client
            gc.collect()
        self.assertIn("was not closed", str(told[0].message))
        opened.thread._thread.join(20)
        self.assertFalse(opened.thread._thread.is_alive())

    def at_each_moment(self, do: Callable[[], object]) -> int:
        """Call once for each step that Python takes in a call, with `do` at this step. Return the number of steps."""
        steps = 0
        before = sys.gettrace()
        while True:
            left = steps

            def trace(*_: object) -> Any:
                nonlocal left
                if left == 0:
                    left = -1
                    do()
                elif left > 0:
                    left -= 1
                return trace

            sys.settrace(trace)
            try:
                self.client.ping()
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(before)
            if left >= 0:
                return steps
            steps += 1

    def test_ctrl_c_at_any_moment_disturbs_no_later_call(self) -> None:
        """Before the call begins, while it waits, and while it ends."""

        def interrupt() -> None:
            raise KeyboardInterrupt

        self.assertGreater(self.at_each_moment(interrupt), 20)
        self.assertEqual(self.client.add(1, 2), 3)

    def test_a_handler_of_a_signal_calls_within_a_call(self) -> None:
        """At any moment of it: the call's locks do not stop it."""
        self.assertGreater(self.at_each_moment(lambda: self.client.add(1, 2)), 20)

    def test_calls_of_a_forked_process_end_by_their_deadlines_without_a_broker(self) -> None:
        """Also those of several threads, which wait for the same connection."""
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        self.addCleanup(os.environ.update, {"RPC_BROKER": os.environ.get("RPC_BROKER", "")})
        os.environ["RPC_BROKER"] = self.url
        with rpc.blocking.connect() as connection:
            client = connection.client(Calculator, name=self.name, timeout=0.5)

            def call(_: int) -> str:
                try:
                    return str(client.add(1, 2))
                except rpc.RPCError as error:
                    return type(error).__name__

            def in_threads() -> list[str]:
                os.environ["RPC_BROKER"] = f"amqp://127.0.0.1:{silent.getsockname()[1]}"
                with ThreadPoolExecutor(3) as pool:
                    return list(pool.map(call, range(3)))

            self.assertEqual(self.in_child(in_threads), ["CallTimedOut"] * 3)
            self.assertEqual(rpc.blocking.with_options(client, timeout=20.0).add(1, 2), 3)


class LoopThreadTests(SynchronousTestCase):
    """The thread in which a connection lives, without one."""

    def setUp(self) -> None:
        self.thread = LoopThread()
        self.addCleanup(self.thread.stop)

    def test_waiting_in_its_own_thread_is_refused(self) -> None:
        """An interceptor that calls a blocking client, or closes its connection, would wait for itself."""
        for function in (lambda: self.thread.call(bool), self.thread.stop):
            with self.assertRaisesRegex(RuntimeError, "its own thread"):
                self.thread.call(function)

    def test_stopping_cancels_what_has_not_ended(self) -> None:
        """The thread that waits for it goes on."""
        began = threading.Event()

        def wait() -> Deferred[None]:
            began.set()
            return Deferred()

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.thread.call, wait)
            began.wait()
            self.thread.stop()
            self.assertIsInstance(waiting.exception(20), CancelledError)
        with self.assertRaises(ConnectionLost):
            self.thread.call(bool)

    def test_an_error_that_ends_the_thread_ends_all_calls(self) -> None:
        """None waits for a thread that has ended."""
        ended: list[object] = []
        hook, threading.excepthook = threading.excepthook, ended.append
        self.addCleanup(setattr, threading, "excepthook", hook)

        def exit_later() -> Deferred[None]:
            self.thread.reactor._asyncioEventloop.call_soon(sys.exit)
            return Deferred()

        with self.assertRaises(CancelledError):
            self.thread.call(exit_later)
        with self.assertRaises(ConnectionLost):
            self.thread.call(bool)
        self.thread._thread.join(20)
        self.assertEqual(len(ended), 1)  # before the hook is put back

    def test_a_nested_call_of_a_handlers_thread_inherits_what_it_may(self) -> None:
        """Deadline and metadata, but not the worker's count of nested calls, which has no locks."""
        counted: list[int] = []
        served = CallContext("S", "m", 1e12, {"tenant": "a"}, None, False, on_waiting=counted.append)

        def nested() -> tuple[object, ...]:
            context = inherited_call()
            assert context is not None
            context.enter()
            context.leave()
            return context.deadline, context.metadata

        token = serving.set(served)
        self.addCleanup(serving.reset, token)
        self.assertEqual(self.thread.call(nested), (1e12, {"tenant": "a"}))
        self.assertEqual(counted, [])

    def test_errors_leave_no_cycles(self) -> None:
        """So their frames, and the objects that these refer to, are given back at once."""

        def fail() -> None:
            raise ValueError

        class Big:
            """A value in the caller's frame."""

        def call() -> weakref.ref[Big]:
            big = Big()
            with contextlib.suppress(ValueError):
                self.thread.call(fail)
            return weakref.ref(big)

        gc.disable()
        self.addCleanup(gc.enable)
        reference = call()
        self.thread.call(bool)  # the thread has dropped the error by now
        self.assertIsNone(reference())


def open_descriptors() -> int:
    """Return the number of open files and sockets of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
