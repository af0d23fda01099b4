"""The IDL's description of a stub is found from the stub's module."""

from __future__ import annotations

import json
import sys
import types
from importlib import import_module
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator
from generated.report import Report
from rpc import idl
from tests.unit.compiler.idl_files import PROJECT


class LoadTests(SynchronousTestCase):
    """The project's own stubs."""

    def describe(self, stub: types.ModuleType) -> idl.ServiceDescription:
        description = idl.load(stub)
        assert description is not None
        return description

    def test_describes_a_method(self) -> None:
        """Arguments, result, exceptions, annotations and doc comment."""
        add = self.describe(Calculator).methods["add"]
        self.assertEqual([argument.name for argument in add.arguments], ["num1", "num2"])
        self.assertEqual([argument.type for argument in add.arguments], [idl.BaseType("i32")] * 2)
        self.assertEqual(add.returns, idl.BaseType("i32"))
        self.assertEqual(
            [(error.name, error.type) for error in add.throws],
            [("ouch", idl.StructType("calculator.InvalidOperation"))],
        )
        self.assertEqual(dict(add.annotations), {"idempotent": "true", "timeout_ms": "5000"})
        self.assertTrue(add.doc.startswith("Add two numbers.\n\nInvalidOperation is thrown"))
        self.assertFalse(add.oneway)

    def test_a_oneway_method_has_no_result(self) -> None:
        """And is marked as oneway."""
        description = self.describe(Calculator).methods["zip"]
        self.assertEqual((description.oneway, description.returns), (True, None))

    def test_inherited_methods_come_first(self) -> None:
        """Those of an extended service in another file, with their annotations."""
        service = self.describe(Calculator)
        self.assertEqual((service.name, service.extends), ("Calculator", "shared.SharedService"))
        self.assertEqual(next(iter(service.methods)), "getStruct")
        self.assertEqual(service.methods["getStruct"].returns, idl.StructType("shared.SharedStruct"))
        self.assertEqual(service.methods["getStruct"].annotations["idempotent"], "true")

    def test_describes_a_struct(self) -> None:
        """Its fields with typedefs resolved and enums kept, and the module of its class."""
        interface = self.describe(Calculator).interface
        fields = {field.name: field for field in interface.structs["calculator.Work"].fields}
        self.assertEqual(fields["num1"].type, idl.BaseType("i32"))
        self.assertEqual((fields["num1"].has_default, fields["num2"].has_default), (True, False))
        self.assertEqual(fields["op"].type, idl.EnumType("calculator.Operation"))
        self.assertEqual(fields["comment"].requiredness, "optional")
        self.assertEqual(interface.enums["calculator.Operation"].members["DIVIDE"], 4)
        module, name = interface.struct_path("calculator.Work")
        self.assertIs(getattr(import_module(module), name), Calculator.Work)

    def test_names_a_type_of_an_included_file_by_its_own_package(self) -> None:
        """Here an exception."""
        throws = self.describe(Report).methods["summarize"].throws
        self.assertEqual(throws[0].type, idl.StructType("kvstore.InvalidArgument"))
        self.assertIn("kvstore.InvalidArgument", self.describe(Report).interface.structs)

    def test_descriptions_are_read_only(self) -> None:
        """All callers share them."""
        service = self.describe(Calculator)
        with self.assertRaises(TypeError):
            service.methods["add"] = service.methods["ping"]  # type: ignore[index]

    def test_a_plain_stub_has_no_description(self) -> None:
        """Plain output of the Thrift compiler has no idl.json."""
        for name in ("Calculator", "plain.Calculator", "email.Calculator", "generated.other.Service"):
            self.assertIsNone(idl.load(types.ModuleType(name)))


class ParseTests(SynchronousTestCase):
    """Content that this version does not read."""

    def test_refuses_another_format(self) -> None:
        """The error has both numbers."""
        error = self.assertRaises(ValueError, idl.parse, {"format": 99}, "stubs")
        self.assertEqual(str(error), "idl.json of stubs has format 99, not 1: compile again")

    def test_refuses_an_unknown_type(self) -> None:
        """Of a name or of a kind."""
        document = self.document()
        for bad in ("quaternion", {"tuple": "i32"}):
            document["constants"] = {"x.A": {"type": bad, "doc": ""}}
            self.assertRaises(ValueError, idl.parse, document)

    def document(self) -> dict[str, Any]:
        """Return the content of the project's own file."""
        document: dict[str, Any] = json.loads((PROJECT / "generated" / "idl.json").read_text("utf-8"))
        return document

    def test_refuses_values_of_other_types(self) -> None:
        """In every place of a value: the objects of a description have the types of their attributes."""
        changes: list[tuple[tuple[str | int, ...], Any]] = [
            (("structs", "calculator.Work", "kind"), 1),
            (("structs", "calculator.Work", "kind"), "class"),
            (("structs", "calculator.Work", "fields", 0, "id"), "1"),
            (("structs", "calculator.Work", "fields", 0, "id"), True),
            (("structs", "calculator.Work", "fields", 0, "name"), None),
            (("structs", "calculator.Work", "fields", 0, "has_default"), 1),
            (("structs", "calculator.Work", "fields", 0, "requiredness"), "perhaps"),
            (("structs", "calculator.Work", "fields", 0, "type"), {"list": ["i32"]}),
            (("structs", "calculator.Work", "fields", 0, "type"), {"map": ["i32"]}),
            (("structs", "calculator.Work", "fields", 0, "type"), {"map": ["i32", "i32", "i32"]}),
            (("structs", "calculator.Work", "fields", 0, "type"), {"struct": 1}),
            (("structs", "calculator.Work", "annotations"), {"a": 1}),
            (("structs", "calculator.Work", "annotations"), [["a", "b"]]),
            (("enums", "calculator.Operation", "doc"), 1),
            (("enums", "calculator.Operation", "members", 0, "value"), "1"),
            (("constants", "calculator.SYMBOLS", "doc"), []),
            (("services", "calculator.Calculator", "methods", 0, "name"), 1),
            (("services", "calculator.Calculator", "methods", 0, "oneway"), "true"),
            (("services", "calculator.Calculator", "methods", 0, "returns"), 1),
            (("services", "calculator.Calculator", "methods", 1, "throws", 0, "type"), "i32"),
            (("services", "calculator.Calculator", "extends"), 1),
        ]
        for path, value in changes:
            document = self.document()
            item: Any = document
            for part in path[:-1]:
                item = item[part]
            item[path[-1]] = value
            self.assertRaises(ValueError, idl.parse, document)

    def test_refuses_what_is_named_and_not_there(self) -> None:
        """A struct, an enum, or the service that a service extends; and a service that extends itself."""
        for kind in ({"struct": "calculator.Nothing"}, {"enum": "calculator.Work"}, {"list": {"struct": "x.Y"}}):
            document = self.document()
            document["services"]["calculator.Calculator"]["methods"][0]["returns"] = kind
            self.assertRaises(ValueError, idl.parse, document)
        for extended in ("shared.Nothing", "calculator.Calculator"):
            document = self.document()
            document["services"]["calculator.Calculator"]["extends"] = extended
            self.assertRaises(ValueError, idl.parse, document)

    def test_refuses_deep_nesting(self) -> None:
        """Of types, and of the text: descriptions are walked by functions that call themselves."""
        document = self.document()
        kind: Any = "i32"
        for _ in range(100):
            kind = {"list": kind}
        document["constants"]["calculator.SYMBOLS"]["type"] = kind
        self.assertRaises(ValueError, idl.parse, document)
        self.assertRaises(ValueError, idl.read, "[" * 100_000)

    def test_refuses_a_damaged_file(self) -> None:
        """When it is loaded."""
        folder = self.mktemp()
        package = f"damaged_{id(self)}"
        root = PROJECT.__class__(folder) / package
        root.mkdir(parents=True)
        (root / "__init__.py").write_text("")
        sys.path.insert(0, folder)
        self.addCleanup(sys.path.remove, folder)
        self.addCleanup(sys.modules.pop, package, None)
        for text in ('{"format": 1}', '{"format": 1, "structs": []}', "[]", "{"):
            (root / "idl.json").write_text(text)
            self.assertRaises(ValueError, idl.load, types.ModuleType(f"{package}.x.S"))
