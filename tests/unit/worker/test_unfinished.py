"""Handlers whose value is no result: a Failure, a generator, or an awaitable that is never awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope import CODECS
from rpc.messages import Properties
from rpc.worker.service import ThriftService
from tests.stubs import compile_stub
from tests.unit.logs import log_lines
from tests.unit.wire import Wire
from tests.unit.worker.served import WorkerInMemory

IDL = """
exception Declared { 1: string why }
service Tasks {
  void run() throws (1: Declared declared), i32 count() throws (1: Declared declared), oneway void tell()
}
"""

BINARY = CODECS["binary"]


def steps() -> Iterator[None]:
    """A method whose decorator was forgotten."""
    yield


async def items() -> AsyncIterator[None]:
    """The same, asynchronous."""
    yield


class Future:
    """Awaitable, as a future of asyncio is."""

    def __await__(self) -> Iterator[None]:
        return steps()


class Handler:
    """A handler whose methods return the test's values."""

    answer: Any = None

    def run(self) -> Any:
        return self.answer()

    count = tell = run


class UnfinishedTests(SynchronousTestCase):
    """Each value is returned by a method, and as the result of its Deferred."""

    def setUp(self) -> None:
        self.stub = compile_stub(IDL, "Tasks")
        self.handler = Handler()
        self.wire = Wire()
        WorkerInMemory(self.wire, ThriftService(self.stub, self.handler), self.handler)

    def ask(self, name: str, answer: Any) -> list[Any]:
        """Let the handler of a method answer so; return the structs of the replies."""
        self.handler.answer = answer
        oneway = name == "tell"
        kind = TMessageType.ONEWAY if oneway else TMessageType.CALL
        body = BINARY.encode(name, kind, 7, getattr(self.stub, f"{name}_args")())
        self.wire.deliver(body, Properties(reply_to=None if oneway else "amq.gen-replies"), "c2")
        self.wire.clock.advance(0)
        self.assertEqual(len(self.wire.taken("basic.ack")), 1)
        found = []
        for published in self.wire.take():
            _, kind, _, start = BINARY.read_header(published.body)
            result = TApplicationException if kind == TMessageType.EXCEPTION else getattr(self.stub, f"{name}_result")
            found.append(BINARY.read_struct(published.body, start, result))
        return found

    def assert_internal_errors(self, make: Any, told: str) -> None:
        """Check a value in each method, at once and by a Deferred; `told` is in the log."""
        for name in ("run", "count", "tell"):
            for answer in (make, lambda: succeed(make())):
                found = self.ask(name, answer)
                errors = [(type(each), each.type) for each in found]
                expected = [(TApplicationException, TApplicationException.INTERNAL_ERROR)]
                self.assertEqual(errors, [] if name == "tell" else expected)
                (logged,) = self.flushLoggedErrors()
                self.assertIn(told, str(logged.value))

    def test_a_failure_is_a_failure(self) -> None:
        """As it is to twisted.internet.defer.maybeDeferred: the IDL's exception reaches the caller."""
        declared = self.stub.ttypes.Declared("why")
        for name in ("run", "count"):
            for answer in (lambda: Failure(declared), lambda: succeed(Failure(declared))):
                (result,) = self.ask(name, answer)
                self.assertEqual(result.declared, declared)
        self.assert_internal_errors(lambda: Failure(ZeroDivisionError("secret")), "secret")

    def test_a_generator_has_not_run(self) -> None:
        """The log names the decorator that is missing."""
        self.assert_internal_errors(steps, "returned a generator, whose code has not run: is the decorator")
        self.assert_internal_errors(items, "returned a async_generator, whose code has not run: is the decorator")

    def test_a_future_of_another_library_is_no_result(self) -> None:
        """A void method has no type that would refuse it."""
        for name in ("run", "tell"):
            found = self.ask(name, Future)
            self.assertEqual([each.type for each in found], [] if name == "tell" else [6])
            (logged,) = self.flushLoggedErrors(TypeError)
            self.assertIn("returned a Future, which nothing awaits", str(logged.value))

    def test_other_values_of_a_void_method_are_ignored(self) -> None:
        """As Thrift ignores them."""
        said = log_lines(self)
        values: list[Any] = [None, 1, "x", [], {}]
        for value in values:
            (result,) = self.ask("run", partial(lambda answer: answer, value))
            self.assertEqual(result, self.stub.run_result())
        self.assertEqual([line for line in said if "failed" in line], [])
