"""How a generated module's references to others are rewritten."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.compiler.references import alias, import_line, make_relative

MODULES = frozenset({"a.ttypes", "b.c.ttypes", "b.c.S", "a.constants"})


class ReferencesTests(SynchronousTestCase):
    """Text as the Thrift compiler writes it."""

    def test_other_packages(self) -> None:
        """A reference becomes an alias, the import relative."""
        text = "import sys\nimport b.c.ttypes\nimport b.c.S\n\nclass X(b.c.S.Y):\n    z = [b.c.ttypes.Z, None]\n"
        self.assertEqual(
            make_relative(text, "a", MODULES),
            "import sys\nfrom ..b.c import S as _idl_b_c_S\nfrom ..b.c import ttypes as _idl_b_c_ttypes\n"
            "\nclass X(_idl_b_c_S.Y):\n    z = [_idl_b_c_ttypes.Z, None]\n",
        )

    def test_own_package(self) -> None:
        """Types of the module's own package are called by their bare names."""
        self.assertEqual(
            make_relative("import sys\nimport a.ttypes\nx = a.ttypes.X()\n", "a", MODULES), "import sys\nx = X()\n"
        )

    def test_what_is_no_reference(self) -> None:
        """Attributes, strings, comments and longer names stay."""
        text = 'self.a.ttypes.X = "a.ttypes.X"  # a.ttypes.X\naa.ttypes.X\na.ttypes_x\n"""a.ttypes.X"""\n'
        self.assertEqual(make_relative(text, "b.c", MODULES), text)

    def test_docstrings(self) -> None:
        """A docstring with a backslash becomes a raw one."""
        self.assertEqual(
            make_relative('class X:\n    """\n    \\d\n    """\n', "a", MODULES),
            'class X:\n    r"""\n    \\d\n    """\n',
        )

    def test_not_python(self) -> None:
        """Text that does not end is a SyntaxError."""
        self.assertRaises(SyntaxError, make_relative, 'x = """', "a", MODULES)

    def test_aliases_are_told_apart(self) -> None:
        """Dots and underscores in packages do not mix."""
        self.assertNotEqual(alias("a_b.c"), alias("a.b_c"))

    def test_import_lines(self) -> None:
        """One dot for the same package, one more for each level to the root."""
        self.assertEqual(import_line("a.S", "a"), "from . import S as _idl_a_S")
        self.assertEqual(import_line("a.S", "b.c"), "from ...a import S as _idl_a_S")
