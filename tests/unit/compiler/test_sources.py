"""Finding IDL files and what they include."""

from __future__ import annotations

from pathlib import Path

from rpc.compiler import compile_idl, sources
from rpc.errors import CompileError
from tests.unit.compiler.idl_files import IDLTestCase


class SourcesTests(IDLTestCase):
    """The text is searched, not parsed."""

    def names(self, *paths: Path, include_dirs: tuple[Path, ...] = ()) -> list[str]:
        return [source.program for source in sources.find(paths, include_dirs)]

    def test_order(self) -> None:
        """What is included comes first, each file once."""
        self.write(a='include "c.thrift"\ninclude "b.thrift"', b="include 'c.thrift'", c="")
        self.assertEqual(self.names(self.idl, self.idl / "a.thrift"), ["c", "b", "a"])

    def test_include_dirs(self) -> None:
        """An include is looked for beside its file, then in the folders given."""
        self.write(a__x='include "y.thrift"\nservice S extends y.T {}', b__y="service T {}")
        self.assertEqual(self.names(self.idl / "a", include_dirs=(self.idl / "b",)), ["y", "x"])
        self.assertIn("y/T.py", compile_idl([self.idl / "a"], [self.idl / "b"]).files)

    def test_comments(self) -> None:
        """An include in a comment is none; a string that looks like a comment is a string."""
        self.write(a='/* \ninclude "no.thrift"\n*/\n# include\n// include\nconst string A = "/*"\nstruct B {} // */')
        (source,) = sources.find([self.idl])
        self.assertEqual(source.includes, ())
        self.assertEqual(source.locate("struct B"), f"{source.shown}:7")

    def test_missing_include(self) -> None:
        """The file and line that include it, and where it was looked for."""
        self.write(a='\ninclude "no.thrift"')
        self.assertIn("a.thrift:2: the included file 'no.thrift' is not in ", self.refusal())

    def test_cycle(self) -> None:
        """Files that include each other."""
        self.write(a='include "b.thrift"', b='include "a.thrift"')
        self.assertIn("a.thrift: includes itself", self.refusal())

    def test_missing_source(self) -> None:
        """A path that does not exist, a folder without IDL, nothing at all."""
        self.idl.mkdir()
        for paths, message in (
            ([self.idl / "x.thrift"], "no such file or folder"),
            ([self.idl], "there is no .thrift file in this folder"),
            ([], "nothing to compile"),
        ):
            self.assertIn(message, str(self.assertRaises(CompileError, sources.find, paths)))

    def test_two_of_one_name_together(self) -> None:
        """Thrift would take one file's types for the other's."""
        self.write(a='include "x/t.thrift"\ninclude "y/t.thrift"', x__t="", y__t="")
        self.assertIn("tells included files apart by their name alone", self.refusal())
