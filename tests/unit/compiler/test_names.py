"""Names that make broken stubs are refused by file, line and name."""

from __future__ import annotations

from rpc.compiler import driver, name_rules
from tests.idl_corpus.compilers import RENAMES_KEYWORDS
from tests.unit.compiler.idl_files import IDLTestCase


class NamesTests(IDLTestCase):
    """Each test is one way in which stubs break."""

    def assert_refused(self, text: str, *starts: str) -> None:
        self.write(x=text)
        lines = self.refusal().splitlines()
        self.assertEqual([line[: len(start)] for line, start in zip(lines, starts, strict=True)], list(starts))

    def test_refuses_arguments_that_the_client_uses_as_variables(self) -> None:
        """In each method of the generated client."""
        for name in ("self", "TMessageType", "f_args", "await", "thrift_spec"):
            self.assert_refused(
                f"// {name}\nservice S {{\n void e(1: i32 a),\n void f(1: i32 a,\n 2: i32 {name}) }}",
                f"x.thrift:5: argument {name}: ",
            )

    def test_refuses_exceptions_that_the_processor_uses_as_variables(self) -> None:
        """Names in ``throws``."""
        for name in ("seqid", "oprot", "result", "E", "msg_type", "logging", "success"):
            self.assert_refused(
                f"exception E {{}}\nservice S {{\n void f(1: i32 a)\n throws (1: E {name}) }}",
                f"x.thrift:4: exception {name}: ",
            )

    def test_refuses_types_that_the_stubs_define_or_import(self) -> None:
        """In a service's module, or in that of the types."""
        for name in ("TType", "range", "TypeError", "f_args", "f_result"):
            self.assert_refused(
                f"struct A {{}}\nstruct {name} {{}}\nservice S {{ void f() }}", f"x.thrift:2: struct {name}: "
            )
        self.assert_refused("exception TException {}", "x.thrift:1: exception TException: ")
        self.assert_refused("enum logging { A }", "x.thrift:1: enum logging: ")
        self.assert_refused("\nconst i32 sys = 1", "x.thrift:2: const sys: ")

    def test_refuses_fields_that_hide_attributes_of_a_struct(self) -> None:
        """And those of Python's exceptions."""
        for name in ("self", "thrift_spec"):
            self.assert_refused(f"struct A {{\n 1: i32 {name} }}", f"x.thrift:2: field {name}: ")
        self.assert_refused("exception A {\n 1: i32 args }", "x.thrift:2: field args: ")

    def test_refuses_fields_that_are_variables_of_an_immutable_struct(self) -> None:
        """Their ``read`` and ``__init__`` use fields as local variables, in exceptions and in immutable structs."""
        for name in ("super", "cls", "iprot", "fid", "TType", "range", "_elem5", "A", "Inner"):
            for kind, annotation in (("exception", ""), ("struct", '(python.immutable = "")')):
                self.assert_refused(
                    f"struct Inner {{}}\n{kind} A {{\n 2: i32 {name},\n 1: list<Inner> inner }} {annotation}",
                    f"x.thrift:3: field {name}: ",
                )
        self.write(x="struct Inner {}\nstruct A {\n 1: list<Inner> inner,\n 2: i32 iprot, 3: i32 Inner, 4: i32 A }")
        self.assertIn("x/ttypes.py", self.compiled().files)

    def test_refuses_methods_that_hide_attributes_of_the_client(self) -> None:
        """The generated client's, and the framework's."""
        self.assert_refused("service S {\n void _reqs() }", "x.thrift:2: method _reqs: ")
        self.assert_refused("service S {\n void _options() }", "x.thrift:2: method _options: ")
        self.assert_refused("service S {\n void __init__() }", "x.thrift:2: method __init__: ")
        self.assert_refused("service S {\n void f(),\n void send_f() }", "x.thrift:3: method send_f: ")

    def test_refuses_a_name_that_python_mangles(self) -> None:
        """A name of a class that begins with two underscores is another name outside of the class."""
        self.assert_refused("service S {\n void f(),\n void __f() }", "x.thrift:3: method __f: ")
        self.assert_refused("service S {\n void f(1: i32 __f) }", "x.thrift:2: argument __f: ")
        self.assert_refused("exception E {}\nservice S {\n void f() throws (1: E __f) }", "x.thrift:3: exception __f: ")
        self.assert_refused("struct A {\n 1: i32 __a }", "x.thrift:2: field __a: ")
        self.assert_refused("enum A {\n __a }", "x.thrift:2: member __a: ")

    def test_refuses_a_constant_with_the_name_of_a_type(self) -> None:
        """The module of the constants also has the types."""
        for kind in ("struct A {}", "enum A { B }", "exception A {}", "union A { 1: i32 a }"):
            self.assert_refused(
                f"{kind}\nconst i32 B = 1\nconst i32 A = 1", "x.thrift:3: const A: a type has this name"
            )

    def test_refuses_a_name_that_the_type_files_use(self) -> None:
        """The ``.pyi`` files import some names for themselves."""
        self.assert_refused("enum _Any { A }", "x.thrift:1: enum _Any: ")
        self.assert_refused("\nconst i32 _Final = 1", "x.thrift:2: const _Final: ")
        self.assert_refused("struct A {\n 1: i32 _ClassVar }", "x.thrift:2: field _ClassVar: ")
        self.assert_refused("enum A {\n _builtins }", "x.thrift:2: member _builtins: ")
        self.assert_refused("service S {\n void _Deferred() }", "x.thrift:2: method _Deferred: ")
        self.assert_refused("service S {\n void _idl_x_ttypes() }", "x.thrift:2: method _idl_x_ttypes: ")
        self.assert_refused("enum classmethod { A }", "x.thrift:1: enum classmethod: ")

    def test_refuses_services_with_the_name_of_a_module(self) -> None:
        """The module would replace the types or the constants."""
        self.assert_refused("\nservice ttypes {}", "x.thrift:2: service ttypes: ")
        self.assert_refused("\nservice constants {}", "x.thrift:2: service constants: ")

    def test_refuses_python_keywords(self) -> None:
        """The Thrift compiler refuses only some of them."""
        self.assert_refused("struct A {\n 1: i32 await }", "x.thrift:2: field await: ")
        self.assert_refused("enum A {\n await }", "x.thrift:2: member await: ")
        self.assert_refused("service S {\n void await() }", "x.thrift:2: method await: ")
        if driver.find().version < RENAMES_KEYWORDS:
            text = "// class\nstruct A {\n 1: i32 class }"
            self.assert_refused(text, "x.thrift:3: Cannot use reserved language keyword")

    def test_refuses_namespaces_that_are_no_packages(self) -> None:
        """A keyword, or the name of a module."""
        self.assert_refused("\nnamespace py a.class\nstruct A {}", "x.thrift:2: class cannot be the name")
        self.assert_refused("namespace py a.ttypes\nstruct A {}", "x.thrift:1: ttypes cannot be the name")

    def test_refuses_a_file_name_that_is_no_package(self) -> None:
        """A file without a namespace."""
        self.write(**{"my-file": "struct A {}"})
        self.assertTrue(self.refusal().startswith("my-file.thrift: my-file cannot be the name"), self.refusal())

    def test_reports_all_names_of_a_file_at_once(self) -> None:
        """A line for each."""
        self.assert_refused(
            "struct TType {\n 1: i32 self }\nservice S {\n void f(1: i32 self) }",
            "x.thrift:1: struct TType: ",
            "x.thrift:2: field self: ",
            "x.thrift:4: argument self: ",
        )

    def test_refuses_a_name_beside_the_keyword_that_becomes_it(self) -> None:
        """Newer compilers append an underscore to keywords; the older ones refuse them."""
        self.assertEqual(name_rules.clashes("from", {"from_"}), "its name in Python, from_, is that of another one")
        self.assertEqual(name_rules.clashes("from", {"from"}), "")
        self.assertEqual(name_rules.clashes("await", {"await_"}), "")

    def test_accepts_names_that_other_languages_reserve(self) -> None:
        """Names that Python allows."""
        self.write(
            x="struct A { 1: i32 next }\nexception E {}\nservice S { void delete(1: A new) throws (1: E error) }"
        )
        self.assertIn("x/S.py", self.compiled().files)

    def test_refuses_two_types_of_one_name(self) -> None:
        """In one namespace."""
        self.write(a="namespace py x\nstruct A {}", b="namespace py x\n\nenum A { B }")
        self.assertEqual(self.refusal(), "b.thrift:3: A is in the namespace x already, from a.thrift:2; rename one")
