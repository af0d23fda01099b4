"""Annotations of methods: values are checked, and unknown names are warned of."""

from __future__ import annotations

from tests.unit.compiler.idl_files import IDLTestCase


class AnnotationsTests(IDLTestCase):
    """Each message has the file, the line and the method."""

    def warnings(self, annotations: str) -> list[str]:
        """Return the warnings for a method with these annotations, without the path of the folder."""
        self.write(x=f"service S {{\n void e(),\n void f()\n ({annotations}) }}")
        return [warning.replace(f"{self.idl}/", "") for warning in self.compiled().warnings]

    def test_accepts_known_annotations(self) -> None:
        """Those of the framework with valid values, and those of other generators."""
        for right in ('timeout_ms = "1"', 'idempotent = "true", timeout_ms = "5000"', 'idempotent = "false"'):
            self.assertEqual(self.warnings(right), [])
        self.assertEqual(self.warnings('py.immutable = "", cpp.type = "x", deprecated = "use e"'), [])

    def test_refuses_an_invalid_value(self) -> None:
        """The message has the allowed values."""
        for name, values in (("timeout_ms", ("0", "-1", "5s", "", "1.5", "²")), ("idempotent", ("yes", "True", "1"))):
            for value in values:
                self.write(x=f'service S {{\n void e(),\n void f()\n ({name} = "{value}") }}')
                start = f'x.thrift:4: method f: {name} = "{value}": must be '
                self.assertEqual(self.refusal()[: len(start)], start)

    def test_reports_all_invalid_values_at_once(self) -> None:
        """A line for each."""
        self.write(x='service S {\n void e() (timeout_ms = "x"),\n void f() (idempotent = "x") }')
        self.assertEqual([line[:11] for line in self.refusal().splitlines()], ["x.thrift:2:", "x.thrift:3:"])

    def test_warns_of_an_unknown_name(self) -> None:
        """The warning lists the known names."""
        self.assertEqual(
            self.warnings('timeout = "5"'),
            ["x.thrift:4: method f: nothing reads the annotation timeout; known are timeout_ms, idempotent"],
        )

    def test_warns_once_of_an_inherited_method(self) -> None:
        """At its definition."""
        self.write(
            a='service A { void f() (tmeout_ms = "5") }',
            b='include "a.thrift"\nservice B extends a.A { void g() }',
        )
        self.assertEqual(len(self.compiled().warnings), 1)
