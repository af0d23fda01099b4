"""The data of a stub module: methods, their structs and timeouts; and whether a handler has all methods."""

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

    def test_reads_the_service_and_its_methods(self) -> None:
        """Its own, and those of the service that it extends."""
        stub = Stub.of(Calculator)
        self.assertEqual(stub.service, "Calculator")
        self.assertIs(stub.interface, Calculator.Iface)
        self.assertEqual(sorted(stub.methods), ["add", "blob", "calculate", "echo", "getStruct", "ping", "sum", "zip"])

    def test_reads_a_method(self) -> None:
        """Structs, arguments in order, exceptions, and the timeout in seconds."""
        add = Stub.of(Calculator).methods["add"]
        self.assertEqual((add.name, add.argument_names), ("add", ("num1", "num2")))
        self.assertIs(add.arguments_class, Calculator.add_args)
        self.assertIs(add.result_class, Calculator.add_result)
        self.assertTrue(add.has_result)
        self.assertFalse(add.oneway)
        self.assertEqual(add.throws, (("ouch", InvalidOperation),))
        self.assertEqual(add.timeout, 5.0)
        self.assertEqual(list(inspect.signature(add.arguments_class).parameters), list(add.signature.parameters))

    def test_tells_oneway_and_void_methods_apart(self) -> None:
        """Only a oneway method has no result struct. A timeout exists when the IDL has one."""
        methods = Stub.of(Calculator).methods
        self.assertTrue(methods["zip"].oneway)
        self.assertIsNone(methods["zip"].result_class)
        self.assertFalse(methods["ping"].has_result)
        self.assertFalse(methods["ping"].oneway)
        self.assertIsNone(methods["ping"].timeout)

    def test_methods_of_the_base_service_have_its_structs(self) -> None:
        """The generated module of the derived service does not have them."""
        get = Stub.of(Calculator).methods["getStruct"]
        self.assertTrue(get.arguments_class.__module__.endswith("SharedService"))

    def test_arguments_have_the_order_of_the_idl_and_exceptions_that_of_their_numbers(self) -> None:
        """The numbers of the arguments do not matter."""
        odd = compile_stub(ODD, "Odd")
        methods = Stub.of(odd).methods
        self.assertEqual(methods["unordered"].argument_names, ("second", "first"))
        arguments = methods["unordered"].arguments_class(1, 2)
        self.assertEqual((arguments.second, arguments.first), (1, 2))
        self.assertEqual([name for name, _ in methods["unordered"].throws], ["lost", "found"])
        self.assertEqual(methods["tell"].timeout, 0.25)
        self.assertEqual(sorted(methods), ["defaults", "ping", "tell", "unordered"])
        self.assertEqual(methods["defaults"].arguments_class().a, 5)

    def test_accepts_a_service_without_methods(self) -> None:
        """Its table is empty."""
        self.assertEqual(Stub.of(compile_stub(ODD, "Empty")).methods, {})

    def test_refuses_a_timeout_that_is_no_number_above_zero(self) -> None:
        """``thrift-rpc compile`` never writes one."""
        stub = compile_stub('service Bad { void wait() (timeout_ms = "7531") }', "Bad")
        description = Path(stub.__file__).parents[1] / idl.FILE_NAME
        right = description.read_text("utf-8")
        for written in ("0", "-1", "1.5", "soon", ""):
            description.write_text(right.replace("7531", written), "utf-8")
            error = self.assertRaises(ConfigurationError, Stub.of, stub)
            self.assertIn("Bad.wait", str(error))
            self.assertIn(repr(written), str(error))

    def test_takes_the_class_of_clients_for_its_module(self) -> None:
        """Type checkers know this class."""
        self.assertIs(Stub.of(Calculator.Client), Stub.of(Calculator))

    def test_refuses_a_module_that_is_no_stub(self) -> None:
        """The error names it, and the module to pass instead."""

        class Iface(Interface):
            def method() -> None:
                """A method of no generated module."""

        stranger = types.ModuleType("stranger")
        stranger.Iface = Iface  # type: ignore[attr-defined]

        class Client:
            """A class of a module that is no stub."""

        others = (Calculator.Iface, Calculator.Processor, Client, None, "generated.calculator.Calculator")
        for module in (types, stranger, *others):
            error = self.assertRaises(ConfigurationError, Stub.of, module)
            self.assertIn("stub", str(error))


class Complete:
    """A handler of Calculator with every method, each written in another way."""

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

    def test_a_complete_handler_lacks_no_method(self) -> None:
        """However its methods are written."""
        self.assertEqual(implements_all(Complete(), Stub.of(Calculator)), [])

    def test_lists_the_methods_that_a_handler_lacks(self) -> None:
        """Missing ones, those that cannot be called, and those with other parameters, in order."""

        class Handler(Complete):
            add = None  # type: ignore[assignment]

            def sum(self) -> int:  # type: ignore[override]
                return 0

        self.assertEqual(implements_all(Handler(), Stub.of(Calculator)), ["add", "sum"])
        self.assertEqual(
            implements_all(object(), Stub.of(KeyValueStore)), ["compareAndSwap", "get", "put", "remove", "scan"]
        )
