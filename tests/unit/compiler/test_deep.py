"""IDL of an attacker: none makes the Thrift compiler recurse deeply, or takes it long."""

from __future__ import annotations

import pytest

from rpc.compiler import compile_idl, driver, sources
from rpc.compiler.includes import DEEPEST, LONGEST_CHAIN
from rpc.errors import CompileError
from tests.unit.compiler.idl_files import IDLTestCase

R = '{"r":'


class DeepTests(IDLTestCase):
    """IDL that would crash the Thrift compiler, or keep it at work."""

    def early_refusal(self, name: str) -> str:
        """Return the message with which a file is refused before the Thrift compiler is run."""
        self.patch(driver.ThriftCompiler, "parse", lambda *_: self.fail("the Thrift compiler was run"))
        return str(self.assertRaises(CompileError, compile_idl, [self.idl / name]))

    @pytest.mark.slow
    def test_refuses_what_is_nested_too_deeply(self) -> None:
        """Before the compiler reads it, where it would crash or not end."""
        many = range(10_000)
        for text, message in (
            (f"struct S {{1: {'list<' * 10_000}i32{'>' * 10_000} a}}", f":1: has more than {DEEPEST} brackets"),
            (f"struct S {{1: {'list<' * 25}i32{'>' * 25} a}}", ": a type has more than 18 levels"),
            (f"const R C = {'[' * 10_000}", f":1: has more than {DEEPEST} brackets"),
            ("typedef i32 T0\n" + "".join(f"typedef T{i} T{i + 1}\n" for i in many), ":100: this typedef stands for"),
            ("".join(f"typedef T{i + 1} T{i}\n" for i in many), ":1: this typedef stands for more"),
            ("typedef i32 T0\n" + "".join(f"typedef map<T{i},T{i}> T{i + 1}\n" for i in many), ":10: this typedef"),
            (
                "typedef i32 (a = 'b') T (c = 'd')\ntypedef T U\ntypedef V (x) W\ntypedef W V",
                ":4: this typedef stands for itself",
            ),
            ("typedef T T", ":1: this typedef stands for itself"),
            (
                "struct S {" + "".join(f"{i + 1}: i32 a{i}\n" for i in range(10_000)) + "}",
                ": a struct has too many fields",
            ),
        ):
            self.write(x=text)
            self.assertIn(f"x.thrift{message}", self.refusal())

    def test_refuses_a_long_chain_of_includes(self) -> None:
        """The Thrift compiler recurses."""
        self.write(**{f"x{i:04}": f'include "x{i + 1:04}.thrift"' for i in range(1000)}, x1000="")
        self.assertIn(f"x0099.thrift:1: more than {LONGEST_CHAIN} files include one another", self.refusal())

    def test_counts_the_longest_chain_of_includes(self) -> None:
        """A file that is found by a short chain first is in a long one all the same."""
        chain = {f"x{i:03}": f'include "x{i + 1:03}.thrift"' for i in range(150)}
        for order in (range(151), reversed(range(151))):
            self.write(main="".join(f'include "x{i:03}.thrift"\n' for i in order), **chain, x150="")
            self.assertIn(f"x098.thrift:1: more than {LONGEST_CHAIN} files include", self.early_refusal("main.thrift"))

    def test_takes_the_longest_chain_of_includes(self) -> None:
        """One file more is refused."""
        self.write(**{f"x{i}": f'include "x{i + 1}.thrift"' for i in range(LONGEST_CHAIN)}, **{f"x{LONGEST_CHAIN}": ""})
        found = sources.find(driver.find(), [self.idl / "x1.thrift"])
        self.assertEqual(len(found), LONGEST_CHAIN)
        said = self.early_refusal("x0.thrift")
        self.assertIn(f"x{LONGEST_CHAIN - 1}.thrift:1: more than {LONGEST_CHAIN} files", said)

    def test_refuses_a_file_that_includes_itself(self) -> None:
        """Old compilers recurse until they crash. The message names the line of an include of the circle."""
        self.write(
            main='include "more.thrift"\ninclude "circle.thrift"',
            more='include "leaf.thrift"',
            leaf="",
            circle='\ninclude "leaf.thrift"\ninclude "other.thrift"',
            other='\n\ninclude "circle.thrift"',
        )
        self.assertRegex(self.early_refusal("main.thrift"), r"(circle|other)\.thrift:3: the file includes itself")
        self.write(itself='// a comment\ninclude "itself.thrift"')
        self.assertIn("itself.thrift:2: the file includes itself", self.early_refusal("itself.thrift"))

    def test_takes_what_people_write(self) -> None:
        """Sixteen levels of lists, forty of constants, twenty typedefs, thirty includes; text about typedefs."""
        self.write(
            lists=f"struct S {{1: {'list<' * 16}i32{'>' * 16} a}}",
            constants=f"struct R {{1: optional R r}}\nconst R C = {R * 40}{{}}{'}' * 40}",
            typedefs="typedef i32 T0\n"
            + "".join(f"typedef T{i} T{i + 1}\n" for i in range(20))
            + "struct S {1: T20 a}\nconst string HELP = 'typedef T T'",
            **{f"x{i}": f'include "x{i + 1}.thrift"\nstruct S{i} {{}}' for i in range(30)},
            x30="",
        )
        self.assertIn("x0/ttypes.py", self.compiled().files)

    def test_takes_typedefs_of_two_files_of_one_name(self) -> None:
        """``B`` of one is ``A`` of the other, and so on: no circle."""
        (self.idl / "other").mkdir(parents=True)
        (self.idl / "other" / "common.thrift").write_text("namespace py two\ntypedef i32 B\ntypedef B A")
        self.write(
            common="namespace py one\ntypedef i32 A\ntypedef A B",
            user='include "common.thrift"\nstruct S {1: common.B b}',
        )
        (self.idl / "other" / "more.thrift").write_text('include "common.thrift"\nstruct T {1: common.A a}')
        self.write(both='include "user.thrift"\ninclude "other/more.thrift"\nstruct U {1: user.S s, 2: more.T t}')
        self.assertIn("both/ttypes.py", self.compiled().files)
