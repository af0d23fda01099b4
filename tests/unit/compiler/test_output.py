"""Files are put in place all or none; only files of an earlier run are replaced or removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

from rpc.compiler import Difference, compare, compile_idl, compiled_by, install
from rpc.compiler.driver import find
from rpc.errors import CompileError
from tests.unit.compiler.idl_files import PROJECT, IDLTestCase

ORDINARY_USER = 65534


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return the content of every file below a folder; ``None`` for a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def files_in(folder: Path) -> dict[str, bytes | None]:
    """Return the content of every file below a folder."""
    return {path: content for path, content in snapshot(folder).items() if content is not None}


class Steps:
    """Counts the changes to a file system, and calls `fail` at one of them."""

    def __init__(self, step: int, fail: Callable[[], Any]) -> None:
        self.step = step
        self.fail = fail
        self.count = 0

    def counted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.step + 1:
                self.fail()
            return original(*arguments, **options)

        return call


class OutputTestCase(IDLTestCase):
    """A small IDL is compiled into a folder that already holds an earlier output."""

    def setUp(self) -> None:
        super().setUp()
        self.out = self.folder / "stubs"
        self.write(a="struct A { 1: i32 a }", b="service B {}")
        install(self.out, self.compiled().files)
        self.before = snapshot(self.out)

    def change(self) -> dict[str, bytes]:
        """Change the IDL so that files are replaced, added and removed; returns the new output."""
        self.write(a="struct A { 1: i32 b }", c="namespace py deep.c\nstruct C {}")
        (self.idl / "b.thrift").unlink()
        return self.compiled().files


class OutputTests(OutputTestCase):
    """The files that a run writes, keeps and removes."""

    def test_two_runs_give_the_same_bytes(self) -> None:
        """From any folder; the files name no folder."""
        self.assertEqual(self.compiled().files, files_in(self.out))
        self.assertNotIn(str(self.folder).encode(), b"".join(self.compiled().files.values()))

    def test_nothing_differs_after_a_run(self) -> None:
        """The comparison is empty."""
        self.assertFalse(compare(self.out, self.compiled().files))

    def test_compares_missing_stale_and_extra_files(self) -> None:
        """Each file is listed once."""
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

    def test_removes_a_package_that_is_no_longer_compiled(self) -> None:
        """With its folder and Python's caches of it."""
        (self.out / "b" / "__pycache__").mkdir()
        (self.out / "b" / "__pycache__" / "B.pyc").write_bytes(b"")
        (self.idl / "b.thrift").unlink()
        install(self.out, self.compiled().files)
        self.assertEqual(sorted(path.name for path in self.out.iterdir()), ["__init__.py", "a", "idl.json", "py.typed"])

    def test_leaves_foreign_files_alone(self) -> None:
        """The folder of such a file stays, too."""
        (self.out / "b" / "notes.txt").write_text("mine")
        (self.idl / "b.thrift").unlink()
        install(self.out, self.compiled().files)
        self.assertEqual((self.out / "b" / "notes.txt").read_text(), "mine")
        self.assertFalse(compare(self.out, self.compiled().files))

    def test_refuses_to_replace_a_foreign_file(self) -> None:
        """No other file is written, either."""
        (self.out / "c").mkdir()
        (self.out / "c" / "ttypes.py").write_text("mine = 1\n")
        before = snapshot(self.out)
        self.write(c="struct C {}", a="struct Changed {}")
        error = self.assertRaises(CompileError, install, self.out, self.compiled().files)
        self.assertIn("stubs/c/ttypes.py: was not written by thrift-rpc compile", str(error))
        self.assertEqual(snapshot(self.out), before)

    def test_replaces_an_edited_file(self) -> None:
        """A compiled file that was edited is written again."""
        (self.out / "a" / "ttypes.py").write_text("broken(")
        install(self.out, self.compiled().files)
        self.assertEqual(snapshot(self.out), self.before)

    def test_owns_nothing_without_a_readable_list(self) -> None:
        """An unchanged folder is accepted all the same."""
        for text in ("{", "[]", '{"files": 3}', '{"files": ["../../x", "/etc/x"]}'):
            (self.out / "idl.json").write_text(text)
            install(self.out, self.compiled().files)
            self.assertEqual(snapshot(self.out), self.before)

    def test_refuses_a_path_that_is_a_file(self) -> None:
        """The path cannot become a folder."""
        (self.folder / "file").write_text("")
        error = self.assertRaises(CompileError, install, self.folder / "file", self.compiled().files)
        self.assertIn("cannot be written", str(error))

    def test_generated_is_the_output_of_idl(self) -> None:
        """``generated/`` equals the output for ``idl/``, with the compiler that has made it."""
        made_by, here = compiled_by(PROJECT / "generated"), find()
        if made_by != here.release:
            raise SkipTest(f"generated/ was made by Thrift {made_by}; here is {here.release}")
        files = compile_idl([PROJECT / "idl"]).files
        self.assertEqual(compare(PROJECT / "generated", files).lines(), [])


class AllOrNoneTests(OutputTestCase):
    """A run that fails, or is killed, at any of its steps."""

    def fail_at(self, step: int, fail: Callable[[], Any]) -> Steps:
        """Call `fail` at one rename, removal or new folder, counted from 0."""
        steps = Steps(step, fail)
        # Paths of Python 3.10 do not look a function up in os when they are used: their "accessor" keeps it.
        accessor: Any = getattr(Path, "_accessor", os)
        for name in ("replace", "rename", "unlink", "mkdir"):
            counted = steps.counted(getattr(os, name))
            for module in {os, accessor}:
                self.patch(module, name, counted)
        return steps

    def test_a_run_that_fails_leaves_everything_as_it_was(self) -> None:
        """At each step; the next run succeeds."""

        def fail() -> None:
            raise PermissionError(13, "Permission denied", "some/file")

        old, files = files_in(self.out), self.change()
        failures = 0
        for step in range(200):
            steps = self.fail_at(step, fail)
            try:
                install(self.out, files)
            except CompileError as error:
                failures += 1
                self.assertEqual(str(error), "some/file: cannot be written: Permission denied")
                self.assertEqual(files_in(self.out), old)
            else:  # nothing failed, or only the removal of a copy
                self.assertEqual({**files_in(self.out), **files}, files_in(self.out))
            steps.fail = lambda: None
            if steps.count <= step:
                break
            install(self.out, {path: content for path, content in old.items() if content is not None})
            self.assertEqual(snapshot(self.out), self.before)
        self.assertEqual(files_in(self.out), files)
        self.assertGreater(failures, 20)

    @pytest.mark.slow
    def test_a_run_that_was_killed_is_undone_by_the_next(self) -> None:
        """At each step. The next run finds only files that it owns."""
        old, files = files_in(self.out), self.change()
        for step in range(200):
            child = os.fork()
            if not child:
                self.fail_at(step, lambda: os._exit(9))
                install(self.out, files)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if status == 0:
                break
            install(self.out, {path: content for path, content in old.items() if content is not None})
            self.assertEqual(snapshot(self.out), self.before)
        self.assertEqual((status, files_in(self.out)), (0, files))

    def test_an_ordinary_user_meets_a_folder_that_is_read_only(self) -> None:
        """The first package is not replaced, and the next run finds its own files."""
        files = self.change()
        self.write(b="service Other {}")
        files = self.compiled().files
        (self.out / "b").chmod(0o555)
        if os.geteuid() == 0:
            for path in (self.folder, self.out, *self.out.rglob("*")):
                os.chown(path, ORDINARY_USER, ORDINARY_USER)
            os.seteuid(ORDINARY_USER)
            self.addCleanup(os.seteuid, 0)
        error = self.assertRaises(CompileError, install, self.out, files)
        self.assertIn("cannot be written: Permission denied", str(error))
        self.assertEqual(snapshot(self.out), self.before)
        (self.out / "b").chmod(0o755)
        install(self.out, files)
        self.assertEqual(files_in(self.out), files)

    def test_a_new_folder_is_removed_after_a_failure(self) -> None:
        """With the folders above it that were made for it."""

        def fail(_: Path, __: Path) -> None:
            raise OSError(28, "No space left on device")

        files = self.compiled().files
        self.patch(os, "replace", fail)
        error = self.assertRaises(CompileError, install, self.folder / "x" / "y", files)
        self.assertIn("x/y: cannot be written: No space left on device", str(error))
        self.assertFalse((self.folder / "x").exists())
