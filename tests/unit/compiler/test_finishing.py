"""The completion of generated modules."""

from __future__ import annotations

from rpc.compiler import finishing
from rpc.compiler.source import Source
from tests.unit.compiler.idl_files import IDLTestCase


class FaultTests(IDLTestCase):
    """Faults of the completion itself."""

    def test_a_completed_module_that_is_not_python_is_refused(self) -> None:
        """The user learns it from the command, and that the IDL is not to blame."""
        self.write(a="struct S { 1: i32 x }")
        for fault in ("def", "def f(a, a): pass", "return", "x: int = (yield)"):  # the parser alone refuses the first
            self.patch(finishing, "compare_parameters", lambda text, fields, fault=fault: f"{text}\n{fault}")
            said = self.refusal()
            self.assertRegex(said, r"^a/(ttypes|constants)\.py: the completed module is not Python \(line \d+: ")
            self.assertIn("a fault of thrift-rpc, not of the IDL", said)


class LargeTests(IDLTestCase):
    """An IDL with many structs: the work for one may not grow with their number."""

    def test_no_definition_is_looked_for_in_the_text_unless_there_are_two_of_one_name(self) -> None:
        """Each search reads the file from its beginning."""
        looked_for: list[tuple[str, ...]] = []

        def locate(source: Source, *phrases: str) -> str:
            looked_for.append(phrases)
            return source.shown

        self.patch(Source, "locate", locate)
        self.write(a="\n".join(f"struct S{number} {{ 1: i32 x }}" for number in range(20)))
        self.compiled()
        self.assertEqual(looked_for, [])
        self.write(b="namespace py a\nstruct S7 { 1: i32 x }")
        self.refusal()
        self.assertEqual(set(looked_for), {("S7",)})
