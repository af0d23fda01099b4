"""``thrift-rpc compile`` from the command line."""

from __future__ import annotations

import re

from click.testing import Result

from rpc.cli.main import VERBS, main
from rpc.compiler import driver
from tests.unit.command_line import runner
from tests.unit.compiler.idl_files import IDLTestCase


class CompileCommandTests(IDLTestCase):
    """Exit status, standard output and standard error."""

    def run_command(self, *arguments: str) -> Result:
        return runner().invoke(main, ["compile", str(self.idl), "--out", str(self.folder / "out"), *arguments])

    def test_reports_the_files_that_it_wrote(self) -> None:
        """A second run has nothing to do, and the check passes."""
        self.write(x="service S {}")
        first = self.run_command()
        self.assertEqual((first.exit_code, first.stderr), (0, ""))
        self.assertIn("10 files, 10 written, 0 removed", first.stdout)
        self.assertIn("10 files, 0 written, 0 removed", self.run_command().stdout)
        self.assertEqual(self.run_command("--check").exit_code, 0)

    def test_check_lists_the_differences_of_a_stale_folder(self) -> None:
        """It exits with 1 and writes nothing."""
        self.write(x="service S {}")
        self.run_command()
        self.write(x="service T {}")
        result = self.run_command("--check")
        self.assertEqual(result.exit_code, 1)
        for line in ("missing: x/T.py", "stale: idl.json", "extra: x/S.pyi"):
            self.assertIn(line, result.stderr.splitlines())
        self.assertFalse((self.folder / "out" / "x" / "T.py").exists())

    def test_check_names_another_version_of_the_compiler_first(self) -> None:
        """Both versions. Every stub has the version, so every file is stale."""
        self.write(x="service S {}")
        self.run_command()
        for path in (self.folder / "out").rglob("*.py"):
            path.write_bytes(re.sub(rb"Compiler \([\d.]+\)", b"Compiler (0.16.0)", path.read_bytes()))
        first, *others = self.run_command("--check").stderr.splitlines()
        release = driver.find().release
        self.assertIn(f"was compiled by Thrift 0.16.0, and this is Thrift {release}, whose stubs differ", first)
        self.assertIn("stale: x/S.py", others)

    def test_check_of_the_same_compiler_names_no_version(self) -> None:
        """Nor does one of a folder that no compiler has written to."""
        self.write(x="service S {}")
        for difference in ("missing: x/S.py", "stale: idl.json"):
            said = self.run_command("--check").stderr
            self.assertIn(difference, said.splitlines())
            self.assertNotIn("Thrift", said)
            self.run_command()
            self.write(x="service T {}")

    def test_warnings_come_last(self) -> None:
        """Marked as such, behind an error of the compiler and behind the differences of a check."""
        self.write(x="struct A { i32 a }\nstruct B { i32 b, 1: }")
        error, *warnings = self.run_command().stderr.splitlines()
        self.assertEqual(error, f"Error: {self.idl}/x.thrift:2: (last token was '}}') syntax error")
        self.assertEqual([line[:8] for line in warnings], ["warning:"] * 2)
        self.write(x="struct A { i32 a }")
        *differences, warning = self.run_command("--check").stderr.splitlines()
        self.assertIn("missing: x/ttypes.py", differences)
        self.assertEqual([line for line in differences if line.startswith("warning")], [])
        self.assertIn("field a has no number", warning)

    def test_check_lists_every_file_of_a_missing_folder(self) -> None:
        """It does not create the folder."""
        self.write(x="service S {}")
        result = self.run_command("--check")
        self.assertEqual((result.exit_code, result.stderr.count("missing: ")), (1, 10))
        self.assertFalse((self.folder / "out").exists())

    def test_a_failure_leaves_the_folder_as_it_was(self) -> None:
        """Each failure is a message on standard error and exit status 1."""
        self.write(x="service S {}")
        self.run_command()
        kept = (self.folder / "out" / "x" / "S.py").read_bytes()
        for text, arguments, message in (
            ("service S {", (), "syntax error"),
            ('include "no.thrift"', (), "no.thrift"),
            ("service S { void f(1: i32 self) }", (), "x.thrift:1: argument self"),
            ("service T {}", ("--thrift", "/nowhere/thrift"), "apt install thrift-compiler"),
            ("service T {}", (str(self.folder / "missing"),), "no such file or folder"),
        ):
            self.write(x=text)
            result = self.run_command(*arguments)
            self.assertEqual((result.exit_code, result.stdout), (1, ""))
            self.assertIn(message, result.stderr)
            self.assertIsInstance(result.exception, SystemExit)
            self.assertEqual((self.folder / "out" / "x" / "S.py").read_bytes(), kept)
            self.assertFalse((self.folder / "out" / "x" / "T.py").exists())

    def test_shows_warnings_and_succeeds(self) -> None:
        """Those of the Thrift compiler, and those of unknown annotations."""
        self.write(x="const i64 A = 5000000000")
        result = self.run_command()
        self.assertEqual(result.exit_code, 0)
        self.assertIn("x.thrift:1: 64-bit constant", result.stderr)
        self.write(x='service S { void f() (idempotnt = "true") }')
        result = self.run_command()
        self.assertEqual(result.exit_code, 0)
        self.assertIn("x.thrift:1: method f: nothing reads the annotation idempotnt", result.stderr)

    def test_help_lists_the_verbs(self) -> None:
        """The group's help has each verb of the table."""
        result = runner().invoke(main, ["--help"])
        self.assertEqual(result.exit_code, 0)
        for verb in VERBS:
            self.assertIn(f"  {verb} ", result.stdout)

    def test_refuses_an_unknown_verb(self) -> None:
        """A verb that is not in the table is a usage error."""
        self.assertEqual(runner().invoke(main, ["nonsense"]).exit_code, 2)
