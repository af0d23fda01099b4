"""The call of a command line, checked before a request is sent."""

from __future__ import annotations

import shlex
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from twisted.trial.unittest import SynchronousTestCase

import generated
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Operation, Work
from generated.kvstore.ttypes import NotFound
from rpc.cli.invocation import Invocation
from rpc.cli.targets import Target, is_module_name
from rpc.errors import ConfigurationError, InvalidRequest
from rpc.idl import loading
from tests.stubs import compile_stub

STUB = "generated.calculator.Calculator"


def read(stub: str, method: str, arguments: Sequence[str] | str) -> Invocation:
    """Read a command line that names a stub module."""
    return Invocation.read(Target.compiled(stub), method, arguments)


class InvocationTests(SynchronousTestCase):
    """Stub, method and arguments become a call or an error."""

    def refused(self, *words: str, kind: type[Exception] = ConfigurationError) -> str:
        """Return the error of a command line."""
        stub, method, *arguments = words
        return str(self.assertRaises(kind, read, stub, method, arguments))

    def test_reads_each_word_by_the_type_of_its_argument(self) -> None:
        """As JSON or as text."""
        invocation = read(STUB, "calculate", ["-1", '{"num1": 6, "num2": 7, "op": "MULTIPLY"}'])
        self.assertIs(invocation.stub, Calculator)
        self.assertEqual(invocation.arguments, [-1, Work(6, 7, Operation.MULTIPLY)])

    def test_finds_inherited_methods(self) -> None:
        """Methods of the service that this one extends."""
        self.assertEqual(read(STUB, "getStruct", ["1"]).method.name, "getStruct")

    def test_shows_a_result_as_json(self) -> None:
        """And nothing for a method without a result."""
        self.assertEqual(read(STUB, "add", ["1", "2"]).show(3), "3")
        echo = read(STUB, "echo", ["{}"])
        self.assertEqual(echo.show(Work(1, 2, comment="é")), '{"num1": 1, "num2": 2, "op": "ADD", "comment": "é"}')
        self.assertIsNone(read(STUB, "ping", []).show(None))
        self.assertIsNone(read(STUB, "zip", []).show(None))

    def test_shows_an_exception_of_the_method(self) -> None:
        """By name and fields; an exception that the method does not throw is not shown."""
        invocation = read(STUB, "add", ["1", "2"])
        self.assertEqual(
            invocation.show_thrown(InvalidOperation(1, "why")), 'InvalidOperation {"whatOp": 1, "why": "why"}'
        )
        self.assertIsNone(invocation.show_thrown(NotFound("key")))

    def test_lists_the_methods_whose_names_are_near_an_unknown_one(self) -> None:
        """With their types; inherited ones, too. A service may have hundreds."""
        error = self.refused(STUB, "divide", "1", "2")
        self.assertTrue(
            error.startswith("Calculator has no method 'divide'; 'thrift-rpc call' without a method lists its 8")
        )
        self.assertEqual(error.count("\n"), 0)
        error = self.refused(STUB, "getstruct", "1")
        self.assertEqual(error.splitlines()[1:], ["  shared.SharedStruct getStruct(i32 key)"])

    def test_refuses_words_that_name_arguments(self) -> None:
        """For text they would be sent as they are. In quotation marks they are text."""
        stub = compile_stub("service S { string f(1: string term, 2: string more) }", "S").__name__
        for word in ("term=RPC", "more=", '{"term": "RPC"}', '{"more": 1, "term": null}'):
            error = self.refused(stub, "f", word, "x", kind=InvalidRequest)
            self.assertIn(f"{word}: arguments have no names here, only their order: string f(string term", error)
            (quoted,) = shlex.split(error.partition("write ")[2])
            self.assertEqual(read(stub, "f", [quoted, "x"]).arguments, [word, "x"])
        for word in ("x=RPC", "=term", "a term=b", '{"other": 1}', "{}", '{"term"', '["term"]'):
            self.assertEqual(read(stub, "f", [word, word]).arguments, [word, word])

    def test_takes_and_shows_structs_in_sets_and_as_keys(self) -> None:
        """A key is written as the text of its JSON."""
        stub: Any = compile_stub("struct P { 1: i32 x } service S { set<P> f(1: set<P> all, 2: map<P, i32> by) }", "S")
        invocation = read(stub.__name__, "f", ['[{"x": 1}, {"x": 1}]', '{"{\\"x\\": 2}": 3}'])
        self.assertEqual(invocation.arguments, [{stub.P(1)}, {stub.P(2): 3}])
        self.assertEqual(invocation.show({stub.P(2), stub.P(1)}), '[{"x": 1}, {"x": 2}]')

    def test_takes_an_object_for_a_struct_with_fields_like_the_arguments(self) -> None:
        """There an object is meant."""
        stub = compile_stub("struct A { 1: i32 a } service S { void f(1: A a) }", "S").__name__
        self.assertEqual(read(stub, "f", ['{"a": 1}']).arguments[0].a, 1)

    def test_refuses_too_few_and_too_many_arguments(self) -> None:
        """With the method's signature."""
        for arguments in ((), ("1",), ("1", "2", "3")):
            error = self.refused(STUB, "add", *arguments, kind=InvalidRequest)
            self.assertIn(f"i32 add(i32 num1, i32 num2) takes 2 arguments, not {len(arguments)}", error)

    def test_names_the_argument_that_does_not_fit(self) -> None:
        """With its type."""
        self.assertTrue(self.refused(STUB, "add", "1", "x", kind=InvalidRequest).startswith("num2: i32 takes"))

    def test_refuses_a_module_that_does_not_import(self) -> None:
        """With the error of the import."""
        self.assertIn("there is no module 'no' in ", self.refused("no.such.Stub", "x"))
        self.assertIn(".Stub does not import: TypeError", self.refused(".Stub", "x"))
        script = Path(self.mktemp()).absolute()
        script.mkdir()
        (script / "call_script.py").write_text("raise SystemExit(0)\n")
        self.patch(sys, "path", [str(script), *sys.path])
        self.assertIn("call_script does not import: SystemExit", self.refused("call_script", "x"))

    def test_refuses_a_module_that_is_no_stub(self) -> None:
        """The error explains which module is one."""
        self.assertIn("'json' is not a service stub", self.refused("json", "loads"))

    def test_refuses_a_stub_without_idl_json(self) -> None:
        """Programs can call stubs of the plain Thrift compiler; here their types are unknown."""
        plain = types.ModuleType("plain")
        plain.__dict__.update({name: value for name, value in vars(Calculator).items() if not name.startswith("__")})
        sys.modules["plain"] = plain
        self.addCleanup(sys.modules.pop, "plain")
        self.assertIn("no idl.json around plain", self.refused("plain", "ping"))

    def test_refuses_idl_json_of_another_format(self) -> None:
        """Another version wrote it."""
        self.patch(sys.modules["rpc.idl.document"], "FORMAT", 99)
        self.patch(sys.modules["rpc.stub"], "_stubs", WeakKeyDictionary())  # it was read before, with the true format
        self.patch(loading, "_interface", loading._interface.__wrapped__)
        self.assertIn("idl.json of generated has format 1", self.refused(STUB, "ping"))
        self.assertEqual(generated.__name__, "generated")

    def test_reads_all_arguments_from_json(self) -> None:
        """By name, or in the order of the IDL."""
        for text in ('{"w": {"num2": 7}, "logid": -1}', '[-1, {"num2": 7}]'):
            self.assertEqual(read(STUB, "calculate", text).arguments, [-1, Work(num2=7)])
        self.assertEqual(read(STUB, "ping", "{}").arguments, read(STUB, "ping", " []\n").arguments)

    def test_refuses_other_json(self) -> None:
        """It names the argument that is missing, unknown, there twice or wrong."""
        for text, said in {
            "": "standard input is not JSON",
            "{": "standard input is not JSON",
            "[" * 100_000: "standard input is not JSON",
            "5": "standard input must be an array or object of the arguments of i32 add(i32 num1, i32 num2)",
            "[1]": "takes 2 arguments, not 1",
            '{"num1": 1}': "needs the argument 'num2'",
            '{"num1": 1, "num2": 2, "num3": 3}': "has no argument 'num3'",
            '{"num1": 1, "num2": 2, "num1": 3}': "has the argument 'num1' twice",
            '{"num1": 1, "num2": "2"}': "num2: i32 takes a whole number",
            "[1, null]": "num2: i32 takes a whole number",
        }.items():
            error = self.assertRaises(InvalidRequest, read, STUB, "add", text)
            self.assertIn(said, str(error))


IDL = """
include "shared.thrift"
service Glossary extends shared.Base { string explain(1: string term = "RPC", 2: shared.Kind kind) }
"""


class TargetTests(SynchronousTestCase):
    """Services in files."""

    def setUp(self) -> None:
        """Write two files."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        (self.folder / "shared.thrift").write_text("enum Kind { A = 1 } service Base { Kind get(1: Kind kind) }")
        self.file = self.folder / "glossary.thrift"
        self.file.write_text(IDL)

    def test_a_service_in_a_file_needs_no_stub(self) -> None:
        """Also one that has methods and types of an included file. Nothing is written beside it."""
        target = Target.in_file(self.file, "Glossary")
        self.assertEqual(Invocation.read(target, "get", ["A"]).arguments, [1])
        self.assertEqual(Invocation.read(target, "explain", ["a", "1"]).arguments, ["a", 1])
        self.assertEqual(len(list(self.folder.iterdir())), 2)
        self.assertEqual(Target.in_file(self.file, "Base").description.name, "Base")

    def test_refuses_an_unknown_service_or_a_broken_file(self) -> None:
        """It names the services that there are, those of one name by their keys."""
        error = self.assertRaises(ConfigurationError, Target.in_file, self.file, "Gloss")
        self.assertIn("has no service 'Gloss'; its services: Base, Glossary", str(error))
        (self.folder / "other.thrift").write_text("service Base {}")
        self.file.write_text('include "shared.thrift" include "other.thrift" service Glossary extends other.Base {}')
        error = self.assertRaises(ConfigurationError, Target.in_file, self.file, "Base")
        self.assertIn("has several services 'Base'; its services: other.Base, shared.Base. ", str(error))
        self.assertEqual(list(Target.in_file(self.file, "shared.Base").description.methods), ["get"])
        self.file.write_text("service {")
        error = self.assertRaises(ConfigurationError, Target.in_file, self.file, "Glossary")
        self.assertIn("glossary.thrift:1: ", str(error))

    def test_words_with_a_dot_are_modules(self) -> None:
        """If their first part is a package. A name of a service or worker may have one, too."""
        for word in ("generated.calculator.Calculator", "generated.nothing"):
            self.assertTrue(is_module_name(word))
        for word in ("Calculator", "Calculator@host.1.abc", "generated..b", "generated.a-b", "no_package.b"):
            self.assertFalse(is_module_name(word))
