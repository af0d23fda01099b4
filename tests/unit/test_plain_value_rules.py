"""The rules for values hold, too, where Thrift's C extension cannot handle the arguments.

They have no numbers here, so Thrift's protocols in Python write and read them.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rpc.generated_structs import is_accelerated, is_written_accelerated
from tests.unit import test_invalid_text, test_value_rules
from tests.unit.odd_values import ODD_VALUES
from tests.unit.test_generated_equality import EVERYTHING

UNNUMBERED = re.sub(r"\(1: (?=[\w<>, ]+ value\b)", "(", EVERYTHING)


class PlainWritingTests(test_value_rules.WritingTests):
    """Values that a client sends."""

    idl = UNNUMBERED
    odd_values: ClassVar = {**ODD_VALUES, "blobs": ODD_VALUES["blobs"][:-1]}  # generated code writes any mapping

    def test_the_extension_cannot_handle_the_arguments(self) -> None:
        """Otherwise these tests would say nothing new."""
        for name in ("flag", "text", "numbers", "blobs", "tree", "all", "containers"):
            arguments = getattr(self.stub, f"{name}_args")
            self.assertFalse(is_accelerated(arguments) or is_written_accelerated(arguments), name)


class PlainInvalidTextTests(test_invalid_text.InvalidTextTests):
    """Bytes of a ``string`` that are not UTF-8, from a peer."""

    idl = UNNUMBERED
