"""The Thrift compiler: missing, old or another program, and its messages about bad IDL."""

from __future__ import annotations

import os

from rpc.compiler import compile_idl, driver
from rpc.errors import CompileError
from tests.unit.compiler.idl_files import IDLTestCase


class FindTests(IDLTestCase):
    """Programs that are not a usable Thrift compiler."""

    def program(self, text: str) -> str:
        path = self.folder / "thrift"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def test_names_the_package_of_a_missing_compiler(self) -> None:
        """The compiler is not on the search path; the error names Debian's package."""
        self.patch(os, "environ", {**os.environ, "PATH": str(self.folder)})
        self.assertIn("apt install thrift-compiler", str(self.assertRaises(CompileError, driver.find)))

    def test_refuses_a_path_without_a_program(self) -> None:
        """The compiler is not at the path that the user gave."""
        error = self.assertRaises(CompileError, driver.find, "/nowhere/thrift")
        self.assertTrue(str(error).startswith("/nowhere/thrift: no such program: install it"))

    def test_refuses_an_old_compiler(self) -> None:
        """The error has its version and the required one."""
        error = self.assertRaises(CompileError, driver.find, self.program("echo Thrift version 0.9.3"))
        self.assertIn("is Thrift 0.9.3, too old: 0.17.0 is needed", str(error))

    def test_accepts_a_newer_compiler(self) -> None:
        """Also one with a two-digit minor version."""
        self.assertEqual(driver.find(self.program("echo Thrift version 0.25.0")).version, (0, 25, 0))

    def test_refuses_another_program(self) -> None:
        """The error quotes its output for ``--version``."""
        error = self.assertRaises(CompileError, driver.find, self.program("echo hello"))
        self.assertIn("is not a Thrift compiler: --version says 'hello'", str(error))

    def test_refuses_a_file_that_cannot_be_run(self) -> None:
        """The operating system refuses to execute it."""
        path = self.folder / "thrift"
        path.write_bytes(b"\x7fELF nonsense")
        path.chmod(0o755)
        self.assertIn("cannot be run", str(self.assertRaises(CompileError, driver.find, str(path))))

    def test_reports_a_compiler_that_fails_without_a_message(self) -> None:
        """The file that was compiled is named."""
        self.write(x="struct A {}")
        program = self.program('[ "$1" = --version ] && echo Thrift version 0.17.0 && exit 0\nexit 139')
        error = self.assertRaises(CompileError, compile_idl, [self.idl], (), program)
        self.assertIn("x.thrift: the Thrift compiler failed without a message", str(error))


class MessagesTests(IDLTestCase):
    """Bad IDL is refused in the compiler's own words, with files named as the user named them."""

    def test_reports_a_syntax_error_with_its_line(self) -> None:
        """The line is the compiler's."""
        self.write(x="struct A {\n 1: i32\n}")
        self.assertEqual(self.refusal(), "x.thrift:3: (last token was '}') syntax error")

    def test_says_that_constants_of_containers_cannot_be_copied(self) -> None:
        """With the line. Thrift's own message has none; and for Python it would make an empty map of the name."""
        self.write(a="const map<string, i32> STORES = {'tar': 3}")
        for text, line, name in (
            ("const map<string, i32> ONE = {'tar': 3}\n\nconst map<string, i32> TWO = ONE", 4, "ONE"),
            ("const list<i32> ONE = [1]\nstruct A {\n  1: list<i32> sizes = ONE\n}", 4, "ONE"),
            ("struct A {\n  1: map<string, i32> stores = a.STORES\n}", 3, "a.STORES"),
        ):
            self.write(x=f'include "a.thrift"\n{text}')
            self.assertEqual(
                self.refusal(),
                f"x.thrift:{line}: the constant {name} is the value of another one, or a default; Thrift makes such "
                "copies only of numbers and text: write the list, set, map or struct out",
            )

    def test_reports_a_syntax_error_of_an_include_once(self) -> None:
        """The error names the included file."""
        self.write(a='include "b.thrift"', b="struct A {\n 1: i32\n}")
        self.assertEqual(self.refusal(), "b.thrift:3: (last token was '}') syntax error")

    def test_finds_the_line_of_an_unknown_type(self) -> None:
        """The compiler gives no line here."""
        self.write(x="// Nope\nstruct A {\n 1: Nope a\n}")
        self.assertEqual(self.refusal(), 'x.thrift:3: Type "Nope" not defined')

    def test_keeps_warnings_of_valid_idl(self) -> None:
        """Each warning once."""
        self.write(x="const i64 A = 5000000000")
        (warning,) = self.compiled().warnings
        self.assertEqual(warning, f'{self.idl}/x.thrift:1: 64-bit constant "5000000000" may not work in all languages.')
