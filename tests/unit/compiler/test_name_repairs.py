"""Repairs of keywords, in lines as newer Thrift compilers (0.24) write them. Older ones refuse such an IDL."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.compiler.name_repairs import rename_keywords


class RenameKeywordsTests(SynchronousTestCase):
    """Where the compiler leaves out the underscore."""

    def repaired(self, text: str, expected: str, module: str = "ttypes") -> None:
        self.assertEqual(rename_keywords(text, module), expected)

    def test_the_specification_has_the_names_of_the_attributes(self) -> None:
        """The accelerated protocols read and write by it."""
        self.repaired(
            "A.thrift_spec = (\n    (1, TType.STRING, 'from', 'UTF8', None, ),  # 1\n)\n",
            "A.thrift_spec = (\n    (1, TType.STRING, 'from_', 'UTF8', None, ),  # 1\n)\n",
        )

    def test_an_immutable_struct_sets_the_attributes_that_it_reads(self) -> None:
        """Exceptions are immutable."""
        self.repaired("super(E, self).__setattr__('raise', raise_)", "super(E, self).__setattr__('raise_', raise_)")

    def test_a_processor_catches_into_the_attribute_of_the_result(self) -> None:
        """Also an exception of another module."""
        self.repaired(
            "    except is as in:\n        result.in = in\n", "    except is_ as in_:\n        result.in_ = in_\n"
        )
        self.repaired("    except a.ttypes.is as e:\n        pass\n", "    except a.ttypes.is_ as e:\n        pass\n")

    def test_constants_and_their_structs(self) -> None:
        """A key of a map keeps its name."""
        self.repaired(
            'try = A(**{\n    "from": {"from": "é"},\n})\n',
            'try_ = A(**{\n    "from_": {"from": "é"},\n})\n',
            "constants",
        )

    def test_leaves_other_text_as_it_is(self) -> None:
        """Names on the wire, and names that only contain a keyword."""
        for text in (
            "oprot.writeFieldBegin('from', TType.STRING, 1)\n",
            "    (1, TType.STRING, 'fromage', 'UTF8', None, ),\n",
            "try:\n    pass\nexcept E as e:\n    result.e = e\n",
        ):
            self.repaired(text, text)
