"""Finding IDL files and their includes."""

from __future__ import annotations

import json
from pathlib import Path

from rpc.compiler import compile_idl, driver, sources
from rpc.errors import CompileError
from tests.unit.compiler.idl_files import IDLTestCase


class SourcesTests(IDLTestCase):
    """The Thrift compiler finds the includes."""

    def names(self, *paths: Path, include_dirs: tuple[Path, ...] = ()) -> list[str]:
        return [source.program for source in sources.find(driver.find(), paths, include_dirs)]

    def test_an_include_precedes_the_files_that_include_it(self) -> None:
        """Each file once."""
        self.write(a='include "c.thrift"\ninclude "b.thrift"', b="include 'c.thrift'", c="")
        self.assertEqual(self.names(self.idl, self.idl / "a.thrift"), ["c", "b", "a"])

    def test_searches_includes_beside_the_file_and_in_the_given_folders(self) -> None:
        """In this order."""
        self.write(a__x='include "y.thrift"\nservice S extends y.T {}', b__y="service T {}")
        self.assertEqual(self.names(self.idl / "a", include_dirs=(self.idl / "b",)), ["y", "x"])
        self.assertIn("y/T.py", compile_idl([self.idl / "a"], [self.idl / "b"]).files)

    def test_ignores_includes_in_comments(self) -> None:
        """An include in a comment is none. A string that looks like a comment is a string."""
        self.write(a='/* \ninclude "no.thrift"\n*/\n# include\n// include\nconst string A = "/*"\nstruct B {} // */')
        (source,) = sources.find(driver.find(), [self.idl])
        self.assertEqual(source.includes, ())
        self.assertEqual(source.locate("struct B"), f"{source.shown}:7")

    def test_names_the_line_of_a_missing_include(self) -> None:
        """And the folders that were searched."""
        self.write(a='\ninclude "no.thrift"')
        self.assertIn("a.thrift:2: the included file 'no.thrift' is not in ", self.refusal())

    def test_finds_includes_as_the_thrift_compiler_does(self) -> None:
        """Without a blank, over two lines, and behind a namespace on the same line."""
        for include in ('include"y.thrift"', "include\n\n 'y.thrift'", 'namespace py z include "y.thrift"'):
            self.write(x=f"{include}\nservice S extends y.T {{}}", y="service T {}")
            self.assertEqual(self.names(self.idl), ["y", "x"])
            self.assertIn("y/T.py", self.compiled().files)

    def test_takes_no_include_from_a_string_or_a_comment_block(self) -> None:
        """Text that looks like an include is no include."""
        self.write(x='const string A = \'include "no.thrift"\'\n/** include "no.thrift" */\nservice S {}')
        self.assertEqual(self.names(self.idl), ["x"])

    def test_names_the_line_of_a_missing_include_of_an_include(self) -> None:
        """The error is about the included file, shown below the folder that was given."""
        self.write(a='include "sub/b.thrift"', sub__b='\n\ninclude\n"no.thrift"')
        self.assertIn("sub/b.thrift:4: the included file 'no.thrift' is not in sub; add", self.refusal())

    def test_refuses_an_absolute_path(self) -> None:
        """Whether there is such a file or not."""
        for path in ("/nowhere/no.thrift", "/etc/passwd", "/dev/zero"):
            self.write(a=f'const string A = "x"\ninclude "{path}"')
            self.assertIn(f"a.thrift:2: the include '{path}' is an absolute path", self.refusal())

    def test_refuses_a_folder_as_an_include(self) -> None:
        """The Thrift compiler takes a folder for a file."""
        self.write(a='include "sub"', sub__b="")
        self.assertIn("sub: cannot be read: Is a directory", self.refusal())

    def test_reports_an_error_of_an_include_at_its_own_line(self) -> None:
        """The compiler names no line for an unknown type."""
        self.write(a='include "b.thrift"', b="\nstruct A {\n 1: Nope a\n}")
        self.assertEqual(self.refusal(), 'b.thrift:3: Type "Nope" not defined')

    def test_refuses_files_that_include_each_other(self) -> None:
        """The Thrift compiler would recurse until it crashes."""
        self.write(a='include "b.thrift"', b='include "a.thrift"')
        self.assertIn("a.thrift:1: the file includes itself", self.refusal())

    def test_refuses_a_path_without_idl(self) -> None:
        """A path that does not exist, a folder without IDL, no path."""
        self.idl.mkdir()
        for paths, message in (
            ([self.idl / "x.thrift"], "no such file or folder"),
            ([self.idl], "there is no .thrift file in this folder"),
            ([], "nothing to compile"),
        ):
            self.assertIn(message, str(self.assertRaises(CompileError, sources.find, driver.find(), paths)))

    def test_a_type_of_two_includes_of_one_name_is_that_of_the_last_one(self) -> None:
        """As for the Thrift compiler. The includes' own types of one name are two."""
        for first, last, kind in (("x", "y", "string"), ("y", "x", "i32")):
            self.write(
                a=f'include "{first}/t.thrift"\ninclude "{last}/t.thrift"\n'
                "struct A { 1: t.Both both, 2: t.OnlyX x, 3: t.OnlyY y }",
                x__t="namespace py x\nstruct Both { 1: i32 a }\nstruct OnlyX { 1: Both both }",
                y__t="namespace py y\nstruct Both { 1: string a }\nstruct OnlyY { 1: Both both }",
            )
            structs = json.loads(self.compiled().files["idl.json"])["structs"]
            names = [field["type"]["struct"] for field in structs["a.A"]["fields"]]
            self.assertEqual(names, [f"{last}.Both", "x.OnlyX", "y.OnlyY"])
            self.assertEqual(structs[f"{last}.Both"]["fields"][0]["type"], kind)
            self.assertIn(f"[_idl_{last}_ttypes.Both, None]".encode(), self.compiled().files["a/ttypes.py"])

    def test_refuses_a_type_of_a_file_and_of_its_include_of_the_same_name(self) -> None:
        """The compiler's XML does not tell them apart."""
        self.write(
            t='include "x/t.thrift"\nnamespace py top\nstruct Both { 1: i32 a }\nstruct A { 1: t.Both both }',
            x__t="namespace py x\nstruct Both { 1: string a }",
        )
        self.assertEqual(
            self.refusal(), "t.thrift:3: Both is also in an included file of the name t.thrift; rename one of the files"
        )

    def test_compiles_a_file_with_the_name_of_its_include(self) -> None:
        """When their types have different names."""
        self.write(
            t='include "x/t.thrift"\nnamespace py top\nstruct A { 1: t.Other other }',
            x__t="namespace py x\nstruct Other { 1: string a }",
        )
        structs = json.loads(self.compiled().files["idl.json"])["structs"]
        self.assertEqual(structs["top.A"]["fields"][0]["type"], {"struct": "x.Other"})
