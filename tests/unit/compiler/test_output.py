"""Files are put in place all or none, and only those that the command made are replaced or removed."""

from __future__ import annotations

from pathlib import Path

from rpc.compiler import Difference, compare, compile_idl, install
from rpc.errors import CompileError
from tests.unit.compiler.idl_files import PROJECT, IDLTestCase


def snapshot(folder: Path) -> dict[str, bytes]:
    """Give the content of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class OutputTests(IDLTestCase):
    """A small IDL is compiled into a folder that already holds something."""

    def setUp(self) -> None:
        super().setUp()
        self.out = self.folder / "stubs"
        self.write(a="struct A { 1: i32 a }", b="service B {}")
        install(self.out, self.compiled().files)
        self.before = snapshot(self.out)

    def test_same_bytes_twice(self) -> None:
        """Two runs give the same bytes, from whatever folder, and name no folder."""
        self.assertEqual(self.compiled().files, self.before)
        self.assertNotIn(str(self.folder).encode(), b"".join(self.before.values()))

    def test_fresh(self) -> None:
        """After a run nothing differs."""
        self.assertFalse(compare(self.out, self.compiled().files))

    def test_difference(self) -> None:
        """Missing, stale and extra files are each told."""
        self.write(a="struct A { 1: i32 b }", c="struct C {}")
        (self.idl / "b.thrift").unlink()
        difference = compare(self.out, self.compiled().files)
        b = tuple(
            f"b/{name}"
            for name in ("B.py", "B.pyi", "__init__.py", "constants.py", "constants.pyi", "ttypes.py", "ttypes.pyi")
        )
        c = tuple(path.replace("b/", "c/") for path in b if "B" not in path)
        self.assertEqual(difference, Difference(c, ("a/ttypes.py", "a/ttypes.pyi", "idl.json"), b))
        self.assertEqual(difference.lines()[0], "missing: c/__init__.py")
        self.assertEqual(difference.lines()[-1], "extra: b/ttypes.pyi")

    def test_removed(self) -> None:
        """What no longer belongs is removed, with its folder and Python's caches of it."""
        (self.out / "b" / "__pycache__").mkdir()
        (self.out / "b" / "__pycache__" / "B.pyc").write_bytes(b"")
        (self.idl / "b.thrift").unlink()
        install(self.out, self.compiled().files)
        self.assertEqual(sorted(path.name for path in self.out.iterdir()), ["__init__.py", "a", "idl.json", "py.typed"])

    def test_other_files_stay(self) -> None:
        """A file that somebody put there stays, as does its folder."""
        (self.out / "b" / "notes.txt").write_text("mine")
        (self.idl / "b.thrift").unlink()
        install(self.out, self.compiled().files)
        self.assertEqual((self.out / "b" / "notes.txt").read_text(), "mine")
        self.assertFalse(compare(self.out, self.compiled().files))

    def test_in_the_way(self) -> None:
        """A file that somebody put where a compiled one must go is not replaced, and nothing else is written."""
        (self.out / "c").mkdir()
        (self.out / "c" / "ttypes.py").write_text("mine = 1\n")
        before = snapshot(self.out)
        self.write(c="struct C {}", a="struct Changed {}")
        error = self.assertRaises(CompileError, install, self.out, self.compiled().files)
        self.assertIn("stubs/c/ttypes.py: was not written by thrift-rpc compile", str(error))
        self.assertEqual(snapshot(self.out), before)

    def test_edited_files_are_replaced(self) -> None:
        """A compiled file that was edited is written again."""
        (self.out / "a" / "ttypes.py").write_text("broken(")
        install(self.out, self.compiled().files)
        self.assertEqual(snapshot(self.out), self.before)

    def test_a_damaged_list(self) -> None:
        """Without a list that can be read, nothing is owned; an unchanged folder is accepted all the same."""
        for text in ("{", "[]", '{"files": 3}', '{"files": ["../../x", "/etc/x"]}'):
            (self.out / "idl.json").write_text(text)
            install(self.out, self.compiled().files)
            self.assertEqual(snapshot(self.out), self.before)

    def test_not_writable(self) -> None:
        """A path that cannot be a folder is told as such."""
        (self.folder / "file").write_text("")
        error = self.assertRaises(CompileError, install, self.folder / "file", self.compiled().files)
        self.assertIn("cannot be written", str(error))

    def test_the_projects_own(self) -> None:
        """``generated/`` is what ``idl/`` compiles to."""
        files = compile_idl([PROJECT / "idl"]).files
        self.assertEqual(compare(PROJECT / "generated", files).lines(), [])
