"""What is read from a stub module: methods, their structs, timeouts, and whether a handler fits."""

from __future__ import annotations

import inspect
import types
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import InvalidOperation
from generated.kvstore import KeyValueStore
from rpc import idl
from rpc.errors import ConfigurationError
from rpc.stub import Stub, implements_all
from tests.stubs import compile_stub

Calculator: Any = CalculatorStub

ODD = """
exception Lost { 1: string what }
exception Found { 1: string what }
service Base { void ping() }
service Odd extends Base {
  i32 unordered(2: i32 second, 1: i32 first) throws (3: Found found, 1: Lost lost),
  bool defaults(1: i32 a = 5, 2: string b = "x"),
  oneway void tell(1: string what) (timeout_ms = "250"),
}
service Empty {}
"""


class StubTests(SynchronousTestCase):
    """Stub.of."""

    def test_service(self) -> None:
        """Service and interface are the module's; methods are its own and those of the service it extends."""
        stub = Stub.of(Calculator)
        self.assertEqual(stub.service, "Calculator")
        self.assertIs(stub.interface, Calculator.Iface)
        self.assertEqual(sorted(stub.methods), ["add", "blob", "calculate", "echo", "getStruct", "ping", "sum", "zip"])

    def test_method(self) -> None:
        """A method has its structs, its arguments in order, what it throws, and its timeout in seconds."""
        add = Stub.of(Calculator).methods["add"]
        self.assertEqual((add.name, add.argument_names), ("add", ("num1", "num2")))
        self.assertIs(add.arguments_class, Calculator.add_args)
        self.assertIs(add.result_class, Calculator.add_result)
        self.assertTrue(add.has_result)
        self.assertFalse(add.oneway)
        self.assertEqual(add.throws, (("ouch", InvalidOperation),))
        self.assertEqual(add.timeout, 5.0)
        self.assertEqual(list(inspect.signature(add.arguments_class).parameters), list(add.signature.parameters))

    def test_kinds_of_methods(self) -> None:
        """A oneway method has no result struct; a void one has no result; a timeout is there when the IDL has one."""
        methods = Stub.of(Calculator).methods
        self.assertTrue(methods["zip"].oneway)
        self.assertIsNone(methods["zip"].result_class)
        self.assertFalse(methods["ping"].has_result)
        self.assertFalse(methods["ping"].oneway)
        self.assertIsNone(methods["ping"].timeout)

    def test_extends(self) -> None:
        """PITFALLS, stubs 13: methods of the base service have the base's structs."""
        get = Stub.of(Calculator).methods["getStruct"]
        self.assertTrue(get.arguments_class.__module__.endswith("SharedService"))

    def test_odd_methods(self) -> None:
        """Arguments stand as the IDL writes them, whatever their numbers, and what is thrown by number."""
        odd = compile_stub(ODD, "Odd")
        methods = Stub.of(odd).methods
        self.assertEqual(methods["unordered"].argument_names, ("second", "first"))
        arguments = methods["unordered"].arguments_class(1, 2)
        self.assertEqual((arguments.second, arguments.first), (1, 2))
        self.assertEqual([name for name, _ in methods["unordered"].throws], ["lost", "found"])
        self.assertEqual(methods["tell"].timeout, 0.25)
        self.assertEqual(sorted(methods), ["defaults", "ping", "tell", "unordered"])
        self.assertEqual(methods["defaults"].arguments_class().a, 5)

    def test_service_without_methods(self) -> None:
        """A service without methods is a service."""
        self.assertEqual(Stub.of(compile_stub(ODD, "Empty")).methods, {})

    def test_bad_timeout(self) -> None:
        """A timeout_ms that is no number of milliseconds above 0 is named, though no compiler of ours writes one."""
        stub = compile_stub('service Bad { void wait() (timeout_ms = "7531") }', "Bad")
        description = Path(stub.__file__).parents[1] / idl.FILE_NAME
        right = description.read_text("utf-8")
        for written in ("0", "-1", "1.5", "soon", ""):
            description.write_text(right.replace("7531", written), "utf-8")
            error = self.assertRaises(ConfigurationError, Stub.of, stub)
            self.assertIn("Bad.wait", str(error))
            self.assertIn(repr(written), str(error))

    def test_no_stub(self) -> None:
        """What is no stub module is refused by name, with what to pass instead."""

        class Iface(Interface):
            def method() -> None:
                """Of no generated module."""

        stranger = types.ModuleType("stranger")
        stranger.Iface = Iface  # type: ignore[attr-defined]
        for module in (types, Calculator.Iface, Calculator.Client, None, "generated.calculator.Calculator", stranger):
            error = self.assertRaises(ConfigurationError, Stub.of, module)
            self.assertIn("stub", str(error))


class Complete:
    """A handler of Calculator that has every method, each written in another way."""

    def ping(self) -> None: ...
    def add(self, *numbers: int) -> int:
        return sum(numbers)

    def calculate(self, logid: int, w: object, extra: int = 0) -> int:
        return logid

    async def sum(self, numbers: object) -> int:
        return 0

    @staticmethod
    def echo(work: object) -> object:
        return work

    blob = bytes  # a callable written in C
    getStruct = dict

    @property
    def zip(self) -> Any:
        return lambda: None


class HandlerTests(SynchronousTestCase):
    """implements_all."""

    def test_complete(self) -> None:
        """Nothing is lacking of a handler whose methods take the IDL's arguments, however they are written."""
        self.assertEqual(implements_all(Complete(), Stub.of(Calculator)), [])

    def test_lacking(self) -> None:
        """Methods that are not there, cannot be called, or take other arguments are named in order."""

        class Handler(Complete):
            add = None  # type: ignore[assignment]

            def sum(self) -> int:  # type: ignore[override]
                return 0

        self.assertEqual(implements_all(Handler(), Stub.of(Calculator)), ["add", "sum"])
        self.assertEqual(
            implements_all(object(), Stub.of(KeyValueStore)), ["compareAndSwap", "delete", "get", "put", "scan"]
        )
