"""Fields and arguments without a number are refused by file, line and name."""

from __future__ import annotations

from tests.unit.compiler.idl_files import IDLTestCase


class FieldNumbersTests(IDLTestCase):
    """What would be sent by no accelerated protocol."""

    def test_refused(self) -> None:
        """In structs, arguments and throws; all of a file are told at once."""
        self.write(
            x="exception E {}\nstruct A {\n 1: i32 a,\n i32 b }\n"
            "service S {\n void f(i32 a,\n 2: i32 b)\n throws (E e) }"
        )
        told = [line.partition(": has no number above 0")[0] for line in self.refusal().splitlines()]
        self.assertEqual(told, ["x.thrift:4: field b", "x.thrift:6: argument a", "x.thrift:8: exception e"])

    def test_refused_numbers(self) -> None:
        """0 and what is below it are no numbers either, and are told in the same words."""
        for number in ("0", "-3"):
            self.write(x=f"struct A {{\n {number}: i32 a }}\nservice S {{\n void f(\n {number}: i32 b) }}")
            told = [line.partition(", and would never")[0] for line in self.refusal().splitlines()]
            self.assertEqual(
                told, ["x.thrift:2: field a: has no number above 0", "x.thrift:5: argument b: has no number above 0"]
            )

    def test_numbered(self) -> None:
        """Any numbers above 0 will do."""
        self.write(x="struct A {\n 7: i32 a,\n 1: i32 b }\nservice S {\n void f(3: A a) }")
        self.assertEqual(self.compiled().warnings, ())
