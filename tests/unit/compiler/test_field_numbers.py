"""Fields and arguments without a number are refused by file, line and name."""

from __future__ import annotations

from tests.unit.compiler.idl_files import IDLTestCase


class FieldNumbersTests(IDLTestCase):
    """Fields that no accelerated protocol would send."""

    def test_refuses_fields_without_a_number(self) -> None:
        """In structs, arguments and throws; all of a file in one message."""
        self.write(
            x="exception E {}\nstruct A {\n 1: i32 a,\n i32 b }\n"
            "service S {\n void f(i32 a,\n 2: i32 b)\n throws (E e) }"
        )
        told = [line.partition(": has no number above 0")[0] for line in self.refusal().splitlines()]
        self.assertEqual(told, ["x.thrift:4: field b", "x.thrift:6: argument a", "x.thrift:8: exception e"])

    def test_refuses_numbers_below_one(self) -> None:
        """0 and negative numbers, in the same words."""
        for number in ("0", "-3"):
            self.write(x=f"struct A {{\n {number}: i32 a }}\nservice S {{\n void f(\n {number}: i32 b) }}")
            told = [line.partition(", and would never")[0] for line in self.refusal().splitlines()]
            self.assertEqual(
                told, ["x.thrift:2: field a: has no number above 0", "x.thrift:5: argument b: has no number above 0"]
            )

    def test_accepts_any_numbers_above_zero(self) -> None:
        """In any order."""
        self.write(x="struct A {\n 7: i32 a,\n 1: i32 b }\nservice S {\n void f(3: A a) }")
        self.assertEqual(self.compiled().warnings, ())
