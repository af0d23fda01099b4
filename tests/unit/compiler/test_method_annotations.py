"""Annotations of methods: what is read is checked, and what is not is told."""

from __future__ import annotations

from tests.unit.compiler.idl_files import IDLTestCase


class AnnotationsTests(IDLTestCase):
    """Each with the file, the line and the method."""

    def warnings(self, annotations: str) -> list[str]:
        """The warnings for a method with these annotations, the folder's own path taken out."""
        self.write(x=f"service S {{\n void e(),\n void f()\n ({annotations}) }}")
        return [warning.replace(f"{self.idl}/", "") for warning in self.compiled().warnings]

    def test_right(self) -> None:
        """What is read and right, and what other generators read, is no matter."""
        for right in ('timeout_ms = "1"', 'idempotent = "true", timeout_ms = "5000"', 'idempotent = "false"'):
            self.assertEqual(self.warnings(right), [])
        self.assertEqual(self.warnings('py.immutable = "", cpp.type = "x", deprecated = "use e"'), [])

    def test_wrong_values(self) -> None:
        """A value that cannot be meant is refused."""
        for name, values in (("timeout_ms", ("0", "-1", "5s", "", "1.5", "²")), ("idempotent", ("yes", "True", "1"))):
            for value in values:
                self.write(x=f'service S {{\n void e(),\n void f()\n ({name} = "{value}") }}')
                start = f'x.thrift:4: method f: {name} = "{value}": must be '
                self.assertEqual(self.refusal()[: len(start)], start)

    def test_several_wrong_values(self) -> None:
        """All are told at once."""
        self.write(x='service S {\n void e() (timeout_ms = "x"),\n void f() (idempotent = "x") }')
        self.assertEqual([line[:11] for line in self.refusal().splitlines()], ["x.thrift:2:", "x.thrift:3:"])

    def test_unknown(self) -> None:
        """A name that nobody reads is told with those that are read."""
        self.assertEqual(
            self.warnings('timeout = "5"'),
            ["x.thrift:4: method f: nothing reads the annotation timeout; known are timeout_ms, idempotent"],
        )

    def test_inherited(self) -> None:
        """A method that is inherited or included is told once, where it stands."""
        self.write(
            a='service A { void f() (tmeout_ms = "5") }',
            b='include "a.thrift"\nservice B extends a.A { void g() }',
        )
        self.assertEqual(len(self.compiled().warnings), 1)
