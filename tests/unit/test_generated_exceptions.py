"""Generated exceptions are immutable, and can still be raised, copied and pickled."""

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
    """A handler's subclass of the IDL's exception with another ``__init__``."""

    def __init__(self, why: str) -> None:
        super().__init__(4, why)


class RepairTests(SynchronousTestCase):
    """Operations that fail with a generated class and succeed with a repaired one."""

    def setUp(self) -> None:
        self.error: Any = InvalidOperation(whatOp=4, why="zero")

    def test_generated_exceptions_fail_without_the_repair(self) -> None:
        """When this test fails, the compiler is mended, and the module can be removed."""
        stub = compile_stub("exception Fresh { 1: string why } service S { void f() throws (1: Fresh fresh) }", "S")
        fresh = stub.ttypes.Fresh("why")
        self.assertRaises(TypeError, setattr, fresh, "__traceback__", None)
        repair(type(fresh))
        fresh.__traceback__ = None

    def test_passes_through_a_context_manager(self) -> None:
        """contextlib.contextmanager sets the traceback."""

        @contextlib.contextmanager
        def block() -> Iterator[None]:
            yield

        def fails() -> None:
            with block():
                raise self.error

        self.assertIs(self.assertRaises(InvalidOperation, fails), self.error)

    def test_works_in_a_failure(self) -> None:
        """A Failure can be cleaned, raised again, and passes through inlineCallbacks."""
        failure = Failure(self.error)
        failure.cleanFailure()
        self.assertIs(self.assertRaises(InvalidOperation, failure.raiseException), self.error)

        @inlineCallbacks
        def waits() -> Any:
            yield fail(self.error)

        waiting: Deferred[Any] = waits()
        self.assertIs(self.failureResultOf(waiting, InvalidOperation).value, self.error)

    def test_can_be_raised_from_another_exception(self) -> None:
        """With a traceback and notes, too."""
        cause = ValueError("cause")
        try:
            raise self.error.with_traceback(None) from cause
        except InvalidOperation as error:
            self.assertIs(error.__cause__, cause)
            self.assertTrue(error.__suppress_context__)

    def test_copies_and_pickles_are_equal(self) -> None:
        """Of the same class, with the same hash."""
        for error in (self.error, InvalidOperation(4, "zero"), InvalidOperation(), Special("zero")):
            copies = [copy.copy(error), copy.deepcopy(error)]
            copies += [pickle.loads(pickle.dumps(error, level)) for level in range(pickle.HIGHEST_PROTOCOL + 1)]
            for made in copies:
                self.assertIsNot(made, error)
                self.assertIs(type(made), type(error))
                self.assertEqual(made, error)
                self.assertEqual(hash(made), hash(error))
                self.assertEqual((made.whatOp, made.why, made.args), (error.whatOp, error.why, error.args))

    def test_fields_of_the_idl_stay_immutable(self) -> None:
        """The hash is computed from them."""
        for change in (
            lambda: setattr(self.error, "why", "other"),
            lambda: setattr(self.error, "whatOp", 4),
            lambda: delattr(self.error, "why"),
        ):
            self.assertIn("InvalidOperation.w", str(self.assertRaises(TypeError, change)))
        self.assertEqual(self.error, InvalidOperation(4, "zero"))
        self.assertEqual(hash(self.error), hash(InvalidOperation(4, "zero")))
        self.assertNotEqual(self.error, InvalidOperation(4, "one"))

    def test_other_attributes_can_be_set_and_deleted(self) -> None:
        """Those that are no fields."""
        self.error.seen = True
        del self.error.seen
        self.assertFalse(hasattr(self.error, "seen"))

    def test_a_second_repair_changes_nothing(self) -> None:
        """Nor does the repair of a class that was not generated."""
        before = dict(vars(InvalidOperation))
        repair(InvalidOperation)
        self.assertEqual(dict(vars(InvalidOperation)), before)
        before = dict(vars(RPCError))
        repair(RPCError)
        self.assertEqual(dict(vars(RPCError)), before)
