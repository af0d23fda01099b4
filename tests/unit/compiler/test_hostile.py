"""IDL of an attacker: its text never runs, and its includes lead nowhere."""

from __future__ import annotations

import ast
import os
import re
from itertools import product
from pathlib import Path

import pytest

from rpc.compiler import compare, compile_idl, driver, install, sources
from rpc.compiler.audit import foreign_code
from rpc.compiler.includes import LARGEST
from rpc.errors import CompileError
from tests.idl_corpus.compilers import compilers
from tests.unit.compiler.idl_files import IDLTestCase

COMPILERS = compilers()

CODE = "raise SystemExit('the IDL has run')"
HOSTILE = (r"\" + SystemExit() + \"", "' + SystemExit() + '")
"""Strings, with the quotation marks of Thrift escaped. Python would run them if they were pasted between its own."""

ZERO = "\0"
"""Thrift ends a string here."""

ESCAPES = ("", r"\\", r"\\\\", r"\n", "\r", "\x0c", "\u2028", ZERO)
"""What may stand before a quotation mark, and change what it means."""

DOCS = {
    "struct": "{doc}\nstruct S {{1: i32 a}}",
    "field": "struct S {{ {doc} 1: i32 a}}",
    "exception": "{doc}\nexception S {{ {doc} 1: i32 a}}",
    "union": "{doc}\nunion S {{ {doc} 1: i32 a}}",
    "enum": "{doc}\nenum S {{ {doc} A}}",
    "constant": "{doc}\nconst i32 C = 1\nservice V {{}}",
    "file": "{doc}\nnamespace py x\nservice V {{}}",
    "typedef": "{doc}\ntypedef i32 T\nservice V {{void f(1: T a)}}",
    "service": "{doc}\nservice V {{void f(1: i32 a)}}",
    "method": "service V {{ {doc} void f(1: i32 a), {doc} oneway void g() }}",
    "argument": "exception X {{}}\nservice V {{ void f({doc} 1: i32 a) throws ({doc} 1: X x) }}",
}
"""Every place of a doc comment."""

STRINGS = {
    "constant": 'const string C = "{text}"',
    "key": 'const map<string, binary> C = {{"{text}": "{text}"}}',
    "default": 'struct S {{1: string a = "{text}"}}',
    "struct": 'struct S {{1: string a}}\nconst S C = {{"a": "{text}"}}',
    "argument": 'service V {{ void f(1: string a = "{text}") }}',
    "annotation": 'struct S {{1: string a (x = "{text}")}} (y = "{text}")\n'
    'service V {{ void f() (deprecated = "{text}") }}',
    "uuid": 'const uuid C = "{text}"',
    "number": 'const i64 C = "{text}"',
    "double": 'const double C = "{text}"',
    "bool": 'const bool C = "{text}"',
    "namespace": 'namespace py "{text}"\nstruct S {{}}',
    "field's name": 'struct S {{1: string a}}\nconst S C = {{"{text}": "x"}}',
}
"""Every place of a string."""

TEXTS = {"annotation", "argument", "constant", "default", "key", "struct"}
"""The places of STRINGS where Thrift takes any text."""


def _comments() -> list[str]:
    """Return doc comments that end a docstring, run code, and begin another one, at all indentations."""
    indented = [f'/** x\n"""\n{" " * width}{CODE}\n{" " * width}""" */' for width in (0, 4, 8)]
    in_class = [f'/** x\n"""\n    {CODE}\n    class Z:\n        """ y */']
    return [*indented, *in_class, '/** " */', '/** """ */', "/** \\ */", '/** \\""" */', '/** "" */', "/** \0 \x1b */"]


@pytest.mark.slow
class HostileTextTests(IDLTestCase):
    """Text of the IDL is in strings only, with all compilers of this machine."""

    def compiles(self, text: str, release: str) -> bool:
        """Compile an IDL and check its modules; returns whether it compiles."""
        self.write(x=text)
        try:
            compilation = compile_idl([self.idl], thrift=COMPILERS[release].path)
        except CompileError as error:
            self.assertNotIn("fault of thrift-rpc", str(error))
            return False
        for path, content in compilation.files.items():
            if path.endswith((".py", ".pyi")):
                self.assertNotIn("SystemExit", _code_of(content.decode()))
        return True

    def test_no_comment_runs(self) -> None:
        """Wherever it stands."""
        for release in COMPILERS:
            for place, text in DOCS.items():
                for doc in _comments():
                    self.assertTrue(self.compiles(text.format(doc=doc), release) or "\0" in doc, (release, place, doc))

    def test_no_string_runs(self) -> None:
        """With escapes before its quotation marks, in every place where Thrift takes a string."""
        for release in COMPILERS:
            compiled = {
                (place, hostile)
                for place, text in STRINGS.items()
                for before in ESCAPES
                for hostile in HOSTILE
                if self.compiles(text.format(text=before + hostile), release) and before != ZERO
            }
            # A place that is missing here tests nothing: Thrift has refused it, or rpc.compiler.audit has.
            self.assertLessEqual(set(product(TEXTS, HOSTILE)), compiled, release)

    def test_a_doc_comment_with_three_quotation_marks_is_a_docstring(self) -> None:
        """As it was written."""
        self.write(x='/** a """ b \\d */\nstruct A {\n /** c """ */ 1: i32 a }\nservice S {\n /** """ */\n void f() }')
        printed = self.run_with_stubs("import stubs.x.S as S; print(S.A.__doc__.split(), S.Iface['f'].__doc__.split())")
        self.assertEqual(printed, "['a', '\"\"\"', 'b', '\\\\d', 'Attributes:', '-', 'a:', 'c', '\"\"\"'] ['\"\"\"']")

    def test_refuses_a_constant_that_python_does_not_have(self) -> None:
        """The compiler writes it as the name ``inf``."""
        self.write(x="const double C = 1e999")
        self.assertIn("x/constants.py: the module would have 'inf'", self.refusal())

    def test_a_copy_without_comments_means_the_same(self) -> None:
        """All that the compiler tells of the corpus, but for the doc comments."""
        corpus = Path(__file__).parents[2] / "idl_corpus" / "idl"
        compiler = driver.find()
        for path in sorted(corpus.glob("*.thrift")):
            (source,) = (found for found in sources.find(compiler, [path]) if found.path == path.resolve())
            copy = self.folder / path.name
            copy.write_text(source.code, "utf-8")
            (bare,) = (found for found in sources.find(compiler, [copy]) if found.path == copy.resolve())
            self.assertNotIn(' doc="', bare.xml)
            self.assertEqual(bare.xml, re.sub(r' doc="[^"]*"', "", source.xml))


def _code_of(text: str) -> str:
    """Return Python without the values of its strings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            node.value = ""
    return ast.unparse(tree)


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "from os import system",
        "print(1)",
        "A = print(1)",
        "A = [1 + 1]",
        "A = inf",
        "A = [x for x in ()]",
        "A = {**B}",
        "A = _idl_x_ttypes.sys.exit",
        "A.b = 1",
        "if 1:\n    pass",
        "class A(f()):\n    pass",
        "class A(metaclass=B):\n    pass",
        "@print\nclass A:\n    pass",
        "class A:\n    print(1)",
        'class A:\n    """a"""\n    """b"""',
        "class A:\n    def f(self, a=print(1)):\n        pass",
        "class A:\n    @print\n    def f(self):\n        pass",
        'class A:\n    def f(self):\n        """a"""\n        """b"""',
        "class A:\n    def f(self):\n        import os",
        'class A:\n    def f(self):\n        class B:\n            """a"""',
        "class A:\n    def f(self):\n        lambda: 1",
        "class A:\n    def f(self, a: print(1)):\n        pass",
        "class A:\n    def f(self, *a: print(1)):\n        pass",
        "class A:\n    def f(self) -> print(1):\n        pass",
        "from twisted.python.reflect import namedAny as _idl_x\nY = _idl_x('antigravity')",
        "from thrift import _idl_x\nY = _idl_x('antigravity')",
        "import sys as TType\nA = TType.exit",
        "import builtins as _idl_x",
        "A = _idl_builtins.exec('a')",
        "for A in ():\n    pass",
        "del A",
    ],
)
def test_finds_code_that_no_stub_has(text: str) -> None:
    """Each in the place where it would run."""
    assert foreign_code(ast.parse(text), {"structs": {}, "enums": {}, "services": {}, "constants": {}}) is not None


class HostileFilesTests(IDLTestCase):
    """Includes and links that lead elsewhere."""

    def test_refuses_an_include_outside_of_the_folders(self) -> None:
        """With ``..``, or through a link. With -I it is meant."""
        self.write(a="struct A {}")
        outside = self.folder / "outside"
        outside.mkdir()
        (outside / "b.thrift").write_text("struct B {}")
        (self.idl / "a.thrift").write_text('\ninclude "../outside/b.thrift"\nstruct A { 1: b.B b }')
        self.assertIn("a.thrift:2: the include '../outside/b.thrift' is outside of the folders", self.refusal())
        self.assertIn("b/ttypes.py", compile_idl([self.idl], [outside]).files)
        (self.idl / "b.thrift").symlink_to(outside / "b.thrift")
        (self.idl / "a.thrift").write_text('include "b.thrift"\nstruct A { 1: b.B b }')
        self.assertIn("a.thrift:1: the include 'b.thrift' is outside of the folders", self.refusal())
        (self.idl / "a.thrift").unlink()
        self.assertIn("b.thrift: is a link to ", self.refusal())

    def test_takes_an_include_of_a_sibling_in_the_folder(self) -> None:
        """``..`` may stay below the folder that was given."""
        self.write(a__x='include "../b/y.thrift"\nstruct X { 1: y.Y y }', b__y="struct Y {}")
        self.assertIn("y/ttypes.py", self.compiled().files)

    def test_refuses_a_pipe(self) -> None:
        """The Thrift compiler would wait for its writer."""
        self.write(a='include "p.thrift"')
        os.mkfifo(self.idl / "p.thrift")
        self.assertIn("p.thrift: is a device, a pipe or a socket", self.refusal())

    def test_refuses_a_huge_file(self) -> None:
        """It is not read."""
        self.write(a="")
        os.truncate(self.idl / "a.thrift", LARGEST + 1)
        self.assertIn(f"a.thrift: has {LARGEST + 1} bytes", self.refusal())

    def test_writes_through_no_link(self) -> None:
        """Links in the place of a package, or of the folders of a replacement, are refused."""
        self.write(x="struct A {}")
        files = self.compiled().files
        outside = self.folder / "outside"
        outside.mkdir()
        for link in ("x", ".compile-staging", ".compile-undo"):
            out = self.folder / f"out-{link}"
            out.mkdir()
            (out / link).symlink_to(outside)
            error = self.assertRaises(CompileError, install, out, files)
            self.assertIn(f"{link}: is a symbolic link", str(error))
            self.assertEqual((list(outside.iterdir()), [path.name for path in out.iterdir()]), ([], [link]))

    def test_restores_nothing_outside_of_the_folder(self) -> None:
        """An attacker may have made the folder of a replacement that was not finished."""
        self.write(x="struct A {}")
        victim = self.folder / "victim"
        victim.write_text("mine")
        out = self.folder / "out"
        (out / ".compile-undo" / "new").mkdir(parents=True)
        (out / ".compile-undo" / "new" / "idl.json").write_text("{}")
        (out / ".compile-undo" / "log.json").write_text('{"replaced": [], "added": ["../victim"], "folders": []}')
        error = self.assertRaises(CompileError, install, out, self.compiled().files)
        self.assertIn("victim: is outside of ", str(error))
        self.assertEqual(victim.read_text(), "mine")

    def test_replaces_a_link_to_a_file_and_leaves_the_file(self) -> None:
        """Only the compiled file is written."""
        self.write(x="struct A {}")
        out, files = self.folder / "out", self.compiled().files
        install(out, files)
        victim = self.folder / "victim"
        victim.write_text("mine")
        (out / "x" / "ttypes.py").unlink()
        (out / "x" / "ttypes.py").symlink_to(victim)
        install(out, files)
        self.assertEqual((victim.read_text(), bool(compare(out, files))), ("mine", False))
