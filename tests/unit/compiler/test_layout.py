"""For all includes and namespaces, the output imports from another folder, under any name."""

from __future__ import annotations

from tests.unit.compiler.idl_files import IDLTestCase


class LayoutTests(IDLTestCase):
    """Each case is imported by a process of its own in which warnings are errors."""

    def test_a_file_without_a_namespace_becomes_a_package_of_its_name(self) -> None:
        """The name is that of the file."""
        self.write(plain="struct A { 1: i32 a }\nservice S { A f(1: A a) }")
        printed = self.run_with_stubs("import stubs.plain.S as S; print(S.A(a=1), S.f_args(S.A(2)))")
        self.assertEqual(printed, "A(a=1) f_args(a=A(a=2))")

    def test_a_dotted_namespace_becomes_nested_packages(self) -> None:
        """``namespace py a.b.c``."""
        self.write(x="namespace py a.b.c\nservice S { void f() }")
        self.assertEqual(self.run_with_stubs("import stubs.a.b.c.S as S; print(S.__name__)"), "stubs.a.b.c.S")

    def test_a_file_finds_types_of_a_namespace_for_all_languages(self) -> None:
        """``namespace *`` in an included file."""
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

    def test_joins_two_files_of_one_namespace(self) -> None:
        """The types, constants and services of both files exist, independent of which one includes the other."""
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

    def test_compiles_includes_in_subfolders(self) -> None:
        """An include below the file's folder, and the include's own includes."""
        self.write(
            top='include "sub/middle.thrift"\nservice S { middle.M f() }',
            sub__middle='include "deep/low.thrift"\nstruct M { 1: low.L l }',
            sub__deep__low="namespace py deep.low\nstruct L { 1: i32 a }",
        )
        printed = self.run_with_stubs("import stubs.top.S, stubs.middle.ttypes as m; print(m.M.thrift_spec[1][3][0])")
        self.assertEqual(printed, "<class 'stubs.deep.low.ttypes.L'>")

    def test_keeps_two_files_of_one_name_apart(self) -> None:
        """They have namespaces, and no file includes both."""
        self.write(
            one__types="namespace py one\nstruct A { 1: i32 a }",
            two__types="namespace py two\nstruct A { 1: string a }",
        )
        printed = self.run_with_stubs(
            "import stubs.one.ttypes as a, stubs.two.ttypes as b; print(a.A.thrift_spec[1][1], b.A.thrift_spec[1][1])"
        )
        self.assertEqual(printed, "8 11")

    def test_makes_a_module_for_each_service_of_a_file(self) -> None:
        """Two services in one file."""
        self.write(x="service A { void f() }\nservice B extends A { void g() }")
        self.assertEqual(
            self.run_with_stubs("import stubs.x.A as A, stubs.x.B as B; print(issubclass(B.Client, A.Client))"), "True"
        )

    def test_nests_a_namespace_in_another(self) -> None:
        """``namespace py a`` and ``namespace py a.b`` are one tree."""
        self.write(x="namespace py a\nservice S { void f() }", y="namespace py a.b\nservice T { void f() }")
        self.assertEqual(
            self.run_with_stubs("import stubs.a, stubs.a.b.T; print(stubs.a.__all__)"), "['ttypes', 'constants', 'S']"
        )

    def test_an_argument_does_not_hide_a_namespace_of_its_name(self) -> None:
        """The namespace is that of an included file."""
        self.write(
            shared="struct A { 1: i32 a }",
            top='include "shared.thrift"\nservice S { void f(1: i32 shared, 2: shared.A a = {"a": 1}) }',
        )
        self.assertEqual(
            self.run_with_stubs("import stubs.top.S as S; print(S.f_args(shared=2))"), "f_args(shared=2, a=A(a=1))"
        )

    def test_leaves_strings_as_they_are(self) -> None:
        """Text that looks like a reference is not rewritten."""
        self.write(x='struct A {}\nconst string TEXT = "x.ttypes.A"')
        self.assertEqual(self.run_with_stubs("import stubs.x.constants as c; print(c.TEXT)"), "x.ttypes.A")

    def test_keeps_backslashes_in_doc_comments(self) -> None:
        r"""A doc comment with ``\d`` or ``\u`` makes a module that Python reads without a warning."""
        self.write(x="/** matches \\d+, \\user */\nstruct A { 1: i32 a }\nservice S {\n /** \\N */\n void f() }")
        printed = self.run_with_stubs("import stubs.x.S as S; print(S.A.__doc__.split(), S.Iface['f'].__doc__.split())")
        self.assertEqual(printed, "['matches', '\\\\d+,', '\\\\user', 'Attributes:', '-', 'a'] ['\\\\N']")

    def test_the_output_works_below_another_package(self) -> None:
        """Its imports are relative."""
        self.write(x="struct A { 1: i32 a }", y='include "x.thrift"\nservice S { x.A f() }')
        printed = self.run_with_stubs(
            "import acme.inner.stubs.y.S as S; print(S.f_result.thrift_spec[0][3][0])", "acme/inner/stubs"
        )
        self.assertEqual(printed, "<class 'acme.inner.stubs.x.ttypes.A'>")

    def test_leaves_out_remote_scripts(self) -> None:
        """The compiler's ``-remote`` scripts do not work with Twisted."""
        self.write(x="service S { void f() }")
        self.assertEqual([path for path in self.compiled().files if "remote" in path], [])

    def test_refuses_two_services_of_one_name(self) -> None:
        """In one namespace."""
        self.write(a="namespace py x\nservice S {}", b="namespace py x\n\nservice S {}")
        self.assertEqual(self.refusal(), "b.thrift:3: S is in the namespace x already, from a.thrift:2; rename one")

    def test_refuses_a_service_with_the_name_of_a_namespace(self) -> None:
        """Its module would have the name of a package."""
        self.write(a="namespace py x\nservice b {}", b="namespace py x.b\nservice S {}")
        self.assertEqual(
            self.refusal(),
            "a.thrift:2: service b has the Python name of the namespace of b.thrift; rename one",
        )
