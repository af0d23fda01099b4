"""Names that are reserved words in other languages are warned of; the project's own IDL has none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rpc.compiler import driver
from rpc.compiler.foreign_names import languages
from rpc.compiler.reserved_words import REFUSED_BY_THRIFT, RESERVED
from tests.unit.compiler.idl_files import PROJECT, IDLTestCase

OTHERS = ("js:node", "java", "go", "cpp", "rs")
OWN = [*sorted((PROJECT / "idl").glob("*.thrift")), *sorted((PROJECT / "examples").glob("*.thrift"))]


class ForeignNameTests(IDLTestCase):
    """Each warning has file, line, name and languages."""

    def warnings(self, text: str) -> list[str]:
        """Return the warnings for an IDL, without the path of the folder."""
        self.write(x=text)
        return [warning.replace(f"{self.idl}/", "") for warning in self.compiled().warnings]

    def test_names_the_languages(self) -> None:
        """In one warning, at the method's line."""
        said = "a reserved word in C++, JavaScript, and refused by Thrift's compiler for most languages; rename it"
        self.assertEqual(
            self.warnings("service S {\n bool delete(1: string key)\n}"), [f"x.thrift:2: method delete: {said}"]
        )

    def test_one_warning_a_name(self) -> None:
        """At the first place, however often the name is used."""
        self.assertEqual(
            self.warnings(
                "struct A {\n 1: i32 type\n}\nstruct B { 1: i32 type }\nservice S { void type(1: i32 type) }"
            ),
            ["x.thrift:2: field type: a reserved word in Go, Rust; rename it"],
        )

    def test_a_name_that_only_thrift_refuses(self) -> None:
        """No language of the list reserves it."""
        self.assertEqual(
            self.warnings("service S { void get(1: i32 args) }"),
            ["x.thrift:1: argument args: refused by Thrift's compiler for most languages; rename it"],
        )

    def test_every_kind_of_name(self) -> None:
        """Types, members, fields, constants, services, methods, arguments, exceptions."""
        warnings = self.warnings(
            """
            enum var { where }
            struct package { 1: i32 new }
            union trait { 1: i32 short }
            exception operator { 1: i32 long }
            const i32 until = 1
            service extern { void goto(1: i32 fun) throws (1: operator inout) }
            """
        )
        found = sorted(tuple(warning.split(": ")[1].split()) for warning in warnings)
        self.assertEqual(
            found,
            [
                ("argument", "fun"), ("const", "until"), ("enum", "var"), ("exception", "inout"),
                ("exception", "operator"), ("field", "long"), ("field", "new"), ("field", "short"),
                ("member", "where"), ("method", "goto"), ("service", "extern"), ("struct", "package"),
                ("union", "trait"),
            ],
        )  # fmt: skip
        self.assertEqual({warning.split(":")[0] for warning in warnings}, {"x.thrift"})
        self.assertEqual([warning.split(":")[1] for warning in warnings if "struct" in warning], ["3"])

    def test_a_name_of_an_include_is_warned_of_once(self) -> None:
        """In its own file."""
        self.write(a="struct A { 1: i32 var }")
        self.assertEqual(len(self.warnings('include "a.thrift"\nstruct B { 1: a.A inner }')), 1)

    def test_ordinary_names_have_no_warning(self) -> None:
        """Also names that differ from a reserved word by their case, and names of Python alone."""
        self.assertEqual(self.warnings("struct Type { 1: i32 Delete, 2: i32 name, 3: i32 elif_, 4: i32 self_ }"), [])


def test_what_thrift_refuses_for_python_is_no_warning(tmp_path: Path) -> None:
    """The user gets Thrift's error instead. The words of this table go through."""
    compiler = driver.find()
    if compiler.version >= (0, 18):
        pytest.skip(f"the words were found by trying Thrift 0.17, and this is {compiler.release}")
    for language, expected in (("py", set()), ("cpp", REFUSED_BY_THRIFT)):
        assert {word for word in REFUSED_BY_THRIFT if not _compiles(language, word, tmp_path)} == expected


def _compiles(language: str, word: str, folder: Path) -> bool:
    path = folder / "words.thrift"
    path.write_text(f"struct A {{ 1: i32 {word} }}", "utf-8")
    command = ["thrift", "--gen", language, "-out", str(folder), str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_lists_are_in_the_order_in_which_they_are_shown() -> None:
    """A reader finds a language by its name."""
    assert list(RESERVED) == sorted(RESERVED)
    assert languages("delete") == ["C++", "JavaScript"]
    assert languages("explain") == []


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_our_idl_compiles_for_other_languages(language: str, path: Path, tmp_path: Path) -> None:
    """Of the example services and of the examples."""
    command = ["thrift", "--gen", language, "-out", str(tmp_path), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any(tmp_path.iterdir())
