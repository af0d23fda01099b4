"""References of a generated module to others are rewritten."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.compiler.references import alias, import_line, make_relative

MODULES = frozenset({"a.ttypes", "b.c.ttypes", "b.c.S", "a.constants"})


class ReferencesTests(SynchronousTestCase):
    """Text as the Thrift compiler writes it."""

    def test_a_reference_to_another_package_becomes_an_alias(self) -> None:
        """The import is relative."""
        text = "import sys\nimport b.c.ttypes\nimport b.c.S\n\nclass X(b.c.S.Y):\n    z = [b.c.ttypes.Z, None]\n"
        self.assertEqual(
            make_relative(text, "a", MODULES),
            "import sys\nfrom ..b.c import S as _idl_b_c_S\nfrom ..b.c import ttypes as _idl_b_c_ttypes\n"
            "\nclass X(_idl_b_c_S.Y):\n    z = [_idl_b_c_ttypes.Z, None]\n",
        )

    def test_types_of_the_own_package_become_bare_names(self) -> None:
        """Every generated module imports them."""
        self.assertEqual(
            make_relative("import sys\nimport a.ttypes\nx = a.ttypes.X()\n", "a", MODULES), "import sys\nx = X()\n"
        )

    def test_leaves_other_text_as_it_is(self) -> None:
        """Attributes, strings, comments and longer names."""
        text = 'self.a.ttypes.X = "a.ttypes.X"  # a.ttypes.X\naa.ttypes.X\na.ttypes_x\n"""a.ttypes.X"""\n'
        self.assertEqual(make_relative(text, "b.c", MODULES), text)

    def test_refuses_text_that_is_not_python(self) -> None:
        """A string without its end is a SyntaxError."""
        self.assertRaises(SyntaxError, make_relative, 'x = """', "a", MODULES)

    def test_aliases_of_different_modules_differ(self) -> None:
        """Dots and underscores in package names do not mix."""
        self.assertNotEqual(alias("a_b.c"), alias("a.b_c"))

    def test_import_lines_are_relative(self) -> None:
        """One dot for the same package, one more for each level to the root."""
        self.assertEqual(import_line("a.S", "a"), "from . import S as _idl_a_S")
        self.assertEqual(import_line("a.S", "b.c"), "from ...a import S as _idl_a_S")
