"""PITFALLS, stubs 9: generated exceptions are immutable, and still behave as exceptions do."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail, inlineCallbacks
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator.ttypes import InvalidOperation
from rpc.errors import RPCError
from rpc.generated_exceptions import repair
from tests.stubs import compile_stub

repair(InvalidOperation)


class Special(InvalidOperation):
    """A handler's own kind of the IDL's exception, with another way to be made."""

    def __init__(self, why: str) -> None:
        super().__init__(4, why)


class RepairTests(SynchronousTestCase):
    """PITFALLS, stubs 9: what a repaired class can do that a generated one cannot."""

    def setUp(self) -> None:
        self.error: Any = InvalidOperation(whatOp=4, why="zero")

    def test_generated_code_needs_it(self) -> None:
        """As the compiler leaves it, a class cannot do what the tests below ask; once it can, this module may go."""
        stub = compile_stub("exception Fresh { 1: string why } service S { void f() throws (1: Fresh fresh) }", "S")
        fresh = stub.ttypes.Fresh("why")
        self.assertRaises(TypeError, setattr, fresh, "__traceback__", None)
        repair(type(fresh))
        fresh.__traceback__ = None

    def test_contextmanager(self) -> None:
        """It comes through a contextlib.contextmanager."""

        @contextlib.contextmanager
        def block() -> Iterator[None]:
            yield

        def fails() -> None:
            with block():
                raise self.error

        self.assertIs(self.assertRaises(InvalidOperation, fails), self.error)

    def test_failure(self) -> None:
        """A Failure of it can be cleaned, raised again, and passes through inlineCallbacks."""
        failure = Failure(self.error)
        failure.cleanFailure()
        self.assertIs(self.assertRaises(InvalidOperation, failure.raiseException), self.error)

        @inlineCallbacks
        def waits() -> Any:
            yield fail(self.error)

        waiting: Deferred[Any] = waits()
        self.assertIs(self.failureResultOf(waiting, InvalidOperation).value, self.error)

    def test_raise_from(self) -> None:
        """It can be raised from another, and with a traceback and notes of one's choice."""
        cause = ValueError("cause")
        try:
            raise self.error.with_traceback(None) from cause
        except InvalidOperation as error:
            self.assertIs(error.__cause__, cause)
            self.assertTrue(error.__suppress_context__)

    def test_copy_and_pickle(self) -> None:
        """Copies are equal, of the same class, and hash the same."""
        for error in (self.error, InvalidOperation(4, "zero"), InvalidOperation(), Special("zero")):
            copies = [copy.copy(error), copy.deepcopy(error)]
            copies += [pickle.loads(pickle.dumps(error, level)) for level in range(pickle.HIGHEST_PROTOCOL + 1)]
            for made in copies:
                self.assertIsNot(made, error)
                self.assertIs(type(made), type(error))
                self.assertEqual(made, error)
                self.assertEqual(hash(made), hash(error))
                self.assertEqual((made.whatOp, made.why, made.args), (error.whatOp, error.why, error.args))

    def test_fields_stay_immutable(self) -> None:
        """The IDL's fields can neither be set nor deleted: they make the hash."""
        for change in (
            lambda: setattr(self.error, "why", "other"),
            lambda: setattr(self.error, "whatOp", 4),
            lambda: delattr(self.error, "why"),
        ):
            self.assertIn("InvalidOperation.w", str(self.assertRaises(TypeError, change)))
        self.assertEqual(self.error, InvalidOperation(4, "zero"))
        self.assertEqual(hash(self.error), hash(InvalidOperation(4, "zero")))
        self.assertNotEqual(self.error, InvalidOperation(4, "one"))

    def test_other_attributes(self) -> None:
        """What is no field can be set and deleted."""
        self.error.seen = True
        del self.error.seen
        self.assertFalse(hasattr(self.error, "seen"))

    def test_repair_twice(self) -> None:
        """A second repair changes nothing; nor does one of a class that was not generated."""
        before = dict(vars(InvalidOperation))
        repair(InvalidOperation)
        self.assertEqual(dict(vars(InvalidOperation)), before)
        before = dict(vars(RPCError))
        repair(RPCError)
        self.assertEqual(dict(vars(RPCError)), before)
