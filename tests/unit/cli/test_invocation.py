"""What a command line asks for, checked before anything is sent."""

from __future__ import annotations

import sys
import types

from twisted.trial.unittest import SynchronousTestCase

import generated
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Operation, Work
from generated.kvstore.ttypes import NotFound
from rpc.cli.invocation import Invocation
from rpc.errors import ConfigurationError, InvalidRequest

STUB = "generated.calculator.Calculator"


class InvocationTests(SynchronousTestCase):
    """Stub, method and arguments become a call, or an error that says what is wrong."""

    def refused(self, *words: str, kind: type[Exception] = ConfigurationError) -> str:
        """The error of a command line."""
        stub, method, *arguments = words
        return str(self.assertRaises(kind, Invocation.read, stub, method, arguments))

    def test_arguments(self) -> None:
        """Each word is read by the type of its argument."""
        invocation = Invocation.read(STUB, "calculate", ["-1", '{"num1": 6, "num2": 7, "op": "MULTIPLY"}'])
        self.assertIs(invocation.stub, Calculator)
        self.assertEqual(invocation.arguments, [-1, Work(6, 7, Operation.MULTIPLY)])

    def test_inherited_method(self) -> None:
        """Methods of the service that this one extends can be called as well."""
        self.assertEqual(Invocation.read(STUB, "getStruct", ["1"]).method.name, "getStruct")

    def test_result(self) -> None:
        """A result is shown as JSON, no result not at all."""
        self.assertEqual(Invocation.read(STUB, "add", ["1", "2"]).show(3), "3")
        echo = Invocation.read(STUB, "echo", ["{}"])
        self.assertEqual(echo.show(Work(1, 2, comment="é")), '{"num1": 1, "num2": 2, "op": "ADD", "comment": "é"}')
        self.assertIsNone(Invocation.read(STUB, "ping", []).show(None))
        self.assertIsNone(Invocation.read(STUB, "zip", []).show(None))

    def test_thrown(self) -> None:
        """An exception that the method throws is shown by name and fields; another one is not its own."""
        invocation = Invocation.read(STUB, "add", ["1", "2"])
        self.assertEqual(
            invocation.show_thrown(InvalidOperation(1, "why")), 'InvalidOperation {"whatOp": 1, "why": "why"}'
        )
        self.assertIsNone(invocation.show_thrown(NotFound("key")))

    def test_unknown_method(self) -> None:
        """The methods there are, inherited ones too, are listed with their types."""
        error = self.refused(STUB, "divide", "1", "2")
        self.assertIn("Calculator has no method 'divide'", error)
        for signature in ("i32 add(i32 num1, i32 num2)", "void ping()", "oneway zip()", "getStruct(i32 key)"):
            self.assertIn(signature, error)

    def test_number_of_arguments(self) -> None:
        """Too few and too many are told with the method's signature."""
        for arguments in ((), ("1",), ("1", "2", "3")):
            error = self.refused(STUB, "add", *arguments, kind=InvalidRequest)
            self.assertIn(f"i32 add(i32 num1, i32 num2) takes 2 arguments, not {len(arguments)}", error)

    def test_wrong_argument(self) -> None:
        """The argument is named, with its type."""
        self.assertTrue(self.refused(STUB, "add", "1", "x", kind=InvalidRequest).startswith("num2: i32 takes"))

    def test_module_that_does_not_import(self) -> None:
        """The error of the import is told."""
        self.assertIn("no.such.Stub does not import: ModuleNotFoundError", self.refused("no.such.Stub", "x"))
        self.assertIn(".Stub does not import: TypeError", self.refused(".Stub", "x"))

    def test_module_that_is_no_stub(self) -> None:
        """A module of another kind is refused with what would be right."""
        self.assertIn("'json' is not a service stub", self.refused("json", "loads"))

    def test_stub_without_idl(self) -> None:
        """What the plain Thrift compiler made can be called by programs, but its types are not known here."""
        plain = types.ModuleType("plain")
        plain.__dict__.update({name: value for name, value in vars(Calculator).items() if not name.startswith("__")})
        sys.modules["plain"] = plain
        self.addCleanup(sys.modules.pop, "plain")
        self.assertIn("no idl.json around plain", self.refused("plain", "ping"))

    def test_damaged_idl(self) -> None:
        """An idl.json that another version wrote is told as such."""
        self.patch(sys.modules["rpc.idl.document"], "FORMAT", 99)
        self.assertIn("idl.json of generated has format 1", self.refused(STUB, "ping"))
        self.assertEqual(generated.__name__, "generated")
