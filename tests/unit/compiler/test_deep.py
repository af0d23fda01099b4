"""IDL of an attacker: none makes the Thrift compiler recurse deeply, or takes it long."""

from __future__ import annotations

from rpc.compiler.includes import DEEPEST, LONGEST_CHAIN
from tests.unit.compiler.idl_files import IDLTestCase

R = '{"r":'


class DeepTests(IDLTestCase):
    """IDL that would crash the Thrift compiler, or keep it at work."""

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
                "struct S {" + "".join(f"{i + 1}: i32 a{i}\n" for i in range(3000)) + "}",
                ": a struct has too many fields",
            ),
        ):
            self.write(x=text)
            self.assertIn(f"x.thrift{message}", self.refusal())

    def test_refuses_a_long_chain_of_includes(self) -> None:
        """The Thrift compiler recurses."""
        self.write(**{f"x{i:04}": f'include "x{i + 1:04}.thrift"' for i in range(1000)}, x1000="")
        self.assertIn(f"x0099.thrift:1: more than {LONGEST_CHAIN} files include one another", self.refusal())

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
