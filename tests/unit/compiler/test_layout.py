"""Whatever the IDL's includes and namespaces, the output imports from another folder, under any name."""

from __future__ import annotations

from tests.unit.compiler.idl_files import IDLTestCase


class LayoutTests(IDLTestCase):
    """Each case is imported by a process of its own, warnings being errors."""

    def test_no_namespace(self) -> None:
        """A file without a namespace becomes a package of its name."""
        self.write(plain="struct A { 1: i32 a }\nservice S { A f(1: A a) }")
        printed = self.run_with_stubs("import stubs.plain.S as S; print(S.A(a=1), S.f_args(S.A(2)))")
        self.assertEqual(printed, "A(a=1) f_args(a=A(a=2))")

    def test_dotted_namespace(self) -> None:
        """``namespace py a.b.c`` becomes nested packages."""
        self.write(x="namespace py a.b.c\nservice S { void f() }")
        self.assertEqual(self.run_with_stubs("import stubs.a.b.c.S as S; print(S.__name__)"), "stubs.a.b.c.S")

    def test_namespace_for_all_languages(self) -> None:
        """Types of a file with ``namespace *`` are found by a file that includes it."""
        self.write(
            base="namespace * everybody\nstruct A { 1: i32 a }\nservice Base { A f() }",
            top='include "base.thrift"\nnamespace py top\nstruct T { 1: base.A a }\n'
            "service S extends base.Base { base.A g(1: base.A a) }",
        )
        printed = self.run_with_stubs(
            "import stubs.top.S as S, stubs.everybody.ttypes as t\n"
            "print(S.Client.f.__module__, S.T.thrift_spec[1][3][0] is t.A)"
        )
        self.assertEqual(printed, "stubs.everybody.Base True")

    def test_two_files_in_one_namespace(self) -> None:
        """Both files' types, constants and services are there, whichever includes the other."""
        self.write(
            a="namespace py x.y\nstruct Foo { 1: i32 a }\nconst Foo ONE = {'a': 1}\nservice A { Foo f() }",
            b='include "a.thrift"\nnamespace py x.y\nstruct Bar { 1: a.Foo foo = {"a": 2} }\n'
            'const list<a.Foo> MORE = [{"a": 3}]\nservice B extends a.A { Bar g(1: a.Foo foo = {"a": 4}) }',
        )
        printed = self.run_with_stubs(
            "import stubs.x.y.B as B, stubs.x.y.constants as c, stubs.x.y as package\n"
            "print(B.Foo(a=1) == c.ONE, c.MORE, B.Bar(), B.g_args(), package.__all__)"
        )
        self.assertEqual(
            printed, "True [Foo(a=3)] Bar(foo=Foo(a=2)) g_args(foo=Foo(a=4)) ['ttypes', 'constants', 'A', 'B']"
        )

    def test_includes_in_subfolders(self) -> None:
        """An include below the file's folder is compiled too, and so is what that includes."""
        self.write(
            top='include "sub/middle.thrift"\nservice S { middle.M f() }',
            sub__middle='include "deep/low.thrift"\nstruct M { 1: low.L l }',
            sub__deep__low="namespace py deep.low\nstruct L { 1: i32 a }",
        )
        printed = self.run_with_stubs("import stubs.top.S, stubs.middle.ttypes as m; print(m.M.thrift_spec[1][3][0])")
        self.assertEqual(printed, "<class 'stubs.deep.low.ttypes.L'>")

    def test_files_of_one_name(self) -> None:
        """Two files of one name are told apart when they have namespaces and nothing uses both."""
        self.write(
            one__types="namespace py one\nstruct A { 1: i32 a }",
            two__types="namespace py two\nstruct A { 1: string a }",
        )
        printed = self.run_with_stubs(
            "import stubs.one.ttypes as a, stubs.two.ttypes as b; print(a.A.thrift_spec[1][1], b.A.thrift_spec[1][1])"
        )
        self.assertEqual(printed, "8 11")

    def test_two_services_in_a_file(self) -> None:
        """Each service has a module."""
        self.write(x="service A { void f() }\nservice B extends A { void g() }")
        self.assertEqual(
            self.run_with_stubs("import stubs.x.A as A, stubs.x.B as B; print(issubclass(B.Client, A.Client))"), "True"
        )

    def test_a_namespace_inside_another(self) -> None:
        """``namespace py a`` and ``namespace py a.b`` live in one tree."""
        self.write(x="namespace py a\nservice S { void f() }", y="namespace py a.b\nservice T { void f() }")
        self.assertEqual(
            self.run_with_stubs("import stubs.a, stubs.a.b.T; print(stubs.a.__all__)"), "['ttypes', 'constants', 'S']"
        )

    def test_arguments_called_like_a_namespace(self) -> None:
        """An argument called like an included namespace does not hide the namespace's types."""
        self.write(
            shared="struct A { 1: i32 a }",
            top='include "shared.thrift"\nservice S { void f(1: i32 shared, 2: shared.A a = {"a": 1}) }',
        )
        self.assertEqual(
            self.run_with_stubs("import stubs.top.S as S; print(S.f_args(shared=2))"), "f_args(shared=2, a=A(a=1))"
        )

    def test_strings_are_left_alone(self) -> None:
        """Text that looks like a reference stays as the IDL has it."""
        self.write(x='struct A {}\nconst string TEXT = "x.ttypes.A"')
        self.assertEqual(self.run_with_stubs("import stubs.x.constants as c; print(c.TEXT)"), "x.ttypes.A")

    def test_backslashes_in_doc_comments(self) -> None:
        r"""A doc comment with ``\d`` or ``\u`` makes a module that Python reads without a warning."""
        self.write(x="/** matches \\d+, \\user */\nstruct A { 1: i32 a }\nservice S {\n /** \\N */\n void f() }")
        printed = self.run_with_stubs("import stubs.x.S as S; print(S.A.__doc__.split(), S.Iface['f'].__doc__.split())")
        self.assertEqual(printed, "['matches', '\\\\d+,', '\\\\user', 'Attributes:', '-', 'a'] ['\\\\N']")

    def test_the_package_can_be_nested(self) -> None:
        """The output works below another package."""
        self.write(x="struct A { 1: i32 a }", y='include "x.thrift"\nservice S { x.A f() }')
        printed = self.run_with_stubs(
            "import acme.inner.stubs.y.S as S; print(S.f_result.thrift_spec[0][3][0])", "acme/inner/stubs"
        )
        self.assertEqual(printed, "<class 'acme.inner.stubs.x.ttypes.A'>")

    def test_remote_scripts_are_left_out(self) -> None:
        """The scripts that the compiler adds, which cannot work with Twisted, are not in the output."""
        self.write(x="service S { void f() }")
        self.assertEqual([path for path in self.compiled().files if "remote" in path], [])

    def test_one_service_twice(self) -> None:
        """Two services of one name in one namespace are refused."""
        self.write(a="namespace py x\nservice S {}", b="namespace py x\n\nservice S {}")
        self.assertEqual(self.refusal(), "b.thrift:3: S is in the namespace x already, from a.thrift:2; rename one")

    def test_a_service_called_like_a_namespace(self) -> None:
        """A service whose module would have the name of a package is refused."""
        self.write(a="namespace py x\nservice b {}", b="namespace py x.b\nservice S {}")
        self.assertEqual(
            self.refusal(),
            "a.thrift:2: service b has the Python name of the namespace of b.thrift; rename one",
        )

    def test_quotation_marks_in_a_doc_comment(self) -> None:
        """A doc comment that ends the stub's docstring is refused."""
        self.write(x='/** three """ marks */\nstruct A { 1: i32 a }')
        self.assertIn("x.thrift: the Thrift compiler made x/ttypes.py of it, which is not Python", self.refusal())
