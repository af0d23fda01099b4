"""The committed stubs of the control service equal the compiler's output for its IDL."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import rpc.control
from rpc.compiler import compare, compile_idl, compiled_by

FOLDER = Path(rpc.control.__file__).parent


class StubsTests(SynchronousTestCase):
    """The IDL, compiled again."""

    def test_the_stubs_are_up_to_date(self) -> None:
        compiled = compile_idl([FOLDER / "idl"])
        if compiled_by(FOLDER / "stubs") != compiled.compiler:
            self.skipTest(f"the stubs were made by another compiler than Thrift {compiled.compiler}")
        self.assertEqual(compare(FOLDER / "stubs", compiled.files).lines(), [])
