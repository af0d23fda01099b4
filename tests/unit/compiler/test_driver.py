"""The Thrift compiler: missing, old, strange, and what it says of bad IDL."""

from __future__ import annotations

import os

from rpc.compiler import compile_idl, driver
from rpc.errors import CompileError
from tests.unit.compiler.idl_files import IDLTestCase


class FindTests(IDLTestCase):
    """Programs that are not the Thrift compiler that is needed."""

    def program(self, text: str) -> str:
        path = self.folder / "thrift"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def test_missing(self) -> None:
        """A compiler that is not on the search path: which Debian package has it."""
        self.patch(os, "environ", {**os.environ, "PATH": str(self.folder)})
        self.assertIn("apt install thrift-compiler", str(self.assertRaises(CompileError, driver.find)))

    def test_missing_path(self) -> None:
        """A compiler that is not where the user says."""
        error = self.assertRaises(CompileError, driver.find, "/nowhere/thrift")
        self.assertTrue(str(error).startswith("/nowhere/thrift: no such program: install it"))

    def test_too_old(self) -> None:
        """An old compiler: its version, and which is needed."""
        error = self.assertRaises(CompileError, driver.find, self.program("echo Thrift version 0.9.3"))
        self.assertIn("is Thrift 0.9.3, too old: 0.17.0 is needed", str(error))

    def test_newer(self) -> None:
        """A newer compiler is taken, also one of two digits."""
        self.assertEqual(driver.find(self.program("echo Thrift version 0.25.0")).version, (0, 25, 0))

    def test_not_thrift(self) -> None:
        """Some other program: what it says of its version."""
        error = self.assertRaises(CompileError, driver.find, self.program("echo hello"))
        self.assertIn("is not a Thrift compiler: --version says 'hello'", str(error))

    def test_not_a_program(self) -> None:
        """A file that the system cannot run."""
        path = self.folder / "thrift"
        path.write_bytes(b"\x7fELF nonsense")
        path.chmod(0o755)
        self.assertIn("cannot be run", str(self.assertRaises(CompileError, driver.find, str(path))))

    def test_crash(self) -> None:
        """A compiler that fails without a word."""
        self.write(x="struct A {}")
        program = self.program('[ "$1" = --version ] && echo Thrift version 0.17.0 && exit 0\nexit 139')
        error = self.assertRaises(CompileError, compile_idl, [self.idl], (), program)
        self.assertIn("x.thrift: the Thrift compiler failed without a message", str(error))


class MessagesTests(IDLTestCase):
    """Bad IDL is refused in the compiler's own words, files named as the user named them."""

    def test_syntax(self) -> None:
        """A syntax error, with the line where the compiler found it."""
        self.write(x="struct A {\n 1: i32\n}")
        self.assertEqual(self.refusal(), "x.thrift:3: (last token was '}') syntax error")

    def test_syntax_in_an_include(self) -> None:
        """The error is told of the included file, once."""
        self.write(a='include "b.thrift"', b="struct A {\n 1: i32\n}")
        self.assertEqual(self.refusal(), "b.thrift:3: (last token was '}') syntax error")

    def test_unknown_type(self) -> None:
        """The compiler names no line here: it is searched for."""
        self.write(x="// Nope\nstruct A {\n 1: Nope a\n}")
        self.assertEqual(self.refusal(), 'x.thrift:3: Type "Nope" not defined')

    def test_warnings(self) -> None:
        """Warnings of IDL that compiles are kept, each once."""
        self.write(x="const i64 A = 5000000000")
        (warning,) = self.compiled().warnings
        self.assertEqual(warning, f'{self.idl}/x.thrift:1: 64-bit constant "5000000000" may not work in all languages.')
